//! Names and addresses of one agent. In: a name. Out: a directory, bridge and subnet that nobody else has; what an
//! earlier, killed run left under these names, and the means to clear it.
use std::fs;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::cgroup;
use crate::containerd::{self, Process};

/// Blocks of 512 addresses in 10.128.0.0/9: one half for instances, one for addresses that callers dial.
const BLOCKS: u32 = 1 << 14;
const BLOCKS_BASE: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);
const BLOCK_LEN: u32 = 512;

/// Where everything of one agent is.
#[derive(Debug)]
pub struct Place {
    name: String,
    directory: PathBuf,
    block: Block,
    _name: UnixListener,
}

/// A block of addresses, held against other processes for as long as this lives.
#[derive(Debug)]
struct Block {
    index: u32,
    _held: UnixListener,
}

impl Place {
    /// Names that are the same at every run.
    pub(super) fn fixed(name: &str) -> Result<Self> {
        Self::called(format!("weft-{name}"))
    }

    /// Names that no other place has.
    ///
    /// # Errors
    /// When no block of addresses is free.
    pub fn unique(name: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::called(format!("weft-{name}-{}-{count}", std::process::id()))
    }

    fn called(name: String) -> Result<Self> {
        let directory = Path::new("/run").join(&name);
        let held =
            hold(&name).with_context(|| format!("another run called {name} is under way; end it first"))?;
        Ok(Self { name, directory, block: Block::take()?, _name: held })
    }

    /// Its name, which is also that of its cgroup.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory of all its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The agent's configuration.
    pub fn config(&self) -> PathBuf {
        self.directory.join("agent.toml")
    }

    /// The agent's log.
    pub fn log(&self) -> PathBuf {
        self.directory.join("agent.log")
    }

    /// Where the agent keeps what it has learned.
    pub fn state(&self) -> PathBuf {
        self.directory.join("learned")
    }

    /// The agent's control socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("weft.sock")
    }

    /// The bridge of its instances.
    pub fn bridge(&self) -> String {
        format!("weftb{}", self.block.index)
    }

    /// First address of its instances' subnet, a /24.
    pub fn subnet_base(&self) -> Ipv4Addr {
        self.block.base()
    }

    /// First address of another /24, for what callers dial.
    pub fn dial_base(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.block.base().to_bits() + BLOCK_LEN / 2)
    }

    /// Removes what is left under these names by whoever had them before, or by this one.
    ///
    /// # Errors
    /// What cannot be removed.
    pub fn clear(&self) -> Result<()> {
        // An earlier run had another block; its configuration tells the bridge's name.
        let before = fs::read_to_string(self.config()).ok().and_then(|text| bridge_in(&text));
        let (config, socket) = (self.config(), self.socket());
        for process in self.processes() {
            // The rest is containerd's, which knows in what order to end it.
            if process.value_of("--config") == config.to_str()
                || process.value_of("--socket") == socket.to_str()
                // A VM.
                || process.value_of("-pidfile").is_some_and(|file| Path::new(file).starts_with(&self.directory))
            {
                process.kill_and_wait();
            }
        }
        containerd::clear(&self.directory)?;
        for bridge in before.into_iter().chain([self.bridge()]) {
            if link_exists(&bridge) {
                let deleted = Command::new("ip").args(["link", "delete", &bridge]).status();
                let deleted = deleted.context("start ip (apt-get install iproute2)")?;
                ensure!(deleted.success() || !link_exists(&bridge), "the bridge {bridge} cannot be deleted");
            }
        }
        cgroup::clear(&self.name)
    }

    /// What is there under these names: processes, mounts, links, cgroups, files. A program in the kernel is not
    /// listed: without its agent and its cgroup none is attached.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left: Vec<_> = self.processes().map(|process| format!("process {}", process.pid)).collect();
        let mounts = containerd::mounts_below(&self.directory).unwrap_or_default();
        left.extend(mounts.iter().map(|point| format!("mount {}", point.display())));
        left.extend(self.links().into_iter().map(|link| format!("link {link}")));
        left.extend(cgroup::traces(&self.name).iter().map(|path| format!("cgroup {}", path.display())));
        if self.directory.exists() {
            left.push(format!("directory {}", self.directory.display()));
        }
        left
    }

    /// The bridge, and the ends of instances' pairs: these are named after addresses of the subnet.
    pub(super) fn links(&self) -> Vec<String> {
        let base = self.subnet_base().to_bits();
        let is_ours = |name: &str| {
            let address = name.strip_prefix("weft").and_then(|digits| u32::from_str_radix(digits, 16).ok());
            name == self.bridge() || address.is_some_and(|address| address & !0xff == base)
        };
        let names = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        names.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_ours(name)).collect()
    }

    /// Whatever names a file of the directory in its command line, this process apart.
    fn processes(&self) -> impl Iterator<Item = Process> {
        let below = format!("{}/", self.directory.display());
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        containerd::processes().filter(move |process| process.pid != own && process.names(&below))
    }
}

impl Block {
    /// The first free block, beginning at one that differs from process to process.
    fn take() -> Result<Self> {
        let first = std::process::id().wrapping_mul(31) % BLOCKS;
        let used = used_networks()?;
        for index in (first..BLOCKS).chain(0..first) {
            let base = BLOCKS_BASE.to_bits() + index * BLOCK_LEN;
            let overlaps =
                |&(network, mask): &(u32, u32)| network & !(BLOCK_LEN - 1) == base || base & mask == network;
            if used.iter().any(overlaps) {
                continue;
            }
            if let Ok(held) = hold(&format!("weft-block-{index}")) {
                return Ok(Self { index, _held: held });
            }
        }
        anyhow::bail!("every /23 of {BLOCKS_BASE}/9 is in use")
    }

    fn base(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(BLOCKS_BASE.to_bits() + self.index * BLOCK_LEN)
    }
}

/// Holds a word against other processes: a socket's name without a file, free again when its holder ends.
fn hold(word: &str) -> std::io::Result<UnixListener> {
    UnixListener::bind_addr(&UnixAddr::from_abstract_name(word)?)
}

/// Networks with a route of their own, with their masks.
fn used_networks() -> Result<Vec<(u32, u32)>> {
    let table = fs::read_to_string("/proc/net/route").context("read /proc/net/route")?;
    let network = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        // Written as the machine holds them: the first byte of the address is the lowest.
        let number = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok().map(u32::swap_bytes);
        Some((number(1)?, number(7)?)).filter(|(_, mask)| *mask != 0)
    };
    Ok(table.lines().skip(1).filter_map(network).collect())
}

fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn bridge_in(config: &str) -> Option<String> {
    let value = config.lines().find_map(|line| line.strip_prefix("bridge = "))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_places_share_neither_names_nor_addresses() {
        let (one, other) = (Place::unique("same").unwrap(), Place::unique("same").unwrap());
        assert_ne!(one.name(), other.name());
        assert_ne!(one.subnet_base(), other.subnet_base());
        assert_ne!(one.bridge(), other.bridge());
        assert_ne!(one.dial_base(), one.subnet_base());
        assert!(one.bridge().len() <= 15);
    }

    #[test]
    fn a_place_that_was_never_used_has_left_nothing() {
        let place = Place::unique("unused").unwrap();
        assert_eq!(place.leftovers(), Vec::<String>::new());
        std::fs::create_dir(place.directory()).unwrap();
        assert_eq!(place.leftovers(), [format!("directory {}", place.directory().display())]);
        place.clear().unwrap();
        assert_eq!(place.leftovers(), Vec::<String>::new());
    }
}
