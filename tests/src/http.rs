//! As much of an HTTP/1.1 client as tests and the demo need.
//!
//! In: an address, a path, headers. Out: what came back, how long its first byte took, and the port it was asked
//! from, by which the agent's journal names the request. Every request has a connection of its own. Refuses host
//! names, answers over 1 MiB, and answers that were cut short.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whom to dial.
    pub address: SocketAddr,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers besides `Host` and `Connection`.
    pub headers: Vec<(String, String)>,
    /// How long connecting, and each wait for more bytes, may take.
    pub patience: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, as they came.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// The port it was asked from.
    pub local_port: u16,
    /// From dialling to the first byte.
    pub first_byte: Duration,
    /// From dialling to the last byte.
    pub whole: Duration,
}

impl Reply {
    /// A header's value; of several the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        headers.next().map(|(_, value)| value.as_str())
    }
}

impl Request {
    /// A GET that is waited for for two minutes.
    pub fn get(address: SocketAddr, path: &str) -> Self {
        let patience = Duration::from_secs(120);
        Self { address, method: "GET".into(), path: path.into(), headers: Vec::new(), patience }
    }

    /// With another method.
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another limit to every wait.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Asks, on a connection of its own.
    ///
    /// # Errors
    /// When nothing is connected to, nothing comes in time, or what comes is no whole HTTP answer.
    pub fn send(&self) -> Result<Reply> {
        let begun = Instant::now();
        let mut stream = TcpStream::connect_timeout(&self.address, self.patience)
            .with_context(|| format!("connect to {}", self.address))?;
        let local_port = stream.local_addr()?.port();
        let context = || format!("{} {} of {}, from port {local_port}", self.method, self.path, self.address);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.write_all(self.head().as_bytes()).with_context(context)?;
        let mut first = [0; 4096];
        let count = stream.read(&mut first).with_context(context)?;
        let first_byte = begun.elapsed();
        let mut bytes = first[..count].to_vec();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).with_context(context)?;
        let (status, headers, body) = parse(&bytes).with_context(context)?;
        Ok(Reply { status, headers, body, local_port, first_byte, whole: begun.elapsed() })
    }

    fn head(&self) -> String {
        let Self { address, method, path, .. } = self;
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{length}{headers}\r\n")
    }
}

/// A GET with headers, waited for for two minutes.
///
/// # Errors
/// As [`Request::send`].
pub fn http_get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    let request = Request::get(address, path);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

type Parts = (u16, Vec<(String, String)>, String);

fn parse(bytes: &[u8]) -> Result<Parts> {
    ensure!(!bytes.is_empty(), "the connection was closed without an answer");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = bytes.split_at(end.context("the answer's head was cut short")? + 4);
    let (head, body) = (String::from_utf8_lossy(head), String::from_utf8_lossy(body));
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let status = status.with_context(|| format!("no HTTP answer: {:?}", head.lines().next()))?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut length = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if let Some((_, length)) = length.next() {
        let whole: usize = length.trim().parse().context("the answer's length is no number")?;
        let have = bytes.len() - end.unwrap_or_default() - 4;
        ensure!(have >= whole, "the answer's body was cut short: {have} of {whole} bytes");
    }
    Ok((status, headers, body.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_short_is_an_error_and_a_whole_one_is_not() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        let headers = vec![("Content-Length".to_owned(), "2".to_owned())];
        assert_eq!(parse(whole).unwrap(), (200, headers, "ab".to_owned()));
        assert!(parse(&whole[..whole.len() - 1]).is_err());
        assert!(parse(&whole[..20]).is_err());
        assert!(parse(b"").is_err());
        assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
    }
}
