//! The image's program. In: what to run. Out: a process that has the capabilities of a container's and gains no more, and
//! its end. Refuses what the kernel does not execute.
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::process::{WaitOptions, wait};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_no_new_privs};
use weft_init::protocol::Program;

/// What a server that drops its privileges needs, and no more: as weft's containers have it.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETUID);

/// Starts it.
pub(crate) fn start(program: &Program) -> Result<Child> {
    // Any user may listen on any port, as in a container. A kernel that knows no such setting lets root alone.
    let _ = std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    let program = program.clone();
    // A thread of its own: what it gives up is given up by its children, and not by the first process.
    let started = thread::spawn(move || {
        confine().context("give up capabilities")?;
        spawn(&program)
    });
    match started.join() {
        Ok(started) => started,
        Err(_) => bail!("the thread that starts it has panicked"),
    }
}

fn confine() -> rustix::io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        // Newer than the kernel: nobody has it.
        let gone = remove_unless_kept(capability);
        if gone != Err(rustix::io::Errno::INVAL) {
            gone?;
        }
    }
    set_no_new_privs(true)
}

fn remove_unless_kept(capability: CapabilitySet) -> rustix::io::Result<()> {
    if KEPT.contains(capability) { Ok(()) } else { remove_capability_from_bounding_set(capability) }
}

fn spawn(program: &Program) -> Result<Child> {
    let (name, arguments) = program.args.split_first().context("there is no program to run")?;
    let pairs = program.env.iter().filter_map(|line| line.split_once('='));
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(pairs).current_dir(&program.directory);
    command.uid(program.uid).gid(program.gid).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).process_group(0);
    command.spawn().with_context(|| format!("execute {name}"))
}

/// Waits for whatever has ended; the program's status once it has: 128 and the signal's number when one killed it.
pub(crate) fn reap(child: &mut Child) -> Result<Option<u32>> {
    loop {
        // The first process inherits the orphans of the whole machine.
        let Some((pid, status)) = wait(WaitOptions::NOHANG).context("wait for a process")? else {
            return Ok(None);
        };
        if u32::try_from(pid.as_raw_nonzero().get()) == Ok(child.id()) {
            return Ok(Some(code(ExitStatus::from_raw(status.as_raw()))));
        }
    }
}

/// Whether the kernel has killed any process for memory since it booted; there is none but the program's.
pub(crate) fn ran_out_of_memory() -> bool {
    let counts = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    counts.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
}

fn code(status: ExitStatus) -> u32 {
    let number = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u32::try_from(number).unwrap_or(1)
}
