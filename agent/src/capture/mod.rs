//! Capture: from segments in the kernel's ring to requests with a name on both ends. In: the kernel's ring. Out: an
//! [`Event`] for each HTTP/1.x request, once. Refuses nothing: what is not HTTP is passed over and counted.
//!
//! Overflow: a full ring drops segments in the kernel, which counts them; a full queue behind this stage drops the
//! event for that one reader, which is counted under its name.

mod containers;
mod flow;
mod http;
mod identity;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use flow::{FlowKey, Flows, Piece};

pub use containers::{Container, Containers, Ending};
pub use http::{Head, pattern};
pub use identity::NodeKey;

use crate::clock::Clock;
use crate::kernel::CapturedSegment;
use crate::segments::{Segments, Served};

/// Where a request was headed, as far as weft is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An instance, as it was dialled.
    Instance {
        /// Its number.
        instance: u64,
        /// Its segment.
        segment: usize,
    },
    /// The activator, for a segment.
    Activator {
        /// The segment.
        segment: usize,
    },
    /// A segment's address, not redirected: the ordinary service took it.
    Ordinary {
        /// The segment.
        segment: usize,
    },
    /// Nothing of weft's.
    Foreign,
}

/// One request, seen once.
#[derive(Debug, Clone)]
pub struct Event {
    /// When its first byte was seen, Unix milliseconds.
    pub at_ms: f64,
    /// What was asked.
    pub head: Head,
    /// Its number on its connection, from 0.
    pub index: u32,
    /// The client's end.
    pub from: SocketAddr,
    /// The server's end.
    pub to: SocketAddr,
    /// Whose the client's cgroup is; `None` for the host and beyond.
    pub caller: Option<Container>,
    /// Whose the server's cgroup is.
    pub server: Option<Container>,
    /// Who asks: keyed hash of the authentication data, else of the calling container or address.
    pub principal: u64,
    /// Where it was headed.
    pub target: Target,
}

/// Turns captured segments into events.
pub struct Capture {
    flows: Flows,
    key: NodeKey,
    containers: Arc<Containers>,
    segments: Arc<Segments>,
    /// What the two maps were made from.
    indexed: Arc<Vec<Served>>,
    activators: HashMap<SocketAddr, usize>,
    addresses: HashMap<SocketAddr, usize>,
    clock: Clock,
}

impl Capture {
    /// Knows a request's segment by the addresses in `segments`.
    pub fn new(key: NodeKey, containers: Arc<Containers>, segments: Arc<Segments>, clock: Clock) -> Self {
        let mut capture = Self {
            flows: Flows::new(),
            key,
            containers,
            indexed: segments.all(),
            segments,
            activators: HashMap::new(),
            addresses: HashMap::new(),
            clock,
        };
        capture.index();
        capture
    }

    fn index(&mut self) {
        let live = || self.indexed.iter().enumerate().filter(|(_, served)| served.live);
        self.addresses = live().map(|(index, served)| (served.segment.address, index)).collect();
        self.activators =
            live().filter_map(|(index, served)| served.activator.map(|address| (address, index))).collect();
    }

    /// Takes one captured segment; the events that it completes.
    pub fn take(&mut self, segment: &CapturedSegment) -> Vec<Event> {
        let key = FlowKey { client: segment.client, server: segment.server };
        let (seq, ack, len) = (segment.seq, segment.ack, segment.segment_len);
        let piece = Piece { seq, ack, len, bytes: &segment.payload };
        let all = self.segments.all();
        if !Arc::ptr_eq(&all, &self.indexed) {
            self.indexed = all;
            self.index();
        }
        let before = self.flows.counts;
        let mut seen = Vec::new();
        self.flows.take(key, piece, &self.key, |one| seen.push(one));
        let counts = self.flows.counts;
        crate::metrics::capture_malformed(counts.malformed - before.malformed, counts.gaps - before.gaps);
        seen.into_iter().map(|one| self.event(segment, one)).collect()
    }

    fn event(&self, segment: &CapturedSegment, seen: flow::Seen) -> Event {
        let caller = self.containers.name(segment.client_cgroup);
        // A VM's socket is in its own kernel: what is seen of it is where it answers.
        let server =
            self.containers.name(segment.server_cgroup).or_else(|| self.containers.at(segment.server));
        let target =
            match (&server, self.activators.get(&segment.server), self.addresses.get(&segment.server)) {
                (_, Some(&segment), _) => Target::Activator { segment },
                (Some(Container::Instance { instance, segment, .. }), ..) => {
                    Target::Instance { instance: *instance, segment: *segment }
                }
                (_, _, Some(&segment)) => Target::Ordinary { segment },
                _ => Target::Foreign,
            };
        let principal = seen.head.authentication.unwrap_or_else(|| match &caller {
            Some(Container::Instance { segment, .. }) => {
                self.key.hash(format!("segment {segment}").as_bytes())
            }
            Some(Container::Foreign(name)) => self.key.hash(name.as_bytes()),
            None => self.key.hash(segment.client.ip().to_string().as_bytes()),
        });
        Event {
            at_ms: self.clock.exact_ms(),
            head: seen.head,
            index: seen.index,
            from: segment.client,
            to: segment.server,
            caller,
            server,
            principal,
            target,
        }
    }
}

impl Event {
    /// The segment that was asked for, if it is one of weft's.
    pub fn segment(&self) -> Option<usize> {
        match self.target {
            Target::Instance { segment, .. }
            | Target::Activator { segment }
            | Target::Ordinary { segment } => Some(segment),
            Target::Foreign => None,
        }
    }

    /// Who asks, as forecasts have it: an instance asks for its segment, everyone else for themselves.
    pub fn asker(&self) -> crate::weave::Asker {
        match self.caller {
            Some(Container::Instance { segment, .. }) => crate::weave::Asker::Segment(segment),
            _ => crate::weave::Asker::Principal(self.principal),
        }
    }
}
