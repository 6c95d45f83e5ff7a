//! The network of the machine. In: an address, or none yet. Out: a link that has it and no other, and a way out; loopback
//! is up in any case. Refuses a machine without a network card.
use anyhow::{Context, Result};
use futures::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkMessage};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use std::net::Ipv4Addr;
use weft_init::protocol::Network;

const NAME: &str = "eth0";

/// Sets the network up, whatever it was before.
pub(crate) fn set_up(network: Option<Network>) -> Result<()> {
    // For these few messages alone: no other thread, nothing to be woken by while the program runs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let done = set_up_with(&handle, network).await;
        connection.abort();
        done
    })
}

async fn set_up_with(handle: &Handle, network: Option<Network>) -> Result<()> {
    let up = LinkUnspec::new_with_name("lo").up().build();
    handle.link().set(up).execute().await.context("bring up lo")?;
    let mut links = handle.link().get().match_name(NAME.to_owned()).execute();
    let link =
        links.try_next().await.context("find the network card")?.context("there is no network card")?;
    let index = link.header.index;
    clear_addresses(handle, index).await.context("drop the addresses from before")?;
    let Some(network) = network else { return Ok(()) };
    // IPv4 only, as in a container: without this it sends router solicitations. A kernel without IPv6 knows no such
    // setting.
    let silent = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    let silent = LinkUnspec::new_with_index(index)
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![silent]))
        .build();
    let _ = handle.link().set(silent).execute().await;
    if mac_of(&link) != Some(&network.mac) {
        let mac = LinkUnspec::new_with_index(index).address(network.mac.to_vec()).build();
        handle.link().set(mac).execute().await.context("change the link-layer address")?;
    }
    let up = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(up).execute().await.context("bring up the link")?;
    let address = handle.address().add(index, network.ip.into(), network.prefix_len);
    address.execute().await.context("add the address")?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(network.gateway).build();
    handle.route().add(route).execute().await.context("add the way out")?;
    Ok(())
}

fn mac_of(link: &LinkMessage) -> Option<&[u8]> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(mac) => Some(mac.as_slice()),
        _ => None,
    })
}

/// The routes through an address go with it.
async fn clear_addresses(handle: &Handle, index: u32) -> Result<()> {
    let addresses = handle.address().get().set_link_index_filter(index).execute();
    let addresses: Vec<_> = addresses.try_collect().await?;
    for address in addresses.into_iter().filter(|address| address.header.family == AddressFamily::Inet) {
        handle.address().del(address).execute().await?;
    }
    Ok(())
}
