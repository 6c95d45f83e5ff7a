//! A VM's network. In: the namespace that was made for an instance, and the one that QEMU runs in with its tap device. Out:
//! the instance's link moved to QEMU and joined with the tap, so that the guest has the instance's address and link-layer
//! address on the bridge. Refuses a namespace without that link.
//!
//! What comes in by the link goes out by the tap and the other way round, at the lowest point (traffic control), so that no
//! stack of the node's sees it in between. All of it lives in QEMU's namespace and ends with the process.
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::thread;

use futures::StreamExt;
use rtnetlink::packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use rtnetlink::{Handle, LinkUnspec};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;

use super::{INSTANCE_LINK, NetworkError, find_link, namespace, netlink};

/// Every protocol, in the kernel's byte order for a filter.
const ALL_PROTOCOLS: u16 = 0x0003;
/// The most that waits at a limited link, as time.
const QUEUE_MS: u64 = 50;
/// A burst holds at least one of the largest packets that a card hands over at once.
const BURST_MIN_BYTES: u64 = 64 << 10;

/// What a VM's link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The link-layer address that the guest is to take.
    pub mac: [u8; 6],
}

/// Moves the link of `instance` (a namespace's path) to that of the process `qemu`, and joins it with `tap` there.
///
/// # Errors
/// What the kernel said.
pub async fn join(
    instance: &Path,
    qemu: u32,
    tap: &str,
    bandwidth_bits: Option<u64>,
) -> Result<Joined, NetworkError> {
    let failed = |source| namespace("open the network of", qemu, source);
    let target = File::open(format!("/proc/{qemu}/ns/net")).map_err(failed)?;
    let outer =
        open(File::open(instance).map_err(|source| namespace("open", instance.display(), source))?).await?;
    let link = find_link(&outer, INSTANCE_LINK).await?;
    let link = link
        .ok_or_else(|| namespace("find the link in", instance.display(), io::ErrorKind::NotFound.into()))?;
    let mac = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(mac) => mac.as_slice().try_into().ok(),
        _ => None,
    });
    let mac = mac.ok_or_else(|| {
        namespace("read the address in", instance.display(), io::ErrorKind::InvalidData.into())
    })?;
    let moved = LinkUnspec::new_with_index(link.header.index).setns_by_fd(target.as_raw_fd()).build();
    netlink("hand over the link of", &instance.display().to_string(), outer.link().set(moved).execute())
        .await?;
    let inner = open(target).await?;
    let subject = format!("process {qemu}");
    let (link, tap) = (index(&inner, INSTANCE_LINK, &subject).await?, index(&inner, tap, &subject).await?);
    for (from, to) in [(link, tap), (tap, link)] {
        let up = LinkUnspec::new_with_index(from).up().build();
        netlink("bring up a link of", &subject, inner.link().set(up).execute()).await?;
        redirect(&inner, from, to, &subject).await?;
        if let Some(bits) = bandwidth_bits {
            limit(&inner, from, bits, &subject).await?;
        }
    }
    Ok(Joined { mac })
}

async fn index(handle: &Handle, name: &str, subject: &str) -> Result<u32, NetworkError> {
    let link = find_link(handle, name).await?;
    let missing = || namespace("find a link of", subject, io::ErrorKind::NotFound.into());
    Ok(link.ok_or_else(missing)?.header.index)
}

/// Sends out by `to` whatever comes in by `from`.
async fn redirect(handle: &Handle, from: u32, to: u32, subject: &str) -> Result<(), NetworkError> {
    let from = i32::try_from(from).unwrap_or(i32::MAX);
    let queue = handle.qdisc().add(from).ingress().execute();
    netlink("watch what comes in for", subject, queue).await?;
    let operation = "join the links of";
    let filter = handle.traffic_filter(from).add().parent(0xffff_0000).protocol(ALL_PROTOCOLS.to_be());
    let failed = |source| NetworkError::Netlink { operation, subject: subject.to_owned(), source };
    netlink(operation, subject, filter.redirect(to).map_err(failed)?.execute()).await
}

/// Limits what leaves by a link: a token bucket.
async fn limit(handle: &Handle, link: u32, bits: u64, subject: &str) -> Result<(), NetworkError> {
    let mut message = TcMessage::with_index(i32::try_from(link).unwrap_or(i32::MAX));
    message.header.parent = TcHandle::ROOT;
    bucket(&mut message, bits);
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewQueueDiscipline(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let mut handle = handle.clone();
    let asked = async {
        let mut answers = handle.request(request)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                return error.code.map_or(Ok(()), |_| Err(rtnetlink::Error::NetlinkError(error)));
            }
        }
        Ok(())
    };
    netlink("limit the bandwidth of", subject, asked).await
}

/// The kernel's `tc_tbf_qopt` in `TCA_TBF_PARMS`, with what does not fit it beside.
/// <https://github.com/torvalds/linux/blob/v6.1/include/uapi/linux/pkt_sched.h#L166>
fn bucket(message: &mut TcMessage, bits: u64) {
    let rate = (bits / 8).max(1);
    // A hundredth of a second's worth goes at once.
    let burst = (rate / 100).max(BURST_MIN_BYTES);
    let limit = rate * QUEUE_MS / 1000 + burst;
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    // cell_log, linklayer (1: Ethernet, so that no table of times is needed), overhead, cell_align, mpu, rate.
    let speed = |rate: u32| [&[0u8, 1, 0, 0, 0, 0, 0, 0][..], &rate.to_ne_bytes()].concat();
    let parameters = [&speed(narrow(rate))[..], &speed(0), &narrow(limit).to_ne_bytes(), &[0; 8]].concat();
    let options =
        [(1, parameters), (4, rate.to_ne_bytes().to_vec()), (6, narrow(burst).to_ne_bytes().to_vec())];
    let options = options.into_iter().map(|(kind, value)| TcOption::Other(DefaultNla::new(kind, value)));
    message.attributes.push(TcAttribute::Kind("tbf".to_owned()));
    message.attributes.push(TcAttribute::Options(options.collect()));
}

/// A connection to the kernel's side of a namespace, made on a thread that ends with it.
async fn open(netns: File) -> Result<Handle, NetworkError> {
    let reactor = tokio::runtime::Handle::current();
    let (sender, receiver) = oneshot::channel();
    let failed = |source| namespace("enter the network of", "a VM", source);
    let made = thread::Builder::new().name("weft-netns".to_owned()).spawn(move || {
        let _reactor = reactor.enter();
        let entered = move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network));
        // A caller that has gone away closes the connection with it.
        let _ = sender.send(entered.map_err(io::Error::from).and_then(|()| rtnetlink::new_connection()));
    });
    made.map_err(failed)?;
    let (connection, handle, _) =
        receiver.await.map_err(|_| failed(io::ErrorKind::BrokenPipe.into()))?.map_err(failed)?;
    // Ends when the handle is dropped.
    tokio::spawn(connection);
    Ok(handle)
}
