//! What the agent and the first process of a VM say to each other, written once. In and out: one JSON object per line over
//! a virtio serial port. Refuses a line longer than [`LINE_BYTES_MAX`], so that neither side can fill the other.
//!
//! ```text
//! guest                          host
//!   Hello ──────────────────────►          the kernel runs, nothing else does
//!         ◄────────────────────── Boot     what to run, and who to be
//!   Listening ──────────────────►          a snapshot may be taken from here on
//!   Connections… ───────────────►
//!         ◄────────────────────── Rehearse before it is held: be somebody and be dialled, once
//!   Became ─────────────────────►
//!         ◄────────────────────── Become   after a restore: who to be from now on
//!   Became ─────────────────────►
//!         ◄────────────────────── Tell     a new agent asks how things stand
//!   Exited | Failed ────────────►          and the machine goes off
//! ```
use std::io::{self, BufRead, Read, Write};
use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest line; the environment of a program is the largest part of one.
pub const LINE_BYTES_MAX: usize = 256 << 10;
/// The serial port's name in the guest.
pub const PORT_NAME: &str = "weft";

/// From the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToGuest {
    /// Bring up the root file system and the network, and run the program.
    Boot {
        /// What to run.
        program: Program,
        /// Who to be.
        identity: Identity,
    },
    /// Be somebody else from now on; the program runs already.
    Become(Identity),
    /// Take on an address for a moment and dial the program there, so that whoever comes first finds the way trodden.
    Rehearse(Network),
    /// Say how things stand.
    Tell,
}

/// From the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromGuest {
    /// The first process runs.
    Hello,
    /// The program listens on its port.
    Listening,
    /// The new identity holds.
    Became,
    /// So many connections to the port are open.
    Connections(u32),
    /// The program ended.
    Exited {
        /// Its status, or 128 and the signal's number.
        status: u32,
        /// Whether the guest's kernel has killed for memory.
        out_of_memory: bool,
    },
    /// Something the program needs could not be done.
    Failed {
        /// What was tried.
        step: String,
        /// What the kernel said.
        cause: String,
    },
}

/// What a VM runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its whole environment, as `NAME=value`.
    pub env: Vec<String>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Where it begins.
    pub directory: String,
    /// The port on which it is going to listen.
    pub port: u16,
    /// The most that it may write to its root file system, in memory.
    pub disk_bytes: u64,
}

/// What tells a VM from all others of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its address, and the prefix of its network; `None` while it waits to be somebody.
    pub network: Option<Network>,
    /// Its own name.
    pub hostname: String,
    /// The time, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// Random bytes, as hexadecimal digits: stirred into the kernel's, beside what the machine itself brings.
    pub entropy: String,
}

/// Where a VM is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The link-layer address.
    pub mac: [u8; 6],
    /// The address.
    pub ip: Ipv4Addr,
    /// The prefix of the subnet in bits.
    pub prefix_len: u8,
    /// The way out.
    pub gateway: Ipv4Addr,
}

/// Why a line cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// It does not end.
    #[error("the other side sent a line of more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It says nothing that is known here.
    #[error("the other side sent what is no message: {0}")]
    Unknown(#[from] serde_json::Error),
    /// The way is broken.
    #[error("the way to the other side: {0}")]
    Io(#[from] io::Error),
}

/// Writes a message as one line.
///
/// # Errors
/// [`ProtocolError::TooLong`], or what the way said.
pub fn write<M: Serialize>(to: &mut impl Write, message: &M) -> Result<(), ProtocolError> {
    Ok(to.write_all(&line(message)?)?)
}

/// A message as one line, its end included.
///
/// # Errors
/// [`ProtocolError::TooLong`].
pub fn line<M: Serialize>(message: &M) -> Result<Vec<u8>, ProtocolError> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    if line.len() > LINE_BYTES_MAX { Err(ProtocolError::TooLong) } else { Ok(line) }
}

/// Reads the next message; `None` at the end.
///
/// # Errors
/// As [`ProtocolError`] says. The way is of no use after [`ProtocolError::TooLong`].
pub fn read<M: DeserializeOwned>(from: &mut impl BufRead) -> Result<Option<M>, ProtocolError> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) if line.len() >= LINE_BYTES_MAX => Err(ProtocolError::TooLong),
        Some(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let ip = Ipv4Addr::new(10, 201, 0, 2);
        let gateway = Ipv4Addr::new(10, 201, 0, 1);
        let network = Some(Network { mac: [2, 119, 10, 201, 0, 2], ip, prefix_len: 16, gateway });
        Identity { network, hostname: "cart-1".into(), unix_ns: 1, entropy: "00ff".into() }
    }

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let mut way = Vec::new();
        for message in [ToGuest::Become(identity()), ToGuest::Tell] {
            write(&mut way, &message).unwrap();
        }
        let mut way = &way[..];
        assert_eq!(read(&mut way).unwrap(), Some(ToGuest::Become(identity())));
        assert_eq!(read(&mut way).unwrap(), Some(ToGuest::Tell));
        assert_eq!(read::<ToGuest>(&mut way).unwrap(), None);
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_is_all_read() {
        let endless = io::repeat(b'a');
        let mut endless = io::BufReader::new(endless);
        assert!(matches!(read::<FromGuest>(&mut endless), Err(ProtocolError::TooLong)));
    }

    #[test]
    fn a_line_that_says_nothing_known_or_is_cut_off_is_refused() {
        assert!(matches!(read::<FromGuest>(&mut &b"\"sing\"\n"[..]), Err(ProtocolError::Unknown(_))));
        assert!(matches!(read::<FromGuest>(&mut &b"\"hel"[..]), Err(ProtocolError::Io(_))));
    }

    #[test]
    fn what_is_too_long_is_not_even_sent() {
        let failed = FromGuest::Failed { step: String::new(), cause: "a".repeat(LINE_BYTES_MAX) };
        assert!(matches!(write(&mut Vec::new(), &failed), Err(ProtocolError::TooLong)));
    }
}
