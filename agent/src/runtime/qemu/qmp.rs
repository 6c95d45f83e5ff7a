//! Orders to a running QEMU. In: what it is to do. Out: that it has been done. Refuses to wait longer than a deadline.
//! The one door to `qapi`.
use std::path::{Path, PathBuf};
use std::time::Duration;

use qapi::futures::{QapiStream, QmpStreamTokio};
use qapi::qmp;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::VmError;

/// An order that touches the guest's processors alone.
const PROMPT: Duration = Duration::from_secs(5);
/// QEMU's own start, on a busy machine.
const LAUNCH: Duration = Duration::from_secs(30);
/// Writing or reading the whole state of a machine.
const MIGRATION: Duration = Duration::from_secs(60);
/// Bytes a second; more than any disk takes.
const MAX_BANDWIDTH: u64 = 1 << 40;
/// Between two questions how far a state has got.
const POLL: Duration = Duration::from_millis(2);

type Stream = QapiStream<QmpStreamTokio<ReadHalf<UnixStream>>, QmpStreamTokio<WriteHalf<UnixStream>>>;

/// The way to one QEMU; one order at a time.
pub(super) struct Qmp {
    path: PathBuf,
    stream: Mutex<Option<Stream>>,
}

impl Qmp {
    /// Nothing is opened yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, stream: Mutex::default() }
    }

    /// Waits until QEMU takes orders: all its devices are there then.
    pub(super) async fn ready(&self) -> Result<(), VmError> {
        self.execute_within(LAUNCH, "start", qmp::query_status {}).await.map(drop)
    }

    /// Lets the guest run.
    pub(super) async fn resume(&self) -> Result<(), VmError> {
        self.execute("let the guest run", qmp::cont {}).await.map(drop)
    }

    /// Stops the guest between two instructions.
    pub(super) async fn pause(&self) -> Result<(), VmError> {
        self.execute("stop the guest", qmp::stop {}).await.map(drop)
    }

    /// Begins to send the state of a stopped guest to whoever listens at a socket.
    pub(super) async fn save(&self, socket: &Path) -> Result<(), VmError> {
        let operation = "save the guest's state";
        // The default is for a network between two machines that must not be filled.
        let limits = qmp::MigrateSetParameters { max_bandwidth: Some(MAX_BANDWIDTH), ..Default::default() };
        self.execute(operation, qmp::migrate_set_parameters(limits)).await?;
        let uri = format!("unix:{}", socket.display());
        self.execute(operation, qmp::migrate { uri: Some(uri), channels: None, detach: None, resume: None })
            .await
            .map(drop)
    }

    /// Waits until all of it has been sent.
    pub(super) async fn saved(&self) -> Result<(), VmError> {
        self.migrated("save the guest's state").await
    }

    /// Waits until a state has been read from standard input.
    pub(super) async fn restored(&self) -> Result<(), VmError> {
        self.migrated("restore the guest's state").await
    }

    async fn migrated(&self, operation: &'static str) -> Result<(), VmError> {
        let begun = Instant::now();
        while begun.elapsed() < MIGRATION {
            let info = self.execute(operation, qmp::query_migrate {}).await?;
            match info.status {
                Some(qmp::MigrationStatus::completed) => return Ok(()),
                Some(qmp::MigrationStatus::failed | qmp::MigrationStatus::cancelled) => {
                    let message = info.error_desc.unwrap_or_else(|| "it failed".to_owned());
                    return Err(VmError::Qmp { operation, message });
                }
                _ => sleep(POLL).await,
            }
        }
        Err(late(operation, MIGRATION))
    }

    async fn execute<C: qmp::QmpCommand>(
        &self,
        operation: &'static str,
        command: C,
    ) -> Result<C::Ok, VmError> {
        self.execute_within(PROMPT, operation, command).await
    }

    async fn execute_within<C: qmp::QmpCommand>(
        &self,
        deadline: Duration,
        operation: &'static str,
        command: C,
    ) -> Result<C::Ok, VmError> {
        let mut held = self.stream.lock().await;
        let done = timeout(deadline, async {
            let mut stream = match held.take() {
                Some(stream) => stream,
                None => self.open().await?,
            };
            let done = stream.execute(command).await;
            // After an error of the way the next order opens it anew.
            if !matches!(done, Err(qapi::ExecuteError::Io(_))) {
                *held = Some(stream);
            }
            done.map_err(|error| VmError::Qmp { operation, message: error.to_string() })
        });
        done.await.unwrap_or_else(|_| Err(late(operation, deadline)))
    }

    async fn open(&self) -> Result<Stream, VmError> {
        let opened = QmpStreamTokio::open_uds(&self.path).await.map_err(VmError::file(&self.path))?;
        opened.negotiate().await.map_err(VmError::file(&self.path))
    }
}

/// Something that has taken too long.
pub(super) fn late(operation: &'static str, after: Duration) -> VmError {
    VmError::Late { operation, after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) }
}
