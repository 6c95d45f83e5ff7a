//! From a specification to a process. In: what an instance is to be. Out: its image as a disk, everything that must match
//! another VM's, and a VM that waits for its network. Refuses a segment that is not known to run in VMs.
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft_init::protocol::Program;

use super::arguments::{Launch, Origin};
use super::{
    Adopted, Came, ImageInfo, Inner, InstanceId, InstanceSpec, InstanceState, Likeness, Plan, Qemu, Recipe,
    Record, RuntimeError, USERS_FIRST, Vm, VmError, VmShape, bring_up, containerd, disk, events, fresh_name,
};
use crate::runtime::{ImageFault, Machine, Runtime, Snapshots};

impl Inner {
    /// Everything of an instance but its process.
    pub(super) async fn plan(&self, spec: &InstanceSpec) -> Result<Plan, RuntimeError> {
        let operation = "prepare the VM of";
        let no_machine = || RuntimeError::Refused {
            operation,
            subject: spec.id.to_string(),
            message: format!("segment `{}` is to run in a container", spec.segment),
        };
        let machine = spec.recipe.machine.ok_or_else(no_machine)?;
        let image = self.containerd.image(&spec.recipe.image).await?;
        let broken = |fault| RuntimeError::ImageBroken { image: spec.recipe.image.clone(), fault };
        let program = program(&spec.recipe, &image, &machine).map_err(broken)?;
        let shape = VmShape::of(&spec.recipe, &machine);
        let failed = || Qemu::failed(operation, &spec.id);
        let platform = self.platform().await.map_err(failed())?;
        let likeness = Likeness {
            image: &image.digest,
            program: &program,
            shape,
            qemu: &platform.version,
            accelerator: platform.accelerator,
            processor: &platform.processor,
            kernel: &platform.kernel,
        };
        let key = likeness.key();
        let disk = self.disk(&image).await?;
        let record = Record::of(spec, &image.digest, key.as_str());
        let hostname = spec.hostname.clone();
        Ok(Plan { record, machine, shape, program, hostname, disk, key, came: Came::Boot })
    }

    /// The image as a disk, made where nobody has made it before.
    async fn disk(&self, image: &ImageInfo) -> Result<PathBuf, RuntimeError> {
        let digest = image.digest.trim_start_matches("sha256:");
        let name = format!("{digest}.disk");
        let _one = self.disks.lock().await;
        if let Some(path) = self.store.find(&name) {
            return Ok(path);
        }
        let layers = self.containerd.view(image, "disk").await?;
        let made = self.make_disk(&layers, &name).await;
        let closed = self.containerd.close_view(&layers).await;
        let path = made.map_err(Qemu::failed("make a disk of", &image.digest))?;
        closed.map(|()| path)
    }

    async fn make_disk(&self, layers: &containerd::Layers, name: &str) -> Result<PathBuf, VmError> {
        let part = self.store.unfinished(name, &fresh_name());
        let point = part.with_extension("point");
        std::fs::create_dir_all(&point).map_err(VmError::file(&point))?;
        let made = disk::make(layers.mounts.clone(), point.clone(), part.clone()).await;
        // Nothing is mounted there but in the eyes of a thread that has ended.
        let _ = std::fs::remove_dir(&point);
        made.and_then(|()| self.store.finish(&part, name)).inspect_err(|_| drop(std::fs::remove_file(&part)))
    }

    /// A VM as planned: one that was held, one from a snapshot, or one that is yet to boot.
    pub(super) async fn make(&self, plan: &mut Plan) -> Result<Arc<Vm>, VmError> {
        if let Some(vm) = self.take_held(&plan.key) {
            plan.came = Came::Restored;
            return Ok(vm);
        }
        match self.restore(plan).await {
            Some(vm) => {
                plan.came = Came::Restored;
                Ok(Arc::new(vm))
            }
            None => {
                plan.came = Came::Boot;
                self.launch(plan, Origin::Boot, None).await.map(Arc::new)
            }
        }
    }

    /// Goes on from a snapshot. One that is broken, or that QEMU does not take, is none.
    pub(super) async fn restore(&self, plan: &Plan) -> Option<Vm> {
        if plan.machine.snapshots == Snapshots::Never {
            return None;
        }
        let name = snapshot_name(plan);
        let input = match self.store.snapshot(&name)? {
            Ok(input) => input,
            Err(error) => {
                tracing::warn!(%error, segment = plan.record.segment, "it boots instead");
                return None;
            }
        };
        let restored = async {
            let vm = self.launch(plan, Origin::Snapshot, Some(input)).await?;
            match vm.qmp.restored().await {
                Ok(()) => Ok(vm),
                Err(error) => {
                    vm.destroy(&self.host).await?;
                    Err(error)
                }
            }
        };
        let told = |error: &VmError| {
            tracing::warn!(%error, segment = plan.record.segment, "a VM cannot be restored; it boots instead");
            self.store.forget(&name);
        };
        restored.await.inspect_err(told).ok()
    }

    pub(super) async fn launch(
        &self,
        plan: &Plan,
        origin: Origin,
        input: Option<std::fs::File>,
    ) -> Result<Vm, VmError> {
        let platform = self.platform().await?;
        let name = fresh_name();
        let directory = self.config.directory.join(&name);
        let user = name.bytes().fold(0u16, |sum, byte| sum.rotate_left(5) ^ u16::from(byte));
        let launch = Launch {
            name: &name,
            directory: &directory,
            accelerator: platform.accelerator,
            shape: plan.shape,
            kernel: &self.config.kernel,
            initramfs: &platform.initramfs,
            disk: Some(&plan.disk),
            origin,
            user: USERS_FIRST + u32::from(user),
        };
        Vm::launch(&self.host, &launch, input).await
    }

    /// What is found of an instance; one that runs is taken over.
    pub(super) async fn adopted(self: &Arc<Self>, record: Record, folder: &Path) -> Option<Adopted> {
        let id = InstanceId::new(record.id.clone()).ok()?;
        let mut vm = self.books().instances.get(&id).cloned();
        if vm.is_none() {
            // One that cannot be reached is one whose process is as good as gone.
            vm = Vm::find(&self.host, folder).await.ok().flatten().map(Arc::new);
            if let Some(vm) = vm.clone() {
                self.take_over(&id, &record, vm);
            }
        }
        let lives = vm.filter(|vm| !*vm.ended().borrow());
        let state = match (&lives, record.started) {
            (None, _) => InstanceState::Stopped,
            (Some(_), false) => InstanceState::Created,
            (Some(_), true) => InstanceState::Running,
        };
        Some(Adopted {
            id,
            segment: record.segment,
            graph: record.graph,
            made_from: record.made_from,
            state,
            pid: lives.as_ref().map_or(0, |vm| vm.pid),
            cgroup: lives.map(|vm| vm.cgroup.clone()),
            netns: record.netns,
            ip: Some(record.ip).filter(|ip| *ip != Ipv4Addr::UNSPECIFIED),
        })
    }

    fn take_over(self: &Arc<Self>, id: &InstanceId, record: &Record, vm: Arc<Vm>) {
        let mut books = self.books();
        books.open.insert(vm.cgroup.id, 0);
        books.instances.insert(id.clone(), vm.clone());
        drop(books);
        events::follow(self, id.clone(), vm.clone());
        if record.started {
            bring_up::ask(self, record.port, vm);
        }
    }
}

/// The name of a VM's snapshot.
pub(super) fn snapshot_name(plan: &Plan) -> String {
    format!("{}.snapshot", plan.key.as_str())
}

/// What a container of the image would run.
fn program(recipe: &Recipe, image: &ImageInfo, machine: &Machine) -> Result<Program, ImageFault> {
    let (uid, gid) = containerd::user(&image.user)?;
    let directory = if image.working_dir.is_empty() { "/" } else { &image.working_dir };
    Ok(Program {
        args: containerd::arguments(recipe, image)?,
        env: containerd::environment(recipe, image),
        uid,
        gid,
        directory: directory.to_owned(),
        port: recipe.port,
        disk_bytes: machine.disk_bytes,
    })
}
