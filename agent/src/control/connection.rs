//! Connections to the control socket. In: a listener. Out: the connections of clients, no more than [`CONNECTIONS_MAX`] at
//! a time; who comes while all places are taken waits. Refuses clients that do not begin to talk in time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take to begin.
const PATIENCE: Duration = Duration::from_secs(5);
/// What every client sends first: the greeting of HTTP/2, and the head of a frame.
const BEGINNING_BYTES: usize = 24 + 9;
/// Pause after a connection that could not be taken.
const AGAIN: Duration = Duration::from_millis(20);

/// One client.
pub(super) struct Connection {
    stream: UnixStream,
    /// Until the client has sent its beginning: what is missing, and the time that it has.
    beginning: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

/// The clients as they come.
pub(super) fn incoming(listener: UnixListener) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    Box::pin(stream::unfold((listener, places), |(listener, places)| async move {
        let place = places.clone().acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                // Out of descriptors: they come back as others end.
                Err(_) => sleep(AGAIN).await,
            }
        };
        let beginning = Some((BEGINNING_BYTES, Box::pin(sleep(PATIENCE))));
        Some((Ok(Connection { stream, beginning, _place: place }), (listener, places)))
    }))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some((missing, end)) = &mut self.beginning else { return read };
        match read {
            Poll::Ready(outcome) => {
                *missing = missing.saturating_sub(buf.filled().len() - before);
                if *missing == 0 {
                    self.beginning = None;
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}
