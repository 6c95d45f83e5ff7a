//! Why there is no VM. In: what QEMU, the kernel or the guest said. Out: an error that names place, cause and, where there
//! is one, the remedy.
use std::io;
use std::path::PathBuf;

use weft_init::protocol::ProtocolError;

use crate::runtime::cgroup::CgroupError;

/// Why a VM cannot be made, or is of no use.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A file or folder of a VM.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program that weft starts.
    #[error("{program} cannot be started: {source}. On Debian: apt-get install {package}")]
    Program {
        /// Its name.
        program: PathBuf,
        /// What brings it.
        package: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program that weft started has failed.
    #[error("{program}: {said}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// Its own words.
        said: String,
    },
    /// The guest's kernel lacks a driver.
    #[error(
        "the VM's kernel has no module `{name}` in {folder}. Set [vm] kernel and modules to one that has, as Debian's linux-image-amd64"
    )]
    Module {
        /// Its name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// QEMU refused a command.
    #[error("QEMU refuses to {operation}: {message}")]
    Qmp {
        /// What was asked.
        operation: &'static str,
        /// Its own words.
        message: String,
    },
    /// Something took too long.
    #[error("{operation} took more than {after_ms} ms")]
    Late {
        /// What was waited for.
        operation: &'static str,
        /// The deadline.
        after_ms: u64,
    },
    /// The process is gone.
    #[error("QEMU has ended: {said}")]
    Ended {
        /// Its last words, or the guest's.
        said: String,
    },
    /// The guest's first process could not do what it was told.
    #[error("in the VM: {step}: {cause}")]
    Guest {
        /// What was tried.
        step: String,
        /// What its kernel said.
        cause: String,
    },
    /// What came from the guest is not the protocol.
    #[error("in the VM: {0}")]
    Protocol(#[from] ProtocolError),
    /// Its cgroup.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// Its network.
    #[error(transparent)]
    Network(#[from] crate::weave::network::NetworkError),
    /// A snapshot that is not what was written.
    #[error("the snapshot {path} is not what was written: {fault}")]
    Snapshot {
        /// Its file.
        path: PathBuf,
        /// What differs.
        fault: &'static str,
    },
}

impl VmError {
    /// Around what the system says of a file.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
