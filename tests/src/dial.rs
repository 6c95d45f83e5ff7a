//! Sockets of a watched cgroup in the test's own hands.
//!
//! In: a cgroup and an address. Out: a connection or a listener that belongs to that cgroup, since a process inside
//! it has made it, and that the test reads and writes itself, byte by byte. Refuses what the process could not open,
//! with its words.
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde_json::Value;

use crate::agent::Agent;
use crate::binary;
use crate::cgroup::Subtree;

/// How long connecting, and each wait for bytes, may take.
const PATIENCE: Duration = Duration::from_secs(120);
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Opens a connection in the child `child` of `subtree`.
///
/// # Errors
/// When the program `weft-dial` was not built, or nothing is connected to.
pub fn connect(subtree: &Subtree, child: &str, address: SocketAddr) -> Result<Wire> {
    let socket = made_inside(subtree, child, &["connect", &address.to_string()])?;
    Wire::new(socket.into())
}

/// Opens a listener in the child `child` of `subtree`; what it accepts belongs there too.
///
/// # Errors
/// When the program `weft-dial` was not built, or the address is taken.
pub fn listen(subtree: &Subtree, child: &str, address: SocketAddr) -> Result<TcpListener> {
    Ok(made_inside(subtree, child, &["listen", &address.to_string()])?.into())
}

/// Both ends of a connection between two cgroups of `subtree`, neither of them a segment of weft's.
///
/// # Errors
/// As [`connect`] and [`listen`].
pub fn pair(subtree: &Subtree) -> Result<(Wire, Wire)> {
    let listener = listen(subtree, "servers", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let client = connect(subtree, "callers", listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    Ok((client, Wire::new(server)?))
}

impl Agent {
    /// Opens a connection from inside the watched cgroup.
    ///
    /// # Errors
    /// As [`connect`].
    pub fn dial(&self, address: SocketAddr) -> Result<Wire> {
        connect(self.subtree()?, "callers", address)
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    /// What was read beyond the last answer.
    rest: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head with its status line.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Wire {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Each write is a segment of its own, as long as the one before has arrived.
        stream.set_nodelay(true)?;
        Ok(Self { stream, rest: Vec::new() })
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the other end has closed.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("send")
    }

    /// Sends bytes and waits until `to` has read them: whatever follows is another segment.
    ///
    /// # Errors
    /// When they do not arrive, or others do.
    pub fn send_to(&mut self, to: &mut Wire, bytes: &[u8]) -> Result<()> {
        // Not more at a time than the sockets hold while nobody reads.
        for part in bytes.chunks(16 << 10) {
            self.send(part)?;
            ensure!(to.receive(part.len())? == part, "other bytes arrived than were sent");
        }
        Ok(())
    }

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    /// When they do not come.
    pub fn receive(&mut self, len: usize) -> Result<Vec<u8>> {
        while self.rest.len() < len {
            ensure!(self.read_more()? > 0, "closed after {} of {len} bytes", self.rest.len());
        }
        let more = self.rest.split_off(len);
        Ok(std::mem::replace(&mut self.rest, more))
    }

    /// Sends a GET and reads its answer; the connection stays open.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub fn ask(&mut self, path: &str) -> Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: weft\r\n\r\n").as_bytes())?;
        self.answer()
    }

    /// Reads one answer with a `Content-Length`.
    ///
    /// # Errors
    /// When no whole one comes.
    pub fn answer(&mut self) -> Result<Answer> {
        let end = loop {
            match self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => ensure!(self.read_more()? > 0, "closed before the head of the answer was whole"),
            }
        };
        let head = String::from_utf8(self.receive(end)?).context("the answer's head")?;
        let status =
            head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("the answer's status")?;
        let mut answer = Answer { status, head, body: Vec::new() };
        let length: usize = answer.header("Content-Length").unwrap_or("0").parse()?;
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes is not waited for");
        answer.body = self.receive(length)?;
        Ok(answer)
    }

    /// Says that nothing more is sent; what comes is still read.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn half_close(&self) -> Result<()> {
        Ok(self.stream.shutdown(std::net::Shutdown::Write)?)
    }

    fn read_more(&mut self) -> Result<usize> {
        let mut bytes = [0; 16 << 10];
        let count = self.stream.read(&mut bytes).context("receive")?;
        self.rest.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl Answer {
    /// A header's value; of several the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("the answer's body is no JSON")
    }
}

fn made_inside(subtree: &Subtree, child: &str, arguments: &[&str]) -> Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = subtree.command(child, &binary("weft-dial")?)?;
    command.args(arguments).stdin(Stdio::from(OwnedFd::from(theirs))).stderr(Stdio::piped());
    let process = command.spawn().context("start weft-dial")?;
    // The parent's copy of the other end goes with the command: the end of the process is the end of the stream.
    drop(command);
    let socket = take(&ours);
    let output = process.wait_with_output()?;
    match socket? {
        Some(socket) => Ok(socket),
        None => bail!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()),
    }
}

fn take(from: &UnixStream) -> Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    Ok(sockets.next())
}

/// The other side: makes the socket that the arguments name and hands it to standard input.
///
/// # Errors
/// What the system says.
pub fn serve() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, address] = &arguments[..] else { bail!("connect ADDRESS, or listen ADDRESS") };
    let address: SocketAddr = address.parse().context("no address")?;
    let socket: OwnedFd = match verb.as_str() {
        "connect" => TcpStream::connect_timeout(&address, PATIENCE)?.into(),
        "listen" => TcpListener::bind(address)?.into(),
        other => bail!("`{other}` is neither connect nor listen"),
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    ensure!(control.push(SendAncillaryMessage::ScmRights(&sockets)), "one socket fits");
    sendmsg(std::io::stdin(), &[IoSlice::new(b"s")], &mut control, SendFlags::empty())?;
    Ok(())
}
