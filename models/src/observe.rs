//! What the models are told. In come facts about one request: when, by whom, to which segment, how it was asked.
//! Out go plain values that the other modules take by reference.
//! Refused: anything that could identify a person; users and parameters arrive as hashes already.

use serde::{Deserialize, Serialize};

/// A deployable piece of code, numbered by the agent. Numbers are labels: no feature ever reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId(pub u32);

/// Keyed hash of a user's authentication data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PrincipalId(pub u64);

/// Who asks. Two kinds, so that a user's hash can never be mistaken for a calling segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Principal {
    /// A user from outside the node.
    User(PrincipalId),
    /// A segment that calls others. All of its instances teach one sequence.
    Segment(SegmentId),
}

/// How a segment spends its system calls, each a share in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyscallShares {
    /// Files and pipes.
    pub io: f32,
    /// Memory, scheduling, locks.
    pub cpu: f32,
    /// Sockets.
    pub network: f32,
}

impl SyscallShares {
    /// The shares if all three are numbers in `[0, 1]`.
    pub(crate) fn checked(self) -> Option<Self> {
        let unit = 0.0..=1.0;
        [self.io, self.cpu, self.network].iter().all(|share| unit.contains(share)).then_some(self)
    }
}

/// One request as capture saw it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Wall clock in milliseconds since the epoch; the hour of day is derived from it.
    pub at_ms: u64,
    /// Who asked.
    pub principal: Principal,
    /// What was asked for.
    pub segment: SegmentId,
    /// A small number for the method (any stable numbering).
    pub method: u8,
    /// Hash of the path's pattern.
    pub path_pattern: u64,
    /// Hash of the names of the query parameters.
    pub parameters: u64,
    /// Profile of `segment`, where one is known.
    pub syscalls: Option<SyscallShares>,
}
