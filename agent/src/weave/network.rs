//! Gives every instance a network of its own, on one bridge.
//!
//! In: the ID of an instance. Out: an [`Attachment`]: a network namespace with an address that the node and all other
//! instances reach. Refuses an ID that is attached already, and attaches no more than the subnet holds.
//!
//! A namespace is held by a descriptor, then by the instance's processes too, and by no file: nothing is mounted, so the
//! agent may run in a container that shows the node none of its mounts, and nothing is left of an agent that died.
//!
//! Only two nodes of the network are needed, the bridge (with the gateway address) and the instances behind it, so
//! nothing here turns on forwarding, and no packet filter is touched: whether instances reach beyond the node is
//! the node's own policy (Kubernetes nodes forward already).
//!
//! IPv4 only. Works in whatever network namespace the calling thread is in.
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use futures::{Future, StreamExt};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo,
    LinkMessage,
};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use rustix::io::{DupFlags, Errno, dup3};
use rustix::thread::UnshareFlags;
use spare::Spare;
use tokio::sync::{Notify, oneshot};

use crate::runtime::InstanceId;

pub mod spare;
pub mod tap;

/// What the instances' interface is called inside their namespace.
const INSTANCE_LINK: &str = "eth0";

/// Where the instances live.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Name of the bridge; at most 15 bytes.
    pub bridge: String,
    /// First address of the subnet, e.g. 10.201.0.0. The next one is the gateway's, on the bridge.
    pub base: Ipv4Addr,
    /// Length of the subnet's prefix in bits, 8 to 29.
    pub prefix_len: u8,
}

impl NetworkConfig {
    /// The address of the bridge: the way out of every instance.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits() + 1)
    }

    /// The addresses instances may have: all but the network's, the gateway's and the broadcast address.
    fn instance_addresses(&self) -> std::ops::Range<u32> {
        let base = self.base.to_bits();
        base + 2..base + (1 << (32 - self.prefix_len)) - 1
    }
}

/// The network of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where the container runtime finds the namespace, to be named in the container's spec: a descriptor of this
    /// process, open until the instance is detached. The runtime must know this process by the same ID.
    pub netns: PathBuf,
    /// The instance's address.
    pub ip: Ipv4Addr,
    /// The node's end of the pair, on the bridge.
    pub veth: String,
    /// Whether all of it is there already; else it is to be made by [`Network::enter`] and [`Network::furnish`].
    pub furnished: bool,
}

/// A network namespace that was made and has nothing in it yet.
#[derive(Debug)]
pub struct Namespace {
    inside: Handle,
    netns: OwnedFd,
    ip: Ipv4Addr,
}

/// Why the network of an instance cannot be made or taken away.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The subnet leaves no room for instances, or is larger than weft counts.
    #[error("the subnet {base}/{prefix_len} is not between /8 and /29, or does not start there")]
    Subnet {
        /// As configured.
        base: Ipv4Addr,
        /// As configured.
        prefix_len: u8,
    },
    /// Every address is taken.
    #[error("all {count} addresses of {base}/{prefix_len} are taken")]
    SubnetFull {
        /// How many there are.
        count: usize,
        /// As configured.
        base: Ipv4Addr,
        /// As configured.
        prefix_len: u8,
    },
    /// The instance has a network already.
    #[error("instance `{id}` is attached already")]
    Attached {
        /// Which one.
        id: InstanceId,
    },
    /// The configured bridge is a link of another kind.
    #[error("`{name}` is no bridge. Name a bridge, or one that is not there yet: weft makes it")]
    NoBridge {
        /// As configured.
        name: String,
    },
    /// An adopted address is not of this subnet, or belongs to two instances.
    #[error("instance `{id}` cannot keep {ip}: it is outside the subnet or taken")]
    Address {
        /// Which one.
        id: InstanceId,
        /// What it has.
        ip: Ipv4Addr,
    },
    /// The kernel refused a change of links, addresses or routes.
    #[error("{operation} `{subject}`: {source}")]
    Netlink {
        /// What was tried.
        operation: &'static str,
        /// The link or instance.
        subject: String,
        /// What the kernel said.
        source: rtnetlink::Error,
    },
    /// A namespace cannot be made or handed over.
    #[error("{operation} `{subject}`: {source}")]
    Namespace {
        /// What was tried.
        operation: &'static str,
        /// The link or instance.
        subject: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Whose the bridge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BridgeOwner {
    /// weft made it, this agent or an earlier one.
    Weft,
    /// It was there; it stays.
    Other {
        /// Whether weft gave it the gateway's address, and takes it away again.
        address_is_ours: bool,
    },
}

/// The bridge and who is attached to it.
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    handle: Handle,
    bridge_index: u32,
    owner: BridgeOwner,
    leases: Mutex<Leases>,
    /// How many networks are to stand ahead, and the word that there may be fewer.
    wanted: AtomicUsize,
    refill: Notify,
}

/// Which addresses are taken. Addresses are handed out in a round, so that one which was just released rests as
/// long as possible.
#[derive(Debug)]
struct Leases {
    by_instance: HashMap<InstanceId, Lease>,
    taken: HashSet<u32>,
    next: u32,
    /// Networks that nobody has yet, and the address of one in the making.
    spare: VecDeque<Spare>,
    making: Option<Ipv4Addr>,
}

impl Leases {
    fn next_address(&mut self, range: std::ops::Range<u32>) -> Option<Ipv4Addr> {
        let free =
            (self.next..range.end).chain(range.start..self.next).find(|ip| !self.taken.contains(ip))?;
        self.next = if free + 1 < range.end { free + 1 } else { range.start };
        self.taken.insert(free);
        Some(Ipv4Addr::from_bits(free))
    }

    fn lease(&mut self, id: &InstanceId, ip: Ipv4Addr, netns: OwnedFd, furnished: bool) -> Attachment {
        let path = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd()).into();
        self.by_instance.insert(id.clone(), Lease { ip, netns: Some(netns) });
        Attachment { netns: path, ip, veth: veth_of(ip), furnished }
    }
}

#[derive(Debug)]
struct Lease {
    ip: Ipv4Addr,
    /// Keeps the namespace until the instance's own processes do; nothing before it is made. `None` for one that
    /// an earlier agent attached.
    netns: Option<OwnedFd>,
}

impl Network {
    /// Makes the bridge with the gateway's address, or takes over the one of that name.
    ///
    /// # Errors
    /// [`NetworkError::Subnet`] for a subnet that cannot be used; otherwise what the kernel said.
    pub async fn open(config: NetworkConfig) -> Result<Self, NetworkError> {
        let NetworkConfig { base, prefix_len, .. } = config;
        if !(8..=29).contains(&prefix_len) || base.to_bits().trailing_zeros() < u32::from(32 - prefix_len) {
            return Err(NetworkError::Subnet { base, prefix_len });
        }
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|source| namespace("open netlink for", &config.bridge, source))?;
        tokio::spawn(connection);
        let (bridge_index, owner) = open_bridge(&handle, &config).await?;
        let next = config.instance_addresses().start;
        let (by_instance, taken) = (HashMap::new(), HashSet::new());
        let leases = Mutex::new(Leases { by_instance, taken, next, spare: VecDeque::new(), making: None });
        let (wanted, refill) = (AtomicUsize::new(spare::SPARE_MIN), Notify::new());
        Ok(Self { config, handle, bridge_index, owner, leases, wanted, refill })
    }

    /// The address of the bridge.
    pub fn gateway(&self) -> Ipv4Addr {
        self.config.gateway()
    }

    /// Gives an instance an address and names: of a network that stands, or of one that is to be made.
    ///
    /// # Errors
    /// [`NetworkError::Attached`] or [`NetworkError::SubnetFull`]; [`NetworkError::Namespace`] without a descriptor.
    pub fn reserve(&self, id: &InstanceId) -> Result<Attachment, NetworkError> {
        let NetworkConfig { base, prefix_len, .. } = self.config;
        if let Some(attachment) = self.take_spare(id)? {
            return Ok(attachment);
        }
        let range = self.config.instance_addresses();
        // Its number is the name under which the namespace will be found.
        let place = fs::File::open("/dev/null")
            .map_err(|source| namespace("reserve a descriptor for", id, source))?;
        let mut leases = self.leases();
        if leases.by_instance.contains_key(id) {
            return Err(NetworkError::Attached { id: id.clone() });
        }
        let count = range.len();
        let ip = leases.next_address(range).ok_or(NetworkError::SubnetFull { count, base, prefix_len })?;
        Ok(leases.lease(id, ip, place.into(), false))
    }

    /// A network that stands, if there is one.
    fn take_spare(&self, id: &InstanceId) -> Result<Option<Attachment>, NetworkError> {
        let mut leases = self.leases();
        if leases.by_instance.contains_key(id) {
            return Err(NetworkError::Attached { id: id.clone() });
        }
        let Some(Spare { ip, netns }) = leases.spare.pop_front() else { return Ok(None) };
        self.refill.notify_one();
        Ok(Some(leases.lease(id, ip, netns, true)))
    }

    /// Makes the namespace that was reserved: what the container runtime needs to make a process in it. Nothing is in it
    /// before [`Network::furnish`].
    ///
    /// # Errors
    /// What the kernel said.
    pub async fn enter(&self, id: &InstanceId) -> Result<Namespace, NetworkError> {
        let reserved = self.leases().by_instance.get(id).map(|lease| lease.ip);
        let ip = reserved.ok_or_else(|| namespace("attach", id, io::ErrorKind::NotFound.into()))?;
        let (inside, netns) = make_namespace(&veth_of(ip)).await?;
        self.hand_over(id, &netns)?;
        Ok(Namespace { inside, netns, ip })
    }

    /// Gives a namespace its link to the bridge, its address and its route; to be done before a program runs in it. A
    /// failure, or a future dropped half-way, is cleaned up by [`Network::detach`].
    ///
    /// # Errors
    /// What the kernel said.
    pub async fn furnish(&self, made: Namespace) -> Result<(), NetworkError> {
        let Namespace { inside, netns, ip } = made;
        self.join_bridge(&inside, &netns, ip).await
    }

    async fn join_bridge(&self, inside: &Handle, netns: &OwnedFd, ip: Ipv4Addr) -> Result<(), NetworkError> {
        let veth = veth_of(ip);
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(INSTANCE_LINK)
            .address(mac_of(ip))
            .setns_by_fd(netns.as_raw_fd())
            .build();
        let pair = LinkMessageBuilder::<LinkVeth>::new(&veth, INSTANCE_LINK)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .controller(self.bridge_index)
            .up()
            .build();
        // A pair of that name can only be a leftover: the address in it is ours.
        delete_link(&self.handle, &veth).await?;
        netlink("make the pair", &veth, self.handle.link().add(pair).execute()).await?;
        self.configure_inside(inside, ip, &veth).await
    }

    /// Puts the namespace where the container runtime looks for it: in the place of what was reserved.
    fn hand_over(&self, id: &InstanceId, netns: &OwnedFd) -> Result<(), NetworkError> {
        let failed = |source| namespace("hand over the namespace of", id, source);
        let mut leases = self.leases();
        let place = leases.by_instance.get_mut(id).and_then(|lease| lease.netns.as_mut());
        let place = place.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        dup3(netns, place, DupFlags::CLOEXEC).map_err(|errno| failed(errno.into()))
    }

    /// Takes away the network of an instance and releases its address. One that is not attached is no error.
    ///
    /// # Errors
    /// What the kernel said; the address stays taken and the call may be repeated.
    pub async fn detach(&self, id: &InstanceId) -> Result<(), NetworkError> {
        let Some(ip) = self.leases().by_instance.get(id).map(|lease| lease.ip) else { return Ok(()) };
        delete_link(&self.handle, &veth_of(ip)).await?;
        let mut leases = self.leases();
        if leases.by_instance.remove(id).is_some() {
            leases.taken.remove(&ip.to_bits());
            self.refill.notify_one();
        }
        Ok(())
    }

    /// Whether an instance can have this address.
    pub fn has(&self, ip: Ipv4Addr) -> bool {
        self.config.instance_addresses().contains(&ip.to_bits())
    }

    /// Takes over the networks that an earlier agent made for instances which still live. Those of all others end with
    /// their processes. To be called once, before the first [`Network::reserve`].
    ///
    /// # Errors
    /// [`NetworkError::Address`] for an address that cannot be kept.
    pub fn adopt(
        &self,
        living: impl IntoIterator<Item = (InstanceId, Ipv4Addr)>,
    ) -> Result<(), NetworkError> {
        let mut leases = self.leases();
        for (id, ip) in living {
            if !self.has(ip) || !leases.taken.insert(ip.to_bits()) {
                return Err(NetworkError::Address { id, ip });
            }
            leases.by_instance.insert(id, Lease { ip, netns: None });
        }
        Ok(())
    }

    /// Removes the bridge, if it is weft's own and nothing is attached; from another's, what weft gave it.
    ///
    /// # Errors
    /// What the kernel said.
    pub async fn close(self) -> Result<(), NetworkError> {
        self.drop_spare().await?;
        if !self.leases().by_instance.is_empty() {
            return Ok(());
        }
        match self.owner {
            BridgeOwner::Weft => delete_link(&self.handle, &self.config.bridge).await,
            BridgeOwner::Other { address_is_ours: true } => self.take_address_back().await,
            BridgeOwner::Other { address_is_ours: false } => Ok(()),
        }
    }

    async fn take_address_back(&self) -> Result<(), NetworkError> {
        let gateway = IpAddr::V4(self.config.gateway());
        let addresses = self.handle.address().get().set_link_index_filter(self.bridge_index);
        let mut found = std::pin::pin!(addresses.set_address_filter(gateway).execute());
        let failed = |source| NetworkError::Netlink {
            operation: "find the gateway's address of",
            subject: self.config.bridge.clone(),
            source,
        };
        while let Some(address) = found.next().await.transpose().map_err(failed)? {
            let remove = self.handle.address().del(address).execute();
            netlink("take the gateway's address from", &self.config.bridge, remove).await?;
        }
        Ok(())
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        // No code panics while it holds the lock with the books half-written.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn configure_inside(
        &self,
        inside: &Handle,
        ip: Ipv4Addr,
        subject: &str,
    ) -> Result<(), NetworkError> {
        let up = LinkUnspec::new_with_name("lo").up().build();
        netlink("bring up lo behind", subject, inside.link().set(up).execute()).await?;
        let Some(link) = find_link(inside, INSTANCE_LINK).await? else {
            // The pair was removed behind our back: the same as never having made it.
            return Err(namespace("find eth0 behind", subject, io::ErrorKind::NotFound.into()));
        };
        // IPv4 only: without this every pair sends router solicitations over the bridge. A kernel without IPv6 knows
        // no such setting.
        let silent = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        let silent = LinkUnspec::new_with_index(link.header.index)
            .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![silent]))
            .build();
        let _ = inside.link().set(silent).execute().await;
        // Not while it is made: the kernel opens this end before it knows the other, and refuses.
        let up = LinkUnspec::new_with_index(link.header.index).up().build();
        netlink("bring up the end behind", subject, inside.link().set(up).execute()).await?;
        let address = inside.address().add(link.header.index, ip.into(), self.config.prefix_len);
        netlink("give an address to", subject, address.execute()).await?;
        let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(self.gateway()).build();
        netlink("add the default route behind", subject, inside.route().add(route).execute()).await
    }
}

async fn open_bridge(handle: &Handle, config: &NetworkConfig) -> Result<(u32, BridgeOwner), NetworkError> {
    let name = &config.bridge;
    let mut found = find_link(handle, name).await?;
    // An agent that was killed left its bridge; it is known by the address that only weft gives.
    let mac = LinkAttribute::Address(mac_of(config.gateway()));
    let is_ours = found.as_ref().is_none_or(|link| link.attributes.contains(&mac));
    if found.as_ref().is_some_and(|link| !is_bridge(link)) {
        return Err(NetworkError::NoBridge { name: name.clone() });
    }
    if found.is_none() {
        // A bridge without an address of its own takes the lowest of its ports', which come and go: neighbours
        // would send to an address that is no longer there.
        let message =
            LinkMessageBuilder::<LinkBridge>::new(name).address(mac_of(config.gateway())).up().build();
        netlink("make the bridge", name, handle.link().add(message).execute()).await?;
        found = find_link(handle, name).await?;
    } else {
        let up = LinkUnspec::new_with_name(name).up().build();
        netlink("bring up the bridge", name, handle.link().set(up).execute()).await?;
    }
    let missing = || namespace("find the bridge", name, io::ErrorKind::NotFound.into());
    let index = found.ok_or_else(missing)?.header.index;
    let address = handle.address().add(index, IpAddr::V4(config.gateway()), config.prefix_len);
    let given = match netlink("give the gateway's address to", name, address.execute()).await {
        Err(error) if errno(&error) != Some(Errno::EXIST) => return Err(error),
        given => given.is_ok(),
    };
    let owner = if is_ours { BridgeOwner::Weft } else { BridgeOwner::Other { address_is_ours: given } };
    Ok((index, owner))
}

fn is_bridge(link: &LinkMessage) -> bool {
    let kind = |info: &LinkInfo| matches!(info, LinkInfo::Kind(InfoKind::Bridge));
    let of_link = |attribute: &LinkAttribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().any(kind),
        _ => false,
    };
    link.attributes.iter().any(of_link)
}

/// The address makes the name unique on this bridge and short enough for the kernel.
fn veth_of(ip: Ipv4Addr) -> String {
    format!("weft{:08x}", ip.to_bits())
}

/// Always the same for the same address: a neighbour that still remembers the last holder is right by accident.
fn mac_of(ip: Ipv4Addr) -> Vec<u8> {
    let [a, b, c, d] = ip.octets();
    // 02: locally administered, unicast.
    vec![0x02, b'w', a, b, c, d]
}

async fn find_link(handle: &Handle, name: &str) -> Result<Option<LinkMessage>, NetworkError> {
    let links = handle.link().get().match_name(name).execute();
    let mut links = std::pin::pin!(links);
    match links.next().await.transpose() {
        Ok(link) => Ok(link),
        Err(source) => {
            let error = NetworkError::Netlink { operation: "find", subject: name.to_owned(), source };
            if errno(&error) == Some(Errno::NODEV) { Ok(None) } else { Err(error) }
        }
    }
}

async fn delete_link(handle: &Handle, name: &str) -> Result<(), NetworkError> {
    let message = LinkUnspec::new_with_name(name).build();
    match netlink("remove", name, handle.link().del_with_message(message).execute()).await {
        Err(error) if errno(&error) != Some(Errno::NODEV) => Err(error),
        _ => Ok(()),
    }
}

async fn netlink(
    operation: &'static str,
    subject: &str,
    request: impl Future<Output = Result<(), rtnetlink::Error>>,
) -> Result<(), NetworkError> {
    request.await.map_err(|source| NetworkError::Netlink { operation, subject: subject.to_owned(), source })
}

fn namespace(operation: &'static str, subject: impl ToString, source: io::Error) -> NetworkError {
    NetworkError::Namespace { operation, subject: subject.to_string(), source }
}

/// What the kernel answered, if it did.
fn errno(error: &NetworkError) -> Option<Errno> {
    match error {
        NetworkError::Netlink { source: rtnetlink::Error::NetlinkError(message), .. } => {
            message.code.map(|code| Errno::from_raw_os_error(-code.get()))
        }
        _ => None,
    }
}

/// Makes a namespace, and returns a connection to the kernel's side of it and the descriptor that keeps it.
///
/// On a thread that ends with it: a thread that has left the agent's namespace must never run anything else.
async fn make_namespace(subject: &str) -> Result<(Handle, OwnedFd), NetworkError> {
    let reactor = tokio::runtime::Handle::current();
    let (sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name("weft-netns".to_owned());
    let made = thread.spawn(move || {
        let _reactor = reactor.enter();
        let made = enter_new_namespace().and_then(|netns| Ok((rtnetlink::new_connection()?, netns)));
        // A caller that has gone away closes the namespace with its descriptor.
        let _ = sender.send(made);
    });
    let failed = |source| namespace("make the namespace behind", subject, source);
    made.map_err(failed)?;
    let made = receiver.await.map_err(|_| failed(io::ErrorKind::BrokenPipe.into()))?;
    let ((connection, handle, _), netns) = made.map_err(failed)?;
    // Ends when the handle is dropped.
    tokio::spawn(connection);
    Ok((handle, netns))
}

fn enter_new_namespace() -> io::Result<OwnedFd> {
    #[expect(
        deprecated,
        reason = "the unsafe twin warns of FILES alone; NEWNET touches no memory or descriptor"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNET)?;
    Ok(fs::File::open("/proc/thread-self/ns/net")?.into())
}
