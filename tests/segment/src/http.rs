//! As much of HTTP/1.1 as a fixture needs.
//!
//! In: a connection. Out: requests, one by one, with their bodies. Refuses heads over 64 KiB, bodies over 16 MiB, and
//! bodies without a length. Every reply names its caller's end of the connection in the header `Peer`.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const HEAD_BYTES_MAX: u64 = 64 << 10;
const BODY_BYTES_MAX: u64 = 16 << 20;

/// Whether the connection goes on after the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    Yes,
    No,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) body: Vec<u8>,
}

/// One side of a connection, read through a buffer.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The next request; `None` when the caller closed.
    pub(crate) fn request(&mut self) -> io::Result<Option<Request>> {
        let mut head = (&mut self.stream).take(HEAD_BYTES_MAX);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace().skip(1);
        let target = words.next().ok_or(io::ErrorKind::InvalidData)?.to_owned();
        let mut keep_alive = if words.next() == Some("HTTP/1.0") { KeepAlive::No } else { KeepAlive::Yes };
        let mut body_bytes = 0;
        loop {
            let mut line = String::new();
            if head.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let Some((name, value)) = line.split_once(':') else { break };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-length", value) => {
                    body_bytes = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
                }
                ("connection", value) if value.eq_ignore_ascii_case("close") => keep_alive = KeepAlive::No,
                ("connection", value) if value.eq_ignore_ascii_case("keep-alive") => {
                    keep_alive = KeepAlive::Yes
                }
                _ => {}
            }
        }
        if body_bytes > BODY_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; body_bytes as usize];
        self.stream.read_exact(&mut body)?;
        Ok(Some(Request { target, keep_alive, body }))
    }

    /// Sends a reply in one piece.
    pub(crate) fn reply(&mut self, body: &[u8], keep_alive: KeepAlive) -> io::Result<()> {
        let connection = if keep_alive == KeepAlive::Yes { "keep-alive" } else { "close" };
        let (length, peer) = (body.len(), self.stream.get_ref().peer_addr()?);
        let mut reply = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: {connection}\r\nPeer: {peer}\r\n\r\n"
        )
        .into_bytes();
        reply.extend_from_slice(body);
        self.stream.get_mut().write_all(&reply)
    }
}
