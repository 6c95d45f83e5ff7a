//! Containers that are no instances: in one of them libraries are installed, in another a new image is tried. In: what to
//! run, with folders of the node that it may see. Out: its process and its exit status. Refuses what containerd refuses.
//!
//! Each has its lease, snapshot, container and task as an instance has, under a name that is none of a segment's. While
//! this agent runs one, [`Runtime::list`] does not tell of it; what an agent that died has left of one is told, and so
//! removed as any leftover.

use std::path::PathBuf;
use std::time::Duration;

use containerd_client::services::v1::{CreateTaskRequest, KillRequest, WaitRequest};

use super::call::{Purpose, or_absent};
use super::{Containerd, spec};
use crate::runtime::{Cgroup, Confinement, InstanceId, InstanceSpec, Recipe, Runtime, RuntimeError};

/// What a sandbox runs.
#[derive(Debug, Clone)]
pub struct SandboxSpec {
    /// Its name.
    pub id: InstanceId,
    /// Image, limits, program and confinement.
    pub recipe: Recipe,
    /// Its network namespace.
    pub netns: PathBuf,
    /// What it sees of the node.
    pub binds: Vec<Bind>,
    /// Where its standard output and error go: a file.
    pub log: PathBuf,
}

/// A file or folder of the node inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the node.
    pub source: PathBuf,
    /// In the container.
    pub destination: String,
    /// What may be done there.
    pub access: Access,
}

/// What may be done with a bound folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// A running sandbox.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Its first process, in the agent's PID namespace.
    pub pid: u32,
    /// Where it is counted.
    pub cgroup: Cgroup,
}

impl Containerd {
    /// The user of the node by whom root, in a sandbox of that name, is stood for: the owner of what it is to write.
    pub fn user_of(confinement: Confinement, id: &InstanceId) -> u32 {
        spec::host_id(confinement, id, 0)
    }

    /// Makes and starts a sandbox. A failure leaves nothing behind.
    ///
    /// # Errors
    /// What containerd said.
    pub async fn start_sandbox(&self, sandbox: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        let id = &sandbox.id;
        self.sandboxes().insert(id.clone());
        let started = self.start_leased_sandbox(sandbox).await;
        if started.is_err() {
            self.remove_sandbox(id).await?;
        }
        started
    }

    /// Waits for the end of a sandbox, and returns its exit status.
    ///
    /// # Errors
    /// [`RuntimeError::Deadline`] when it has not ended within `limit`, or what containerd said.
    pub async fn wait_sandbox(&self, id: &InstanceId, limit: Duration) -> Result<u32, RuntimeError> {
        let wait = WaitRequest { container_id: id.to_string(), ..Default::default() };
        let purpose = Purpose { deadline: limit, ..Purpose::task("await the end of", id.as_str()) };
        let mut tasks = self.door.client().tasks();
        let waited = or_absent(self.door.call(purpose, tasks.wait(self.door.request(wait))).await)?;
        let absent = || RuntimeError::InstanceAbsent { operation: "await the end of", id: id.clone() };
        Ok(waited.ok_or_else(absent)?.exit_status)
    }

    /// Sends a signal to the first process of a sandbox.
    ///
    /// # Errors
    /// [`RuntimeError::InstanceAbsent`], or what containerd said.
    pub async fn signal_sandbox(&self, id: &InstanceId, signal: u32) -> Result<(), RuntimeError> {
        let kill = KillRequest { container_id: id.to_string(), signal, ..Default::default() };
        let mut tasks = self.door.client().tasks();
        let sent = self.door.call(Purpose::task("signal", id.as_str()), tasks.kill(self.door.request(kill)));
        let absent = || RuntimeError::InstanceAbsent { operation: "signal", id: id.clone() };
        or_absent(sent.await)?.map(drop).ok_or_else(absent)
    }

    /// Ends a sandbox and takes away all that was made for it.
    ///
    /// # Errors
    /// As [`Runtime::remove`]; it may be repeated.
    pub async fn remove_sandbox(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let removed = self.remove(id).await;
        // What could not be removed is for the next listing to tell.
        self.sandboxes().remove(id);
        removed
    }

    async fn start_leased_sandbox(&self, sandbox: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        let image = self.images.get(&sandbox.recipe.image).await?;
        let instance = InstanceSpec {
            id: sandbox.id.clone(),
            graph: None,
            segment: String::new(),
            recipe: sandbox.recipe.clone(),
            netns: sandbox.netns.clone(),
            ip: std::net::Ipv4Addr::LOCALHOST,
            hostname: "sandbox".to_owned(),
        };
        self.take_lease(&sandbox.id).await?;
        let rootfs = self.prepare_snapshot(&instance, &image).await?;
        let broken = |fault| RuntimeError::ImageBroken { image: sandbox.recipe.image.clone(), fault };
        let mut document =
            spec::runtime_spec(&instance, &image, &self.config.cgroup_parent).map_err(broken)?;
        spec::add_binds(&mut document, &sandbox.binds);
        let labels = [(super::INSTANCE_LABEL.to_owned(), sandbox.id.to_string())].into();
        self.create_record(&instance, labels, &document).await?;
        self.run_logged(sandbox, rootfs).await
    }

    async fn run_logged(
        &self,
        sandbox: &SandboxSpec,
        rootfs: Vec<containerd_client::types::Mount>,
    ) -> Result<Sandbox, RuntimeError> {
        let id = sandbox.id.as_str();
        let log = format!("file://{}", sandbox.log.display());
        let request = CreateTaskRequest {
            container_id: id.to_owned(),
            rootfs,
            stdout: log.clone(),
            stderr: log,
            ..Default::default()
        };
        let request = self.door.leased(id, request);
        let mut tasks = self.door.client().tasks();
        let pid = self.door.call(Purpose::task("create task of", id), tasks.create(request)).await?.pid;
        let cgroup = self.cgroups.of_pid(pid);
        let cgroup = cgroup.map_err(|source| RuntimeError::Cgroup { subject: id.to_owned(), source })?;
        self.start(&sandbox.id).await?;
        Ok(Sandbox { pid, cgroup })
    }
}
