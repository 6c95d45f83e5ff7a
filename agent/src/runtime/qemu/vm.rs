//! One QEMU process. In: a command line and limits. Out: a running process in a cgroup and a network namespace of its own,
//! the ways to it and to its guest, and word of its end. Refuses nothing; a launch that fails leaves nothing.
//!
//! A VM outlives the agent that launched it: all that another one needs is in its folder.
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::UnshareFlags;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::VmError;
use super::arguments::{GUEST_SOCKET, Launch, Origin, PID_FILE, QMP_SOCKET};
use super::guest::Guest;
use super::qmp::{Qmp, late};
use crate::runtime::cgroup::Limits;
use crate::runtime::{Cgroup, CgroupTree};

/// QEMU opens its sockets before it does anything slow.
const LAUNCH: Duration = Duration::from_secs(30);
const LAUNCH_POLL: Duration = Duration::from_millis(1);
/// A killed process that frees a large memory takes its time.
const END: Duration = Duration::from_secs(20);
/// QEMU's threads: one for each processor, and those that do its I/O.
const PIDS_MAX: u32 = 1024;
/// The last of what QEMU said.
const SAID_BYTES_MAX: usize = 2048;
/// The longest path of a socket.
const SOCKET_PATH_MAX: usize = 107;

/// Where VMs are launched.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// QEMU.
    pub(super) program: PathBuf,
    /// The node's cgroups.
    pub(super) cgroups: CgroupTree,
    /// Parent of the VMs' cgroups, below the trees' mount points.
    pub(super) cgroup_parent: PathBuf,
}

/// A running VM.
pub(super) struct Vm {
    /// Its own name, under which an instance may come to it later.
    pub(super) name: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// QEMU.
    pub(super) pid: u32,
    /// Where QEMU is counted.
    pub(super) cgroup: Cgroup,
    /// Orders to QEMU.
    pub(super) qmp: Qmp,
    /// The way to its first process.
    pub(super) guest: Guest,
    process: OwnedFd,
    ended: watch::Receiver<bool>,
    said: Arc<Mutex<String>>,
}

impl Vm {
    /// Starts QEMU; the guest waits. `input` is the snapshot to begin with, if there is one.
    pub(super) async fn launch(
        host: &Host,
        launch: &Launch<'_>,
        input: Option<File>,
    ) -> Result<Self, VmError> {
        let made = Self::launch_in(host, launch, input).await;
        if made.is_err() {
            clear(host, launch.name, launch.directory).await?;
        }
        made
    }

    async fn launch_in(host: &Host, launch: &Launch<'_>, input: Option<File>) -> Result<Self, VmError> {
        let folder = launch.directory;
        if folder.join(GUEST_SOCKET).as_os_str().len() > SOCKET_PATH_MAX {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the path is too long for a socket");
            return Err(VmError::File { path: folder.to_owned(), source });
        }
        // QEMU itself may pass through when it has given up root, and see nothing.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o711).create(folder).map_err(VmError::file(folder))?;
        let limits = Limits {
            memory_bytes: launch.shape.host_memory_bytes(),
            cpu_millis: launch.shape.cpu_millis,
            pids: PIDS_MAX,
        };
        let cgroup = cgroup_of(host, launch.name);
        host.cgroups.make(&cgroup, &limits)?;
        let mut command = Command::new(&host.program);
        command.args(launch.arguments()).current_dir(folder).process_group(0);
        command
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = spawn_apart(command, &host.program).await?;
        let said: Arc<Mutex<String>> = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(listen(stderr, said.clone()));
        }
        let pid = child.id().unwrap_or_default();
        let process = open_process(pid).map_err(VmError::file(format!("/proc/{pid}")))?;
        let (sender, ended) = watch::channel(false);
        tokio::spawn(reap(child, sender));
        host.cgroups.enter(&cgroup, pid)?;
        let ways = ways(folder, launch.origin, &ended);
        let (qmp, guest) = ways.await.map_err(|error| with_words(error, &said))?;
        qmp.ready().await.map_err(|error| with_words(error, &said))?;
        let cgroup = host.cgroups.of_pid(pid)?;
        let (name, folder) = (launch.name.to_owned(), folder.to_owned());
        Ok(Self { name, folder, pid, cgroup, qmp, guest, process, ended, said })
    }

    /// A VM that an earlier agent launched, by its folder; `None` when its process is gone.
    pub(super) async fn find(host: &Host, folder: &Path) -> Result<Option<Self>, VmError> {
        let Some((pid, process)) = process_of(folder) else { return Ok(None) };
        let waited = process.try_clone().map_err(VmError::file(folder))?;
        let (sender, ended) = watch::channel(false);
        // Not this agent's child, so that only its descriptor tells. The thread ends with the process.
        let waiting = thread::Builder::new().name("weft-qemu-end".to_owned()).spawn(move || {
            let mut waited = [PollFd::new(&waited, PollFlags::IN)];
            while poll(&mut waited, None) == Err(rustix::io::Errno::INTR) {}
            sender.send_replace(true);
        });
        waiting.map_err(VmError::file(folder))?;
        let guest = Guest::open(&folder.join(GUEST_SOCKET), false).await?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (qmp, cgroup) = (Qmp::new(folder.join(QMP_SOCKET)), host.cgroups.of_pid(pid)?);
        let (folder, said) = (folder.to_owned(), Arc::default());
        Ok(Some(Self { name, folder, pid, cgroup, qmp, guest, process, ended, said }))
    }

    /// Whether QEMU has ended, now and later.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.clone()
    }

    /// The last of what QEMU said.
    pub(super) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends QEMU at once.
    pub(super) fn kill(&self) {
        // One that has ended is what was wanted.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Ends QEMU and takes away all that was made for it.
    pub(super) async fn destroy(&self, host: &Host) -> Result<(), VmError> {
        self.kill();
        let mut ended = self.ended();
        let waited = timeout(END, ended.wait_for(|ended| *ended)).await;
        waited.map_err(|_| late("the end of QEMU", END))?.map(drop).unwrap_or_default();
        clear(host, &self.name, &self.folder).await
    }
}

/// Takes away what is left of a VM, its process first.
pub(super) async fn clear(host: &Host, name: &str, folder: &Path) -> Result<(), VmError> {
    if let Some((_, process)) = process_of(folder) {
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
    host.cgroups.clear(&cgroup_of(host, name)).await?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(VmError::File { path: folder.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn cgroup_of(host: &Host, name: &str) -> PathBuf {
    host.cgroup_parent.join(format!("vm-{name}"))
}

fn open_process(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// The QEMU of a folder: its number may be another's by now, so that it is asked once it is held.
fn process_of(folder: &Path) -> Option<(u32, OwnedFd)> {
    let path = folder.join(PID_FILE);
    let pid: u32 = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
    let process = open_process(pid).ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let path = path.as_os_str().as_encoded_bytes();
    line.split(|byte| *byte == 0).any(|word| word == path).then_some((pid, process))
}

/// Starts a program in a network namespace of its own, which lives as long as the program does.
async fn spawn_apart(mut command: Command, program: &Path) -> Result<Child, VmError> {
    let failed =
        |source| VmError::Program { program: program.to_owned(), package: "qemu-system-x86", source };
    let reactor = tokio::runtime::Handle::current();
    let (sender, receiver) = oneshot::channel();
    // A thread that ends with it: one that has left the agent's network must never run anything else.
    let thread = thread::Builder::new().name("weft-qemu".to_owned()).spawn(move || {
        let _reactor = reactor.enter();
        #[expect(
            deprecated,
            reason = "the unsafe twin warns of FILES alone; NEWNET touches no memory or descriptor"
        )]
        let apart = rustix::thread::unshare(UnshareFlags::NEWNET).map_err(io::Error::from);
        // A caller that has gone away is one whose VM is cleared by its folder.
        let _ = sender.send(apart.and_then(|()| command.spawn()));
    });
    thread.map_err(failed)?;
    receiver.await.map_err(|_| failed(io::ErrorKind::BrokenPipe.into()))?.map_err(failed)
}

/// Waits for both sockets.
async fn ways(folder: &Path, origin: Origin, ended: &watch::Receiver<bool>) -> Result<(Qmp, Guest), VmError> {
    let begun = Instant::now();
    loop {
        let opened = Guest::open(&folder.join(GUEST_SOCKET), origin == Origin::Snapshot).await;
        match opened {
            Ok(guest) if folder.join(PID_FILE).exists() => {
                return Ok((Qmp::new(folder.join(QMP_SOCKET)), guest));
            }
            _ if *ended.borrow() => return Err(VmError::Ended { said: String::new() }),
            _ if begun.elapsed() > LAUNCH => return Err(late("the start of QEMU", LAUNCH)),
            _ => sleep(LAUNCH_POLL).await,
        }
    }
}

fn with_words(error: VmError, said: &Mutex<String>) -> VmError {
    match error {
        VmError::Ended { .. } => {
            VmError::Ended { said: said.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned() }
        }
        other => other,
    }
}

/// Keeps the last of what QEMU says until it ends.
async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<String>>) {
    let mut bytes = [0; 512];
    while let Ok(length @ 1..) = stderr.read(&mut bytes).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&String::from_utf8_lossy(&bytes[..length]));
        let excess = said.len().saturating_sub(SAID_BYTES_MAX);
        let cut = (excess..=said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(0);
        said.drain(..cut);
    }
}

async fn reap(mut child: Child, ended: watch::Sender<bool>) {
    // An error means that there is no such child any more.
    let _ = child.wait().await;
    ended.send_replace(true);
}
