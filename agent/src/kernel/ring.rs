//! A ring buffer that can be waited on. In: a map of either library. Out: records, each as it was written.

use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{Map, MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::{KernelError, map_error};

/// A ring and the reactor's interest in it.
pub(super) struct Ring {
    name: &'static str,
    ring: RingBuf<MapData>,
    /// Registered on first use, when there is a reactor.
    wake: Option<AsyncFd<OwnedFd>>,
}

impl Ring {
    pub(super) fn new(name: &'static str, map: Map) -> Result<Self, KernelError> {
        let ring = RingBuf::try_from(map).map_err(map_error(name))?;
        Ok(Self { name, ring, wake: None })
    }

    /// The next record, through `read`; waits for one.
    pub(super) async fn next<T>(&mut self, read: impl Fn(&[u8]) -> Option<T>) -> Result<T, KernelError> {
        let name = self.name;
        let failed = |source| KernelError::Ring { name, source };
        loop {
            // Looked at before waiting: the edge for what is already there has passed.
            while let Some(record) = self.ring.next() {
                if let Some(value) = read(&record) {
                    return Ok(value);
                }
            }
            if self.wake.is_none() {
                let fd = std::os::fd::AsRawFd::as_raw_fd(&self.ring);
                // SAFETY: the ring owns the descriptor and outlives this borrow.
                let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
                let own = borrowed.as_fd().try_clone_to_owned().map_err(failed)?;
                let interest = tokio::io::Interest::READABLE;
                // SAFETY: an owned descriptor stays the same and open for as long as it is held, and it is dropped
                // only after its registration.
                let wake = unsafe { AsyncFd::register_with_interest(own, interest) };
                self.wake = Some(wake.map_err(|error| failed(error.into_parts().1))?);
                // Whatever came before the registration is looked for once more.
                continue;
            }
            if let Some(wake) = &self.wake {
                wake.readable().await.map_err(failed)?.clear_ready();
            }
        }
    }
}
