//! Network namespaces for the references, made beforehand and not timed: what weft makes for each container is here
//! given for nothing. In: a free range of addresses. Out: namespaces with an address each, on a bridge of their own; at
//! the end, nothing. What an earlier, killed run left under these names is cleared.
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::super::run_program;

const BRIDGE: &str = "weft-bench-br";
const PREFIX_LEN: u8 = 28;
/// The rooms of this network.
const NAMES: [&str; 2] = ["weft-bench-0", "weft-bench-1"];
/// Where the image's program listens.
const PORT: u16 = 8080;

/// A namespace in which a container can be put.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// Its file.
    pub(super) netns: PathBuf,
    /// Where a program in it answers.
    pub(super) address: SocketAddr,
}

/// A bridge with two rooms; dropping it removes them.
#[derive(Debug)]
pub(super) struct Rooms {
    base: Ipv4Addr,
}

impl Rooms {
    /// Makes them; `base` is the first of 16 addresses that nobody else uses.
    ///
    /// # Errors
    /// What `ip` said.
    pub(super) fn make(base: Ipv4Addr) -> Result<Self> {
        clear()?;
        let this = Self { base };
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["address", "add", &format!("{}/{PREFIX_LEN}", this.host(1)), "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        for (index, name) in NAMES.into_iter().enumerate() {
            ip(&["netns", "add", name])?;
            ip(&["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name])?;
            ip(&["link", "set", name, "master", BRIDGE, "up"])?;
            let address = format!("{}/{PREFIX_LEN}", this.host(2 + index as u32));
            ip(&["-netns", name, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-netns", name, "link", "set", "eth0", "up"])?;
            ip(&["-netns", name, "link", "set", "lo", "up"])?;
            let gateway = this.host(1).to_string();
            ip(&["-netns", name, "route", "add", "default", "via", &gateway])?;
        }
        Ok(this)
    }

    /// The rooms, in the order of their addresses.
    pub(super) fn rooms(&self) -> [Room; 2] {
        let room = |index: usize| Room {
            netns: Path::new("/run/netns").join(NAMES[index]),
            address: SocketAddr::from((self.host(2 + index as u32), PORT)),
        };
        [room(0), room(1)]
    }

    fn host(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits() + number)
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        if let Err(error) = clear() {
            eprintln!("left behind by the benchmark: {error:#}");
        }
    }
}

/// Removes the namespaces, with them their pairs, and the bridge.
fn clear() -> Result<()> {
    for name in NAMES {
        if Path::new("/run/netns").join(name).exists() {
            ip(&["netns", "delete", name])?;
        }
        // The kernel removes a pair with its namespace, but in its own time.
        if is_link(name) {
            ip(&["link", "delete", name]).or_else(|error| if is_link(name) { Err(error) } else { Ok(()) })?;
        }
    }
    if is_link(BRIDGE) {
        ip(&["link", "delete", BRIDGE])?;
    }
    Ok(())
}

fn is_link(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn ip(arguments: &[&str]) -> Result<()> {
    run_program("ip", arguments).map(drop).context("make the network of the references")
}
