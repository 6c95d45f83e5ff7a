//! Control: the agent shown to its operator. In: calls over a unix socket that only the agent's user can open.
//! Out: what the stages know. Refuses names it does not have, with those it has.

mod connection;
mod deploy;
pub(crate) mod models;
mod record;
mod server;

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixListener;
use tonic::transport::Server;

pub use server::Control;

/// The largest message; none has more in it than a name or a piece of an upload.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// How often a client that is silent is asked whether it lives, and how long its answer may take.
const LIVES: Duration = Duration::from_secs(20);

/// The messages and the service, generated from `proto/weft.proto`.
pub mod v1 {
    #![expect(missing_docs, reason = "generated; the proto file documents it")]
    #![expect(clippy::missing_errors_doc, clippy::allow_attributes_without_reason, reason = "generated")]
    tonic::include_proto!("weft.v1");
}

/// Why the control socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another agent answers there.
    #[error("{}: another agent answers there; stop it, or set [agent] socket to another path", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}: the control socket cannot be made: {source}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Opens the socket with mode 0600. A socket that nobody answers is a dead agent's, and is replaced.
///
/// # Errors
/// [`ControlError`].
pub fn listen(path: &Path) -> Result<UnixListener, ControlError> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ControlError::Taken { path: path.into() });
    }
    let open = || -> io::Result<UnixListener> {
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
            // Whatever it is, it is not ours to remove.
            Ok(_) => return Err(io::Error::other("something that is no socket is in its place")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // The mask holds from the first moment: the socket is never open to others, not even before the chmod.
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = StdUnixListener::bind(path);
        rustix::process::umask(mask);
        let listener = bound?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    };
    open().map_err(|source| ControlError::Refused { path: path.into(), source })
}

/// Serves calls until `stop` resolves.
///
/// # Errors
/// What the transport says.
pub async fn serve(
    control: Control,
    listener: UnixListener,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let service = v1::weft_server::WeftServer::new(control).max_decoding_message_size(REQUEST_BYTES_MAX);
    let mut server =
        Server::builder().http2_keepalive_interval(Some(LIVES)).http2_keepalive_timeout(Some(LIVES));
    server.add_service(service).serve_with_incoming_shutdown(connection::incoming(listener), stop).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_agents_socket_is_replaced_a_living_ones_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/weft.sock");
        drop(listen(&path).unwrap());
        let living = listen(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(listen(&path), Err(ControlError::Taken { .. })));
        drop(living);
        let file = folder.path().join("file");
        std::fs::write(&file, "kept").unwrap();
        assert!(matches!(listen(&file), Err(ControlError::Refused { .. })));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    }
}
