//! Containers and VMs behind one door. In: what a [`Runtime`] takes. Out: what the runtime of the segment's isolation makes
//! of it (VMs are made by weft's own QEMU, or by containerd where it has a runtime for them); lists and events as one. Refuses nothing itself.
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::Isolation;

use super::containerd::{self, Containerd};
use super::kata::Kata;
use super::qemu::{self, Qemu};
use super::{
    Adopted, Cgroup, Created, EVENT_QUEUE_MAX, ImageInfo, ImageRef, InstanceId, InstanceSpec, Runtime,
    RuntimeError, RuntimeEvent, Spent, Usage,
};

/// Both runtimes of a node.
pub struct Runtimes {
    containers: Arc<Containerd>,
    vms: Qemu,
    /// In place of the QEMU of one's own.
    kata: Option<Kata>,
}

/// A prepared instance of either kind.
pub enum Prepared {
    /// In a container.
    Container(containerd::Prepared),
    /// In a VM that containerd makes, where it will answer.
    Kata(containerd::Prepared, InstanceId, SocketAddr),
    /// In a VM.
    Vm(Box<qemu::Prepared>),
}

impl Runtimes {
    /// Both as one.
    pub fn new(containers: Arc<Containerd>, vms: Qemu) -> Self {
        let kata = containers.makes_vms().then(|| Kata::new(vms.sender()));
        Self { containers, vms, kata }
    }

    /// The VMs.
    pub fn vms(&self) -> &Qemu {
        &self.vms
    }
}

impl Runtime for Runtimes {
    type Prepared = Prepared;

    async fn ready(&self) -> Result<(), RuntimeError> {
        self.containers.ready().await
    }

    async fn image(&self, image: &ImageRef) -> Result<ImageInfo, RuntimeError> {
        self.containers.image(image).await
    }

    async fn prepare(&self, spec: &InstanceSpec) -> Result<Prepared, RuntimeError> {
        match spec.recipe.machine {
            Some(_) if self.kata.is_some() => {
                let address = SocketAddr::from((spec.ip, spec.recipe.port));
                let prepared = self.containers.prepare(spec).await?;
                Ok(Prepared::Kata(prepared, spec.id.clone(), address))
            }
            Some(_) => self.vms.prepare(spec).await.map(|prepared| Prepared::Vm(Box::new(prepared))),
            None => self.containers.prepare(spec).await.map(Prepared::Container),
        }
    }

    async fn create(&self, prepared: Prepared) -> Result<Created, RuntimeError> {
        match prepared {
            Prepared::Container(prepared) => self.containers.create(prepared).await,
            Prepared::Kata(prepared, id, address) => {
                let created = self.containers.create(prepared).await?;
                if let Some(kata) = &self.kata {
                    kata.created(&id, address, created.cgroup.id);
                }
                Ok(created)
            }
            Prepared::Vm(prepared) => self.vms.create(*prepared).await,
        }
    }

    async fn start(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        if self.vms.has_made(id) {
            return self.vms.start(id).await;
        }
        self.containers.start(id).await?;
        if let Some(kata) = &self.kata {
            kata.started(id);
        }
        Ok(())
    }

    async fn remove(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        if let Some(kata) = &self.kata {
            kata.removed(id);
        }
        if self.vms.has(id) { self.vms.remove(id).await } else { self.containers.remove(id).await }
    }

    async fn list(&self) -> Result<Vec<Adopted>, RuntimeError> {
        let mut known = self.containers.list().await?;
        known.extend(self.vms.list().await?);
        Ok(known)
    }

    fn events(&self) -> mpsc::Receiver<RuntimeEvent> {
        merged(self.containers.events(), self.vms.events(), self.vms.clone())
    }

    fn usage(&self, cgroup: &Cgroup) -> Result<Usage, RuntimeError> {
        self.containers.usage(cgroup)
    }

    fn spent(&self, cgroup: &Cgroup) -> Option<Spent> {
        self.containers.spent(cgroup)
    }

    fn ran_out_of_memory(&self, cgroup: &Cgroup) -> bool {
        self.containers.ran_out_of_memory(cgroup)
    }

    fn hides_sockets(&self, isolation: Isolation) -> bool {
        isolation == Isolation::Vm && self.kata.is_some()
    }

    fn open_connections(&self, cgroup: &Cgroup) -> Option<u32> {
        self.vms.open_connections(cgroup)
    }

    fn lives(&self, cgroup: &Cgroup) -> bool {
        self.containers.lives(cgroup)
    }
}

/// Events of both. A list of containers is one of the VMs too, so that none is taken for gone. A list of VMs, which comes
/// when their reader lagged, is told by name: an end that was lost with the rest is seen by the empty cgroup.
fn merged(
    mut containers: mpsc::Receiver<RuntimeEvent>,
    mut machines: mpsc::Receiver<RuntimeEvent>,
    vms: Qemu,
) -> mpsc::Receiver<RuntimeEvent> {
    let (sender, receiver) = mpsc::channel(EVENT_QUEUE_MAX);
    tokio::spawn(async move {
        loop {
            let events = tokio::select! {
                () = sender.closed() => return,
                Some(event) = containers.recv() => match event {
                    RuntimeEvent::Listed(all) => {
                        vec![RuntimeEvent::Listed(all.into_iter().chain(vms.listed()).collect())]
                    }
                    other => vec![other],
                },
                Some(event) = machines.recv() => match event {
                    RuntimeEvent::Listed(all) => all.into_iter().map(RuntimeEvent::Named).collect(),
                    other => vec![other],
                },
                else => return,
            };
            for event in events {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        }
    });
    receiver
}
