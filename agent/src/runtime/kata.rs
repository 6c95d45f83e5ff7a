//! VMs that containerd makes, by a runtime of its own such as Kata Containers. In: instances of segments that are isolated by
//! a VM. Out: a word for each when something accepts at its address: its sockets are the guest's, and no program of this
//! kernel sees them. Everything else of them is a container's.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::InstanceId;
use super::qemu::VmSignal;

/// Pause between two tries to dial.
const AGAIN: Duration = Duration::from_millis(10);
/// How long one try may take.
const DIAL: Duration = Duration::from_secs(1);

/// Instances that are being made.
#[derive(Clone)]
pub(super) struct Kata {
    signals: mpsc::Sender<VmSignal>,
    made: Arc<Mutex<HashMap<InstanceId, Made>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Made {
    address: SocketAddr,
    cgroup_id: u64,
}

impl Kata {
    pub(super) fn new(signals: mpsc::Sender<VmSignal>) -> Self {
        Self { signals, made: Arc::default() }
    }

    fn made(&self) -> MutexGuard<'_, HashMap<InstanceId, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance has a task, and will answer there.
    pub(super) fn created(&self, id: &InstanceId, address: SocketAddr, cgroup_id: u64) {
        self.made().insert(id.clone(), Made { address, cgroup_id });
    }

    /// Its program runs: it is dialled until it accepts or is removed. One that was never created here is left alone.
    pub(super) fn started(&self, id: &InstanceId) {
        let Some(made) = self.made().get(id).copied() else { return };
        let (this, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            while this.made().get(&id) == Some(&made) {
                if matches!(timeout(DIAL, TcpStream::connect(made.address)).await, Ok(Ok(_))) {
                    this.made().remove(&id);
                    let signal = VmSignal::Listening { cgroup_id: made.cgroup_id, port: made.address.port() };
                    // Without a reader the agent is at its end.
                    let _ = this.signals.send(signal).await;
                    return;
                }
                sleep(AGAIN).await;
            }
        });
    }

    /// It is being removed.
    pub(super) fn removed(&self, id: &InstanceId) {
        self.made().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_instance_is_dialled_until_it_accepts_and_no_longer_than_it_is_there() {
        let (signals, mut told) = mpsc::channel(4);
        let kata = Kata::new(signals);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let [late, gone] = ["late", "gone"].map(|name| InstanceId::new(name).unwrap());
        kata.created(&gone, free, 1);
        kata.started(&gone);
        kata.removed(&gone);
        kata.created(&late, free, 2);
        kata.started(&late);
        assert!(timeout(Duration::from_millis(100), told.recv()).await.is_err(), "nobody listens yet");
        let _listener = TcpListener::bind(free).await.unwrap();
        let word = timeout(Duration::from_secs(10), told.recv()).await.unwrap();
        assert_eq!(word, Some(VmSignal::Listening { cgroup_id: 2, port: free.port() }));
        assert!(
            timeout(Duration::from_millis(100), told.recv()).await.is_err(),
            "one is there, and one is gone"
        );
    }
}
