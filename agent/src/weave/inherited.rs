//! Connections from before the agent's start. In: a process of an adopted instance, and its port. Out: how many
//! connections to that port are established. The kernel's programs count what begins under their eyes; what was there
//! before is read from the instance's own network namespace until it has ended.

use std::fs;

/// The kernel's number for an established connection in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";

/// Connections that are established to `port` in the network namespace of process `pid`; none if it is gone.
pub(super) fn connections(pid: u32, port: u16) -> u32 {
    let table = |name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    count(&table("tcp"), port) + count(&table("tcp6"), port)
}

/// Rows are "SLOT: LOCAL:PORT REMOTE:PORT STATE …", in hexadecimal.
fn count(table: &str, port: u16) -> u32 {
    let of_port = |row: &&str| {
        let mut words = row.split_ascii_whitespace().skip(1);
        let local = words.next().and_then(|local| u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok());
        local == Some(port) && words.nth(1) == Some(ESTABLISHED)
    };
    table.lines().skip(1).filter(of_port).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_established_connections_to_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
             0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n\
             1: 0200830A:1F90 0100830A:E3A0 01 00000000:00000000 00:00000000 00000000     0\n\
             2: 0200830A:E3A2 0300830A:1F90 01 00000000:00000000 00:00000000 00000000     0\n\
             3: 0200830A:1F90 0100830A:E3A4 06 00000000:00000000 00:00000000 00000000     0\n";
        assert_eq!(count(table, 8080), 1);
        assert_eq!(count("", 8080), 0);
    }

    #[test]
    fn a_real_connection_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connections(std::process::id(), port), 0);
        let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(connections(std::process::id(), port), 1);
    }
}
