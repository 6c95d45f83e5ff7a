//! The ordinary service behind an address: who answers when weft does not.
//!
//! In: nothing. Out: an HTTP server of this process on a port of the loopback, which answers every request with
//! `ordinary`. It ends with the test.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;

/// What it answers.
pub const ORDINARY: &str = "ordinary";

/// Starts one and returns its address.
///
/// # Errors
/// When no port is free.
pub fn ordinary_service() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || answer(connection));
        }
    });
    Ok(address)
}

fn answer(mut connection: TcpStream) {
    let mut request = [0; 4096];
    let length = ORDINARY.len();
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{ORDINARY}");
    // A caller that has gone needs no answer.
    if connection.read(&mut request).is_ok_and(|count| count > 0) {
        let _ = connection.write_all(reply.as_bytes());
    }
}
