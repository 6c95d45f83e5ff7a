//! The first process of a VM. In: what the agent says over a serial port. Out: the image's program, in a root file system
//! and a network of its own, and word of what becomes of it. Refuses to go on without any of these: it says which one
//! failed, and turns the machine off.

mod link;
mod modules;
mod port;
mod program;
mod root;
mod watch;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::system::RebootCommand;
use weft_init::protocol::{FromGuest, Identity, Network, ToGuest};

use port::Port;

/// How long a rehearsed connection may take.
const DIAL: Duration = Duration::from_millis(500);

fn main() {
    match root::first_mounts().and_then(|()| modules::load()).and_then(|()| Port::open()) {
        Ok(mut port) => {
            if let Err(error) = serve(&mut port) {
                let (step, cause) = (error.to_string(), format!("{:#}", error.root_cause()));
                eprintln!("weft-init: {error:#}");
                // Whoever would hear it may be gone.
                let _ = port.say(&FromGuest::Failed { step, cause });
            }
        }
        // Nobody can be told but the console.
        Err(error) => eprintln!("weft-init: {error:#}"),
    }
    // Not before the other side has read the last word.
    std::thread::sleep(Duration::from_millis(50));
    let off = rustix::system::reboot(RebootCommand::PowerOff);
    eprintln!("weft-init: the machine cannot be turned off: {off:?}");
}

/// From the first word to the end of the program.
fn serve(port: &mut Port) -> Result<()> {
    port.say(&FromGuest::Hello)?;
    let (program, identity) = loop {
        match port.hear(None)? {
            Some(ToGuest::Boot { program, identity }) => break (program, identity),
            Some(ToGuest::Tell) => port.say(&FromGuest::Hello)?,
            Some(ToGuest::Become(_) | ToGuest::Rehearse(_)) => {
                bail!("told to be somebody else before there was anything to run")
            }
            None => {}
        }
    };
    root::enter(program.disk_bytes).context("bring up the root file system")?;
    become_who(&identity)?;
    let mut child = program::start(&program).context("start the program")?;
    let mut watch = watch::Watch::new(program.port);
    loop {
        match port.hear(Some(watch.pause()))? {
            Some(ToGuest::Become(identity)) => {
                become_who(&identity)?;
                port.say(&FromGuest::Became)?;
            }
            Some(ToGuest::Rehearse(network)) => {
                rehearse(network, program.port)?;
                port.say(&FromGuest::Became)?;
            }
            Some(ToGuest::Tell) => watch.forget(),
            Some(ToGuest::Boot { .. }) => bail!("told to boot a second time"),
            None => {}
        }
        if let Some(status) = program::reap(&mut child)? {
            port.say(&FromGuest::Exited { status, out_of_memory: program::ran_out_of_memory() })?;
            return Ok(());
        }
        for news in watch.look() {
            port.say(&news)?;
        }
    }
}

/// Sets the network up and down again, with a connection in between that says nothing. What executes guests without KVM
/// translates all that they do for the first time.
fn rehearse(network: Network, port: u16) -> Result<()> {
    link::set_up(Some(network)).context("rehearse the network")?;
    // A program that does not answer now is no worse for it.
    let _ = TcpStream::connect_timeout(&SocketAddr::from((network.ip, port)), DIAL);
    link::set_up(None).context("rehearse the network")
}

/// Takes on an identity: clock, name, network, random numbers of its own.
fn become_who(identity: &Identity) -> Result<()> {
    root::stir(&identity.entropy).context("stir the random numbers")?;
    let ns = i64::try_from(identity.unix_ns).context("a time of this century")?;
    let time = rustix::time::Timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 };
    rustix::time::clock_settime(rustix::time::ClockId::Realtime, time).context("set the clock")?;
    rustix::system::sethostname(identity.hostname.as_bytes()).context("set the host name")?;
    link::set_up(identity.network).context("set up the network")
}
