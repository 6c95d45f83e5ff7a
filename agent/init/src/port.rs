//! The way to the agent. In: the serial port that has weft's name. Out: messages. Refuses lines that have no end. While no
//! agent is there, it waits: agents come back.
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::time::Timespec;
use weft_init::protocol::{self, FromGuest, LINE_BYTES_MAX, PORT_NAME, ToGuest};

/// How long the port may take to appear after its driver was loaded.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks for an agent that is away.
const AWAY: Duration = Duration::from_millis(20);

/// An open port.
pub(crate) struct Port {
    file: File,
    /// What was read of a line that is not all there.
    begun: Vec<u8>,
}

impl Port {
    /// Waits for the port to appear, and opens it.
    pub(crate) fn open() -> Result<Self> {
        let begun = Instant::now();
        let path = loop {
            match find()? {
                Some(path) => break path,
                None => ensure!(begun.elapsed() < PATIENCE, "no serial port is called {PORT_NAME}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let file = File::options().read(true).write(true).open(&path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        rustix::fs::fcntl_setfl(&file, OFlags::NONBLOCK).context("make the port not block")?;
        Ok(Self { file, begun: Vec::new() })
    }

    /// Tells the agent. Waits while the port is full; with nobody there the word is lost, and asked for again later.
    pub(crate) fn say(&mut self, message: &FromGuest) -> Result<()> {
        let line = protocol::line(message)?;
        let mut rest = &line[..];
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Ok(()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AWAY),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("tell the agent"),
            }
        }
        Ok(())
    }

    /// The next message, or nothing within the time; without a time it waits until there is one.
    pub(crate) fn hear(&mut self, within: Option<Duration>) -> Result<Option<ToGuest>> {
        if let Some(message) = self.line()? {
            return Ok(Some(message));
        }
        let time = within.map(|within| Timespec { tv_sec: 0, tv_nsec: i64::from(within.subsec_nanos()) });
        let mut waited = [PollFd::new(&self.file, PollFlags::IN)];
        let woken = poll(&mut waited, time.as_ref()).context("wait for the agent")?;
        if woken == 0 {
            return Ok(None);
        }
        let mut bytes = [0; 4096];
        match self.file.read(&mut bytes) {
            // Nobody has the other end.
            Ok(0) => std::thread::sleep(within.unwrap_or(AWAY)),
            Ok(length) => self.begun.extend(&bytes[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).context("hear the agent"),
        }
        ensure!(self.begun.len() <= LINE_BYTES_MAX, "the agent's line has no end");
        self.line()
    }

    fn line(&mut self) -> Result<Option<ToGuest>> {
        let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.begun.drain(..=end).collect();
        Ok(protocol::read(&mut &line[..])?)
    }
}

/// The device of the port that has the name.
fn find() -> Result<Option<PathBuf>> {
    let Ok(ports) = fs::read_dir("/sys/class/virtio-ports") else { return Ok(None) };
    for port in ports {
        let port = port.context("list the serial ports")?;
        // One that has no name is not it.
        let name = fs::read_to_string(port.path().join("name")).unwrap_or_default();
        if name.trim() == PORT_NAME {
            return Ok(Some(PathBuf::from("/dev").join(port.file_name())));
        }
    }
    Ok(None)
}
