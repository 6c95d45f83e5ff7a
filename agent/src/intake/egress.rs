//! The only way out of a container that installs libraries. In: the hosts that it may reach. Out: a network namespace that
//! has nothing but a loopback, and on it an HTTP proxy that the agent answers from outside. Refuses everything but
//! `CONNECT` to the TLS port of a host that is allowed; without a list of hosts, of any host that is not the node's or its
//! neighbours'.
//!
//! What a package's build script could reach is so no more than what the package manager has to: not the node, not the
//! cluster, not the cloud's metadata service.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rtnetlink::{LinkUnspec, new_connection};
use rustix::thread::UnshareFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Where the proxy is found inside.
const PORT: u16 = 3128;
const TLS: u16 = 443;
/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(30);
/// Refused hosts that are kept for the message.
const REFUSED_MAX: usize = 8;

/// A network of one container, and its way out. Dropping it closes both.
#[derive(Debug)]
pub(super) struct Egress {
    namespace: OwnedFd,
    serving: Option<JoinHandle<()>>,
    refused: Refused,
}

type Refused = Arc<Mutex<BTreeSet<String>>>;

impl Egress {
    /// A network from which nothing can be reached.
    pub(super) async fn closed() -> io::Result<Self> {
        let (namespace, _) = make_namespace().await?;
        Ok(Self { namespace, serving: None, refused: Refused::default() })
    }

    /// A network from which these hosts can be reached through [`Self::proxy`].
    pub(super) async fn to(hosts: Hosts) -> io::Result<Self> {
        let (namespace, listener) = make_namespace().await?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let refused = Refused::default();
        let serving = tokio::spawn(serve(listener, Arc::new(hosts), Arc::clone(&refused)));
        Ok(Self { namespace, serving: Some(serving), refused })
    }

    /// Where the container runtime finds the namespace.
    pub(super) fn netns(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into()
    }

    /// The proxy's address, as seen from inside.
    pub(super) fn proxy() -> String {
        format!("http://127.0.0.1:{PORT}")
    }

    /// The hosts that were asked for and refused.
    pub(super) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Which hosts may be reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    /// `name`, or `.name` for all below it; empty for all that are public.
    pub(super) allowed: Vec<String>,
}

impl Hosts {
    fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let fits = |rule: &String| match rule.strip_prefix('.') {
            Some(_) => host.ends_with(rule.as_str()),
            None => host == *rule,
        };
        self.allowed.is_empty() || self.allowed.iter().any(fits)
    }

    /// A host that its owner has named may be anywhere; another one must be public.
    fn allows_address(&self, address: IpAddr) -> bool {
        !self.allowed.is_empty() || is_public(address)
    }
}

fn is_public(address: IpAddr) -> bool {
    let near = match address.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            let special = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast();
            special || shared || ip.is_private() || ip.is_link_local()
        }
        IpAddr::V6(ip) => {
            let special = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
            special || ip.is_unique_local() || ip.is_unicast_link_local()
        }
    };
    !near
}

async fn serve(listener: TcpListener, hosts: Arc<Hosts>, refused: Refused) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut tunnels = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((client, _)) = listener.accept().await else { continue };
        let (hosts, refused) = (Arc::clone(&hosts), Arc::clone(&refused));
        // They end with this task, since the set is dropped with it.
        tunnels.spawn(async move {
            let _place = place;
            // Whoever is at the other end sees it break off.
            let _ = tunnel(client, &hosts, &refused).await;
        });
        while tunnels.try_join_next().is_some() {}
    }
}

async fn tunnel(mut client: TcpStream, hosts: &Hosts, refused: &Refused) -> io::Result<()> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let head = timeout(PATIENCE, read_head(&mut client)).await.map_err(late)??;
    let Some((host, port)) = target(&head) else {
        return client.write_all(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n").await;
    };
    let reached = if port == TLS && hosts.allows(host) { reach(host, hosts).await } else { None };
    let Some(mut server) = reached else {
        note(refused, format!("{host}:{port}"));
        return client.write_all(b"HTTP/1.1 403 Not an allowed host\r\nContent-Length: 0\r\n\r\n").await;
    };
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

fn note(refused: &Refused, host: String) {
    let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
    if refused.len() < REFUSED_MAX {
        refused.insert(host);
    }
}

/// The address is looked up once, so what was checked is what is dialled.
async fn reach(host: &str, hosts: &Hosts) -> Option<TcpStream> {
    let found = timeout(PATIENCE, tokio::net::lookup_host((host, TLS))).await.ok()?.ok()?;
    let addresses: Vec<SocketAddr> = found.filter(|address| hosts.allows_address(address.ip())).collect();
    timeout(PATIENCE, TcpStream::connect(&addresses[..])).await.ok()?.ok()
}

async fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // A byte at a time: what follows the head is not the proxy's, and there are few heads.
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The host and port of "CONNECT host:port HTTP/1.1".
fn target(head: &str) -> Option<(&str, u16)> {
    let mut words = head.lines().next()?.split(' ');
    let (method, authority) = (words.next()?, words.next()?);
    let (host, port) = authority.rsplit_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let named = !host.is_empty() && host.len() <= 253 && host.chars().all(plain);
    (method == "CONNECT" && named).then_some((host, port.parse().ok()?))
}

/// Makes a namespace with its loopback up, and a listener in it. On a thread that ends with it: a thread that has left the
/// agent's namespace must never run anything else.
async fn make_namespace() -> io::Result<(OwnedFd, std::net::TcpListener)> {
    let reactor = tokio::runtime::Handle::current();
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("weft-egress".to_owned());
    thread.spawn(move || {
        let _reactor = reactor.enter();
        // Whoever asked may have gone away.
        let _ = sender.send(enter_new_namespace());
    })?;
    let made = receiver.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
    let Made { namespace, listener, netlink, talking } = made?;
    let up = LinkUnspec::new_with_name("lo").up().build();
    let done = netlink.link().set(up).execute().await;
    talking.abort();
    done.map_err(io::Error::other)?;
    Ok((namespace, listener))
}

struct Made {
    namespace: OwnedFd,
    listener: std::net::TcpListener,
    netlink: rtnetlink::Handle,
    talking: JoinHandle<()>,
}

fn enter_new_namespace() -> io::Result<Made> {
    #[expect(
        deprecated,
        reason = "the unsafe twin warns of FILES alone; NEWNET touches no memory or descriptor"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNET)?;
    let namespace = File::open("/proc/thread-self/ns/net")?.into();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let (connection, netlink, _) = new_connection()?;
    Ok(Made { namespace, listener, netlink, talking: tokio::spawn(connection) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connect_to_a_name_is_understood() {
        assert_eq!(target("CONNECT a.example:443 HTTP/1.1\r\n\r\n"), Some(("a.example", 443)));
        for head in [
            "GET http://a.example/ HTTP/1.1\r\n\r\n",
            "CONNECT [::1]:443 HTTP/1.1\r\n\r\n",
            "CONNECT :443 x",
            "CONNECT a 443",
            "",
        ] {
            assert_eq!(target(head), None, "{head}");
        }
    }

    #[test]
    fn without_a_list_the_node_and_its_neighbours_are_out_of_reach() {
        let hosts = Hosts::default();
        for near in [
            "127.0.0.1",
            "10.96.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!hosts.allows_address(near.parse().unwrap()), "{near}");
        }
        assert!(hosts.allows_address("93.184.215.14".parse().unwrap()) && hosts.allows("anything.example"));
    }

    #[test]
    fn with_a_list_only_its_hosts_are_reached_wherever_they_are() {
        let hosts = Hosts { allowed: vec!["index.example".into(), ".files.example".into()] };
        assert!(hosts.allows("Index.example") && hosts.allows("a.files.example"));
        for other in ["example", "evilindex.example", "files.example.evil", "index.example.evil"] {
            assert!(!hosts.allows(other), "{other}");
        }
        assert!(hosts.allows_address("10.0.0.1".parse().unwrap()));
    }
}
