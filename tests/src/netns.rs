//! A network namespace of one's own. In: a name. Out: a namespace with its loopback up, in which the test can dial. It is
//! gone when dropped. Refuses a name that is taken.
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::containerd::run;

/// A namespace that `ip netns` knows.
#[derive(Debug)]
pub struct Netns(String);

impl Netns {
    /// Makes it.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn make(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name])).context("ip (apt-get install iproute2)")?;
        let made = Self(name.to_owned());
        run(Command::new("ip").args(["-n", name, "link", "set", "lo", "up"]))?;
        Ok(made)
    }

    /// Where the container runtime finds it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.0)
    }

    /// Does something inside of it, on a thread that ends with it.
    ///
    /// # Errors
    /// When it cannot be entered, or what `what` said.
    pub fn inside<T: Send + 'static>(&self, what: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let namespace = std::fs::File::open(self.path())?;
        let thread = std::thread::spawn(move || {
            let entered = move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&namespace),
                Some(LinkNameSpaceType::Network),
            );
            entered.context("enter a network namespace")?;
            what()
        });
        thread.join().map_err(|_| anyhow!("what was done inside the namespace has panicked"))?
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("ip").args(["netns", "delete", &self.0])) {
            eprintln!("left behind: the network namespace {}: {error:#}", self.0);
        }
    }
}
