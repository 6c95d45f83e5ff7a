//! Which dialled address leads where. In: the weaver's instances and graphs. Out: the whole route table that they call
//! for; the driver writes only what differs from what is in the kernel.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Asker, Graph, Instance, SegmentRules, Weaver};
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
    let mut open: Vec<Vec<&Instance>> = vec![Vec::new(); weaver.rules.segments.len()];
    for instance in weaver.instances.values().filter(|instance| instance.is_open()) {
        open[instance.segment].push(instance);
    }
    let served =
        weaver.rules.segments.iter().enumerate().filter(|(index, _)| weaver.deployments.serves(*index));
    for ((_, segment), open) in served.zip(&open) {
        let backends = backends(segment, open);
        if !backends.is_empty() {
            table.insert(RouteKey { caller: None, dial: segment.address }, backends);
        }
    }
    links(weaver, &mut table);
    table
}

/// Where a segment leads: to the instances with a place left. Where there is none, a miss is what the configuration
/// says it is; the activator has a further instance made, unless there are as many as can be led to.
fn backends(segment: &SegmentRules, open: &[&Instance]) -> Vec<SocketAddr> {
    let free = open.iter().filter(|instance| instance.open < segment.concurrency);
    let free: Vec<SocketAddr> = free.filter_map(|instance| instance.address).take(BACKENDS_MAX).collect();
    if !free.is_empty() || segment.miss == Miss::Pass {
        return free;
    }
    match segment.activator {
        Some(activator) if open.len() < BACKENDS_MAX => vec![activator],
        _ => open.iter().filter_map(|instance| instance.address).take(BACKENDS_MAX).collect(),
    }
}

/// Inside a graph, a call from one instance to another's segment goes to that very instance; so does an expected call
/// of those whose request gave rise to the forecast. Instances can be shared: the youngest graph's link is the one that
/// was forecast last.
fn links(weaver: &Weaver, table: &mut BTreeMap<RouteKey, Vec<SocketAddr>>) {
    for graph in weaver.graphs.values().filter(|graph| graph.is_linked()) {
        let own = own_instances(weaver, graph);
        let mut link = |caller: &Instance, callee: &Instance| {
            let segment = &weaver.rules.segments[callee.segment];
            let free = callee.open < segment.concurrency && caller.segment != callee.segment;
            if let (true, Some(caller), Some(address)) = (free, caller.cgroup_id, callee.address) {
                table.insert(RouteKey { caller: Some(caller), dial: segment.address }, vec![address]);
            }
        };
        for (caller, callee) in
            own.values().flat_map(|caller| own.values().map(move |callee| (caller, callee)))
        {
            link(caller, callee);
        }
        for node in &graph.nodes {
            let (Asker::Segment(from), Some(callee)) = (node.asker, own.get(&node.segment)) else { continue };
            let outside = |i: &&Instance| i.segment == from && i.is_open() && !own.contains_key(&from);
            weaver.instances.values().filter(outside).for_each(|caller| link(caller, callee));
        }
    }
}

/// The graph's instance of each of its segments, where it can be used.
fn own_instances<'a>(weaver: &'a Weaver, graph: &Graph) -> BTreeMap<usize, &'a Instance> {
    let instances = graph.nodes.iter().filter_map(|node| weaver.instances.get(&node.instance?));
    instances.filter(|instance| instance.is_open()).map(|instance| (instance.segment, instance)).collect()
}
