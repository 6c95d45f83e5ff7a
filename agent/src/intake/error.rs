//! Why an upload is refused, in words for the uploader: where, why, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::archive::ArchiveError;
use super::base::BaseError;
use super::graphs::GraphsError;
use super::project::ProjectError;
use crate::runtime::RuntimeError;

/// Why an upload is refused.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It cannot be told what it is.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The system of its language cannot be made.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// What is read of code cannot be kept.
    #[error(transparent)]
    Graphs(#[from] GraphsError),
    /// containerd refused.
    #[error("{0}")]
    Runtime(#[from] RuntimeError),
    /// A folder of the agent cannot be used.
    #[error("{}: {source}. The agent needs room and the right to write there", path.display())]
    Stage {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full, or would be.
    #[error("{}: less than {free_bytes_min} bytes of the disk are free; make room, or move [agent] state", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// What must stay free.
        free_bytes_min: u64,
    },
    /// A container's network cannot be made.
    #[error("the network of a build cannot be made: {source}. The agent needs the right to make namespaces")]
    Network {
        /// What the system said.
        source: io::Error,
    },
    /// The package manager failed.
    #[error("the libraries cannot be installed: {manager} ended with {status}:\n{said}{}", told(refused))]
    Libraries {
        /// Which one.
        manager: &'static str,
        /// Its exit status.
        status: u32,
        /// Its last words.
        said: String,
        /// Hosts that it asked for and was not let to.
        refused: Vec<String>,
    },
    /// Installing took too long.
    #[error("the libraries were not installed within {after:?}; declare fewer, or raise [intake] build_time")]
    BuildLate {
        /// The limit.
        after: Duration,
    },
    /// The libraries are too large.
    #[error(
        "the libraries take more than {max_bytes} bytes or 200000 files; declare fewer, or raise [intake] libraries_size"
    )]
    BuildTooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The program ended before it listened.
    #[error("it ended with {status} before it listened:\n{said}")]
    Ended {
        /// Its exit status.
        status: u32,
        /// Its last words.
        said: String,
    },
    /// The program was killed for memory.
    #[error("it needs more than {memory_bytes} bytes of memory to start; raise limits.memory in weft.toml")]
    Starved {
        /// Its limit.
        memory_bytes: u64,
    },
    /// The program does not listen.
    #[error(
        "it did not listen on port {port} within {after:?}: an import that does not return, or another port? Its last words:\n{said}"
    )]
    Silent {
        /// The port.
        port: u16,
        /// The limit.
        after: Duration,
        /// Its last words.
        said: String,
    },
    /// The program writes without end.
    #[error("it wrote more than {max_bytes} bytes to its output before it listened; let it say less")]
    Talks {
        /// The limit.
        max_bytes: u64,
    },
    /// The agent ends.
    #[error("the agent is ending; send it again when it is back")]
    Closed,
    /// A step of the agent's own broke.
    #[error("the agent failed at it: {message}. Please report this with the upload")]
    Broken {
        /// What is known.
        message: String,
    },
}

impl IntakeError {
    pub(super) fn stage(path: &Path, source: io::Error) -> Self {
        Self::Stage { path: path.to_owned(), source }
    }
}

fn told(refused: &[String]) -> String {
    match refused {
        [] => String::new(),
        hosts => format!("\nIt asked for {}, which [intake] registries does not allow", hosts.join(", ")),
    }
}
