//! Calls of one segment to the next.
//!
//! In: `http://address:port/path`. Out: a JSON object with the status and time, or the error. Refuses host names:
//! a container from scratch has no resolver.
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::quote;

/// A held connection answers when the next instance has been made.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls a URL on a new connection.
pub(crate) fn call(url: &str) -> String {
    let begun = Instant::now();
    let result = fetch(url);
    let ms = begun.elapsed().as_millis();
    match result {
        Ok((status, body)) => {
            format!("{{\"url\":{},\"status\":{status},\"ms\":{ms},\"body\":{}}}", quote(url), quote(&body))
        }
        Err(error) => {
            format!("{{\"url\":{},\"error\":{},\"ms\":{ms}}}", quote(url), quote(&error.to_string()))
        }
    }
}

fn fetch(url: &str) -> io::Result<(u16, String)> {
    let rest = url.strip_prefix("http://").ok_or(io::ErrorKind::InvalidInput)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address: SocketAddr = address.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.trim_end().to_owned()))
}
