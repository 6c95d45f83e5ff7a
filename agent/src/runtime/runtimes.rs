//! Containers and VMs behind one door. In: what a [`Runtime`] takes. Out: what the runtime of the segment's isolation makes
//! of it; lists and events of both as one. Refuses nothing itself.
use std::sync::Arc;

use tokio::sync::mpsc;

use super::containerd::{self, Containerd};
use super::qemu::{self, Qemu};
use super::{
    Adopted, Cgroup, Created, EVENT_QUEUE_MAX, ImageInfo, ImageRef, InstanceId, InstanceSpec, Runtime,
    RuntimeError, RuntimeEvent, Usage,
};

/// Both runtimes of a node.
pub struct Runtimes {
    containers: Arc<Containerd>,
    vms: Option<Qemu>,
}

/// A prepared instance of either kind.
pub enum Prepared {
    /// In a container.
    Container(containerd::Prepared),
    /// In a VM.
    Vm(Box<qemu::Prepared>),
}

impl Runtimes {
    /// Without VMs where no segment runs in one.
    pub fn new(containers: Arc<Containerd>, vms: Option<Qemu>) -> Self {
        Self { containers, vms }
    }

    /// The VMs, if a segment runs in one.
    pub fn vms(&self) -> Option<&Qemu> {
        self.vms.as_ref()
    }

    /// The VMs, if this segment runs in them.
    fn vms_of(&self, segment: &str) -> Option<&Qemu> {
        self.vms.as_ref().filter(|vms| vms.runs(segment))
    }

    /// The VMs, if this instance is one of them.
    fn vms_with(&self, id: &InstanceId) -> Option<&Qemu> {
        self.vms.as_ref().filter(|vms| vms.has(id))
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
        match self.vms_of(&spec.segment) {
            Some(vms) => vms.prepare(spec).await.map(|prepared| Prepared::Vm(Box::new(prepared))),
            None => self.containers.prepare(spec).await.map(Prepared::Container),
        }
    }

    async fn create(&self, prepared: Prepared) -> Result<Created, RuntimeError> {
        match (prepared, &self.vms) {
            (Prepared::Container(prepared), _) => self.containers.create(prepared).await,
            (Prepared::Vm(prepared), Some(vms)) => vms.create(*prepared).await,
            (Prepared::Vm(prepared), None) => {
                let id = prepared.id().clone();
                Err(RuntimeError::InstanceAbsent { operation: "create", id })
            }
        }
    }

    async fn start(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        match self.vms_with(id) {
            Some(vms) => vms.start(id).await,
            None => self.containers.start(id).await,
        }
    }

    async fn remove(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        match self.vms_with(id) {
            Some(vms) => vms.remove(id).await,
            None => self.containers.remove(id).await,
        }
    }

    async fn list(&self) -> Result<Vec<Adopted>, RuntimeError> {
        let mut known = self.containers.list().await?;
        if let Some(vms) = &self.vms {
            // A container whose segment runs in VMs by now is not what would be made.
            for adopted in known.iter_mut().filter(|adopted| vms.runs(&adopted.segment)) {
                adopted.made_from.clear();
            }
            known.extend(vms.list().await?);
        }
        Ok(known)
    }

    fn events(&self) -> mpsc::Receiver<RuntimeEvent> {
        match &self.vms {
            Some(vms) => merged(self.containers.events(), vms.events(), vms.clone()),
            None => self.containers.events(),
        }
    }

    fn usage(&self, cgroup: &Cgroup) -> Result<Usage, RuntimeError> {
        self.containers.usage(cgroup)
    }

    fn ran_out_of_memory(&self, cgroup: &Cgroup) -> bool {
        self.containers.ran_out_of_memory(cgroup)
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
