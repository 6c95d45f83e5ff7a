//! Which dialled address leads where. In: the weaver's instances and graphs. Out: the whole route table that they call
//! for; the driver writes only what differs from what is in the kernel.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{SegmentRules, Weaver};
use crate::config::Miss;

/// Backends of one route; the kernel's table holds no more.
pub(super) const BACKENDS_MAX: usize = 16;

/// What a caller dials, and who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// Cgroup of the caller, for the links of a graph; `None` for everyone else.
    pub caller: Option<u64>,
    /// The dialled address.
    pub dial: SocketAddr,
}

/// A dialled address and the instances that answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is dialled.
    pub key: RouteKey,
    /// Where the connection goes: one of these.
    pub backends: Vec<SocketAddr>,
}

/// The table that the weaver's state calls for.
pub(super) fn desired(weaver: &Weaver) -> BTreeMap<RouteKey, Vec<SocketAddr>> {
    let mut table = BTreeMap::new();
    // A node that drains takes nothing more in: whoever dials now goes the way that there is without weft.
    if weaver.draining {
        return table;
    }
    for (index, segment) in weaver.rules.segments.iter().enumerate() {
        let backends = backends(weaver, index, segment);
        if !backends.is_empty() {
            table.insert(RouteKey { caller: None, dial: segment.address }, backends);
        }
    }
    links(weaver, &mut table);
    table
}

/// Where a segment leads: to the instances with a place left. Where there is none, a miss is what the configuration
/// says it is; the activator has a further instance made, unless there are as many as can be led to.
fn backends(weaver: &Weaver, index: usize, segment: &SegmentRules) -> Vec<SocketAddr> {
    let open =
        || weaver.instances.values().filter(|instance| instance.segment == index && instance.is_open());
    let free = open().filter(|instance| instance.open < segment.concurrency);
    let free: Vec<SocketAddr> = free.filter_map(|instance| instance.address).take(BACKENDS_MAX).collect();
    if !free.is_empty() || segment.miss == Miss::Pass {
        return free;
    }
    match segment.activator {
        Some(activator) if open().count() < BACKENDS_MAX => vec![activator],
        _ => open().filter_map(|instance| instance.address).take(BACKENDS_MAX).collect(),
    }
}

/// Inside a graph, a call from one instance to another's segment goes to that very instance.
fn links(weaver: &Weaver, table: &mut BTreeMap<RouteKey, Vec<SocketAddr>>) {
    let standing = |number: &Option<u64>| {
        number.and_then(|number| weaver.instances.get(&number)).filter(|instance| instance.is_open())
    };
    // Instances can be shared; the youngest graph's link is the one that was forecast last.
    for graph in weaver.graphs.values().filter(|graph| graph.is_linked()) {
        for from in &graph.nodes {
            let Some(caller) = standing(&from.instance).and_then(|instance| instance.cgroup_id) else {
                continue;
            };
            for to in graph.nodes.iter().filter(|to| to.segment != from.segment) {
                let segment = &weaver.rules.segments[to.segment];
                let callee = standing(&to.instance).filter(|instance| instance.open < segment.concurrency);
                let Some(address) = callee.and_then(|instance| instance.address) else { continue };
                let dial = segment.address;
                table.insert(RouteKey { caller: Some(caller), dial }, vec![address]);
            }
        }
    }
}
