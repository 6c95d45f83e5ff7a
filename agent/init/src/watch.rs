//! The program's port, as the kernel of the VM sees it. In: its tables of connections. Out: that the program listens, once,
//! and how many connections are open, when that changes. Refuses nothing: what cannot be read is nothing.
use std::fs;
use std::time::Duration;

use weft_init::protocol::FromGuest;

/// How often it looks while somebody waits for the program to listen, and afterwards.
const EAGER: Duration = Duration::from_millis(5);
const CALM: Duration = Duration::from_millis(50);
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// What was told last.
pub(crate) struct Watch {
    port: u16,
    listening: bool,
    open: Option<u32>,
}

impl Watch {
    /// Nothing was told of a port yet.
    pub(crate) fn new(port: u16) -> Self {
        Self { port, listening: false, open: None }
    }

    /// How long to wait before the next look.
    pub(crate) fn pause(&self) -> Duration {
        if self.listening { CALM } else { EAGER }
    }

    /// Tells everything again at the next look.
    pub(crate) fn forget(&mut self) {
        (self.listening, self.open) = (false, None);
    }

    /// What is new.
    pub(crate) fn look(&mut self) -> Vec<FromGuest> {
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
        let count = |state| tables.iter().map(|table| in_state(table, self.port, state)).sum();
        let mut news = Vec::new();
        if !self.listening && count(LISTEN) > 0 {
            self.listening = true;
            news.push(FromGuest::Listening);
        }
        let open = count(ESTABLISHED);
        if self.listening && self.open != Some(open) {
            self.open = Some(open);
            news.push(FromGuest::Connections(open));
        }
        news
    }
}

/// Sockets of a table (`sl local_address rem_address st …`) with this local port in this state.
fn in_state(table: &str, port: u16, state: &str) -> u32 {
    let ending = format!(":{port:04X}");
    let rows = table.lines().skip(1).filter(|line| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1).unwrap_or_default();
        local.ends_with(&ending) && fields.nth(1) == Some(state)
    });
    u32::try_from(rows.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
        0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n   \
        1: 0200C90A:1F90 0100C90A:D431 01 00000000:00000000 00:00000000 00000000     0\n   \
        2: 0200C90A:D431 0100C90A:1F90 01 00000000:00000000 00:00000000 00000000     0\n";

    #[test]
    fn connections_to_the_port_are_told_from_those_that_the_program_opens() {
        assert_eq!((in_state(TABLE, 8080, LISTEN), in_state(TABLE, 8080, ESTABLISHED)), (1, 1));
        assert_eq!(in_state(TABLE, 80, LISTEN), 0);
    }
}
