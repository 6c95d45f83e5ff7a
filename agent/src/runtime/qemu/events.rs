//! What becomes of VMs. In: their processes and what their guests say. Out: the events of a runtime, and counts of
//! connections. Refuses nothing; a reader that lags behind is told everything anew.
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};

use super::guest::Standing;
use super::{Inner, InstanceId, Vm, VmSignal};
use crate::runtime::{EVENT_QUEUE_MAX, ExitCause, Named, RuntimeEvent};

/// Told of a QEMU that ended and whose guest had not said how: killed.
const KILLED: u32 = 128 + 9;

/// Follows a VM to its end.
pub(super) fn follow(inner: &Arc<Inner>, id: InstanceId, vm: Arc<Vm>) {
    let named = inner.named(&id, &vm);
    // Without a listener nobody needs to know.
    let _ = inner.events.send(RuntimeEvent::Named(named));
    let inner = inner.clone();
    tokio::spawn(async move {
        let (mut ended, mut standing) = (vm.ended(), vm.guest.standing());
        let mut heard = true;
        loop {
            let now = standing.borrow_and_update().clone();
            inner.count(&vm, &now).await;
            if now.exited.is_some() {
                // Its machine goes off by itself, slowly.
                vm.kill();
            }
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => break,
                changed = standing.changed(), if heard => heard = changed.is_ok(),
            }
        }
        let last = standing.borrow().clone();
        let _ = inner.events.send(inner.exited(&id, &vm, &last));
    });
}

/// A subscription of its own.
pub(super) fn subscribe(inner: &Arc<Inner>) -> mpsc::Receiver<RuntimeEvent> {
    let (sender, receiver) = mpsc::channel(EVENT_QUEUE_MAX);
    let inner = inner.clone();
    tokio::spawn(async move {
        // Before the list is made: what happens meanwhile is told twice rather than never.
        let mut events = inner.events.subscribe();
        let mut next = Some(RuntimeEvent::Listed(inner.listed()));
        while let Some(event) = next {
            if sender.send(event).await.is_err() {
                return;
            }
            next = tokio::select! {
                () = sender.closed() => None,
                heard = events.recv() => match heard {
                    Ok(event) => Some(event),
                    Err(broadcast::error::RecvError::Lagged(_)) => Some(RuntimeEvent::Listed(inner.listed())),
                    Err(broadcast::error::RecvError::Closed) => None,
                },
            };
        }
    });
    receiver
}

impl Inner {
    fn named(&self, id: &InstanceId, vm: &Vm) -> Named {
        let (namespace, container_id) = (self.config.namespace.clone(), id.to_string());
        Named { cgroup_id: vm.cgroup.id, namespace, container_id, labels: HashMap::new() }
    }

    /// All VMs that are instances and live.
    pub(super) fn listed(&self) -> Vec<Named> {
        let books = self.books();
        let living = books.instances.iter().filter(|(_, vm)| !*vm.ended().borrow());
        living.map(|(id, vm)| self.named(id, vm)).collect()
    }

    async fn count(&self, vm: &Vm, now: &Standing) {
        let cgroup_id = vm.cgroup.id;
        let changed = match self.books().open.get_mut(&cgroup_id) {
            Some(open) if *open != now.open => {
                *open = now.open;
                true
            }
            _ => false,
        };
        if changed {
            self.tell(VmSignal::Connections { cgroup_id, open: now.open }).await;
        }
    }

    fn exited(&self, id: &InstanceId, vm: &Vm, last: &Standing) -> RuntimeEvent {
        let in_guest = last.exited.is_some_and(|exit| exit.out_of_memory);
        let out_of_memory = in_guest || self.host.cgroups.ran_out_of_memory(&vm.cgroup);
        RuntimeEvent::Exited {
            namespace: self.config.namespace.clone(),
            container_id: id.to_string(),
            pid: vm.pid,
            status: last.exited.map_or(KILLED, |exit| exit.status),
            cause: if out_of_memory { ExitCause::OutOfMemory } else { ExitCause::Ordinary },
        }
    }
}
