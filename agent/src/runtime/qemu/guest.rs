//! The agent's end of the way to a VM's first process. In: its lines. Out: how things stand in there, for all who wait for
//! it. Refuses what is not the protocol: a guest is not to be trusted, and one that does not keep to it counts as failed.
//!
//! Reading never waits for those who look: only the newest state is kept.
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use weft_init::protocol::{self, FromGuest, LINE_BYTES_MAX, ProtocolError, ToGuest};

use super::VmError;
use super::qmp::late;

/// A guest that does not read for so long does not live.
const SAYING: Duration = Duration::from_secs(20);

/// What the guest said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its first process runs.
    pub(super) hello: bool,
    /// Its program listens.
    pub(super) listening: bool,
    /// How often it has become somebody.
    pub(super) became: u32,
    /// Open connections to the program.
    pub(super) open: u32,
    /// How the program ended.
    pub(super) exited: Option<Exit>,
    /// What could not be done, as step and cause.
    pub(super) failed: Option<(String, String)>,
    /// Nothing more will be heard.
    pub(super) silent: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// Its status; 128 and the signal's number if one killed it.
    pub(super) status: u32,
    /// Whether the guest's kernel had killed for memory.
    pub(super) out_of_memory: bool,
}

/// The way to one guest.
#[derive(Debug)]
pub(super) struct Guest {
    writer: Mutex<OwnedWriteHalf>,
    standing: watch::Receiver<Standing>,
}

impl Guest {
    /// Opens the way; the guest's program may listen already, when its state was restored.
    pub(super) async fn open(path: &Path, listening: bool) -> Result<Self, VmError> {
        let (reader, writer) = UnixStream::connect(path).await.map_err(VmError::file(path))?.into_split();
        let (sender, standing) =
            watch::channel(Standing { hello: listening, listening, ..Standing::default() });
        tokio::spawn(hear(reader, sender));
        Ok(Self { writer: Mutex::new(writer), standing })
    }

    /// Tells the guest.
    pub(super) async fn say(&self, message: &ToGuest) -> Result<(), VmError> {
        let line = protocol::line(message)?;
        let mut writer = self.writer.lock().await;
        let written = timeout(SAYING, writer.write_all(&line)).await;
        written
            .map_err(|_| late("telling the guest", SAYING))?
            .map_err(|error| ProtocolError::from(error).into())
    }

    /// How things stand, now and at every change.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until the guest has said what is wanted; a guest that failed or ended never will.
    pub(super) async fn wait(
        &self,
        operation: &'static str,
        patience: Duration,
        wanted: impl Fn(&Standing) -> bool,
    ) -> Result<Standing, VmError> {
        let mut standing = self.standing();
        let over = |now: &Standing| wanted(now) || now.failed.is_some() || now.exited.is_some() || now.silent;
        let now = timeout(patience, standing.wait_for(over)).await.map_err(|_| late(operation, patience))?;
        let now =
            now.map(|now| now.clone()).map_err(|_| VmError::Ended { said: "its port is closed".into() })?;
        if wanted(&now) {
            return Ok(now);
        }
        Err(match (now.failed, now.exited) {
            (Some((step, cause)), _) => VmError::Guest { step, cause },
            (None, Some(exit)) => {
                VmError::Ended { said: format!("its program ended with status {}", exit.status) }
            }
            (None, None) => VmError::Ended { said: "its port is closed".into() },
        })
    }
}

async fn hear(reader: OwnedReadHalf, sender: watch::Sender<Standing>) {
    let mut reader = BufReader::new(reader);
    loop {
        match next(&mut reader).await {
            Ok(Some(message)) => sender.send_modify(|standing| standing.take(message)),
            Ok(None) => break,
            Err(error) => {
                let failed = Some(("keep to the protocol".to_owned(), error.to_string()));
                sender.send_modify(|standing| standing.failed = failed);
                break;
            }
        }
    }
    sender.send_modify(|standing| standing.silent = true);
}

async fn next(reader: &mut BufReader<OwnedReadHalf>) -> Result<Option<FromGuest>, ProtocolError> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).await?;
    protocol::read(&mut &line[..])
}

impl Standing {
    fn take(&mut self, message: FromGuest) {
        match message {
            FromGuest::Hello => self.hello = true,
            FromGuest::Listening => self.listening = true,
            FromGuest::Became => self.became = self.became.saturating_add(1),
            FromGuest::Connections(open) => self.open = open,
            FromGuest::Exited { status, out_of_memory } => self.exited = Some(Exit { status, out_of_memory }),
            FromGuest::Failed { step, cause } => self.failed = Some((step, cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (Guest, UnixStream, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guest");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let guest = Guest::open(&path, false).await.unwrap();
        (guest, listener.accept().await.unwrap().0, folder)
    }

    #[tokio::test]
    async fn a_guest_that_fails_is_told_with_its_own_words_to_whoever_waits() {
        let (guest, mut other, _folder) = pair().await;
        let failed = FromGuest::Failed { step: "mount".into(), cause: "no disk".into() };
        other.write_all(&protocol::line(&failed).unwrap()).await.unwrap();
        let waited = guest.wait("listening", SAYING, |standing| standing.listening).await;
        assert_eq!(waited.unwrap_err().to_string(), "in the VM: mount: no disk");
    }

    #[tokio::test]
    async fn a_guest_that_does_not_keep_to_the_protocol_counts_as_failed() {
        let (guest, mut other, _folder) = pair().await;
        other.write_all(b"{\"hello\n").await.unwrap();
        let waited = guest.wait("listening", SAYING, |standing| standing.listening).await;
        assert!(matches!(waited, Err(VmError::Guest { .. })), "{waited:?}");
    }

    #[tokio::test]
    async fn what_was_said_last_holds() {
        let (guest, mut other, _folder) = pair().await;
        for message in [FromGuest::Listening, FromGuest::Connections(3), FromGuest::Connections(1)] {
            other.write_all(&protocol::line(&message).unwrap()).await.unwrap();
        }
        let standing = guest.wait("one", SAYING, |standing| standing.open == 1).await.unwrap();
        assert!(standing.listening && standing.exited.is_none());
    }
}
