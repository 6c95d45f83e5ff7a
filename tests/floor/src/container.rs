//! One container by containerd's own calls. In: an ID. Out: how long each call took, and the first byte after them.
//! Refuses to wait longer than [`PATIENCE`] for the program. What was made for an ID is taken away by
//! [`Containerd::clear`], however far the making came.
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use containerd_client::Client;
use containerd_client::services::v1::container::Runtime;
use containerd_client::services::v1::snapshots::{PrepareSnapshotRequest, RemoveSnapshotRequest};
use containerd_client::services::v1::{
    Container, CreateContainerRequest, CreateRequest, CreateTaskRequest, DeleteContainerRequest,
    DeleteRequest, DeleteTaskRequest, KillRequest, StartRequest, WaitRequest,
};
use containerd_client::tonic::transport::Endpoint;
use containerd_client::tonic::{Code, Request, Response, Status};
use containerd_client::types::Mount;
use prost::Message;
use prost_types::Any;
use serde::Serialize;

use crate::Arguments;
use crate::image::Image;
use crate::spec;

const SHIM: &str = "io.containerd.runc.v2";
const SIGKILL: u32 = 9;
/// How long a program may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to connect: short against what is measured, long enough to leave the program a core.
const PAUSE: Duration = Duration::from_micros(100);

/// How long each step took, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Steps {
    snapshot_ms: f64,
    container_ms: f64,
    task_ms: f64,
    start_ms: f64,
    /// From the end of the last call to the first byte of the program's answer.
    answer_ms: f64,
    whole_ms: f64,
}

/// A connection that stays open, and what all containers share.
pub(crate) struct Containerd {
    arguments: Arguments,
    client: Client,
    image: Image,
    lease: String,
    next: AtomicU64,
}

/// The part of the runc shim's options that is set (`containerd.runc.v1.Options`).
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ShimOptions {
    #[prost(string, tag = "7")]
    root: String,
}

impl Containerd {
    /// Opens the connection, looks the image up and takes the lease.
    pub(crate) async fn open(arguments: Arguments) -> Result<Self> {
        let socket = format!("unix://{}", arguments.containerd.display());
        let channel = Endpoint::from_shared(socket)?.connect().await;
        let channel = channel.with_context(|| format!("connect to {}", arguments.containerd.display()))?;
        let client = Client::from(channel);
        let image = Image::look_up(&client, &arguments.namespace, &arguments.image).await?;
        image.ensure_unpacked(&client, &arguments.namespace, &arguments.snapshotter).await?;
        let lease = format!("weft-floor-{}", std::process::id());
        let this = Self { arguments, client, image, lease, next: AtomicU64::new(1) };
        let request = CreateRequest { id: this.lease.clone(), labels: HashMap::new() };
        this.client.leases().create(this.request(request)?).await.context("take a lease")?;
        Ok(this)
    }

    /// Gives the lease back.
    pub(crate) async fn close(self) -> Result<()> {
        let request = DeleteRequest { id: self.lease.clone(), ..Default::default() };
        self.client.leases().delete(self.request(request)?).await.context("give back the lease")?;
        Ok(())
    }

    /// A name that no container had before.
    pub(crate) fn next_id(&self) -> String {
        format!("floor-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes and starts a container, and asks its program.
    pub(crate) async fn make(&self, id: &str) -> Result<Steps> {
        // What is sent is put together before the clock starts.
        let container = self.container(id);
        let begun = Instant::now();
        let mounts = self.prepare(id).await?;
        let prepared = Instant::now();
        let request = self.request(CreateContainerRequest { container: Some(container) })?;
        self.client.containers().create(request).await.context("create the container")?;
        let recorded = Instant::now();
        let request = CreateTaskRequest { container_id: id.to_owned(), rootfs: mounts, ..Default::default() };
        self.client.tasks().create(self.request(request)?).await.context("create the task")?;
        let created = Instant::now();
        let request = StartRequest { container_id: id.to_owned(), ..Default::default() };
        self.client.tasks().start(self.request(request)?).await.context("start the task")?;
        let started = Instant::now();
        let answered = first_byte(self.arguments.address)?;
        let ms = |from: Instant, to: Instant| (to - from).as_secs_f64() * 1000.0;
        Ok(Steps {
            snapshot_ms: ms(begun, prepared),
            container_ms: ms(prepared, recorded),
            task_ms: ms(recorded, created),
            start_ms: ms(created, started),
            answer_ms: ms(started, answered),
            whole_ms: ms(begun, answered),
        })
    }

    /// Takes away whatever there is of a container.
    pub(crate) async fn clear(&self, id: &str) -> Result<()> {
        let container_id = id.to_owned();
        let kill = KillRequest { container_id: container_id.clone(), signal: SIGKILL, ..Default::default() };
        unless_absent(self.client.tasks().kill(self.request(kill)?).await).context("kill")?;
        let wait = WaitRequest { container_id: container_id.clone(), ..Default::default() };
        unless_absent(self.client.tasks().wait(self.request(wait)?).await).context("await the end")?;
        let delete = DeleteTaskRequest { container_id };
        unless_absent(self.client.tasks().delete(self.request(delete)?).await).context("delete the task")?;
        let delete = DeleteContainerRequest { id: id.to_owned() };
        unless_absent(self.client.containers().delete(self.request(delete)?).await)
            .context("delete the container")?;
        let snapshotter = self.arguments.snapshotter.clone();
        let remove = RemoveSnapshotRequest { snapshotter, key: id.to_owned() };
        unless_absent(self.client.snapshots().remove(self.request(remove)?).await)
            .context("remove the snapshot")
    }

    async fn prepare(&self, id: &str) -> Result<Vec<Mount>> {
        let request = PrepareSnapshotRequest {
            snapshotter: self.arguments.snapshotter.clone(),
            key: id.to_owned(),
            parent: self.image.chain_id.clone(),
            ..Default::default()
        };
        let reply = self.client.snapshots().prepare(self.request(request)?).await;
        Ok(reply.context("prepare the snapshot")?.into_inner().mounts)
    }

    fn container(&self, id: &str) -> Container {
        let options = ShimOptions { root: self.arguments.runc_root.display().to_string() };
        let options =
            Any { type_url: "containerd.runc.v1.Options".to_owned(), value: options.encode_to_vec() };
        let limits = spec::Limits { memory_bytes: self.arguments.memory, cores: self.arguments.cores };
        let cgroup = self.arguments.cgroup_parent.join(id);
        let spec = spec::write(&self.image, &cgroup, &self.arguments.netns, limits);
        Container {
            id: id.to_owned(),
            image: self.arguments.image.clone(),
            runtime: Some(Runtime { name: SHIM.to_owned(), options: Some(options) }),
            spec: Some(Any {
                type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".to_owned(),
                value: spec.to_string().into_bytes(),
            }),
            snapshotter: self.arguments.snapshotter.clone(),
            snapshot_key: id.to_owned(),
            ..Default::default()
        }
    }

    fn request<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("containerd-namespace", self.arguments.namespace.parse()?);
        metadata.insert("containerd-lease", self.lease.parse()?);
        Ok(request)
    }
}

/// What is not there need not be taken away.
fn unless_absent<T>(result: Result<Response<T>, Status>) -> Result<()> {
    match result {
        Err(status) if !matches!(status.code(), Code::NotFound | Code::FailedPrecondition) => {
            Err(status.into())
        }
        _ => Ok(()),
    }
}

/// Asks until something answers. Nothing else is to be done meanwhile, so the thread may be held.
fn first_byte(address: SocketAddr) -> Result<Instant> {
    let begun = Instant::now();
    loop {
        match ask(address) {
            Ok(answered) => return Ok(answered),
            Err(error) if begun.elapsed() > PATIENCE => {
                bail!("nothing answered at {address} within {PATIENCE:?}: {error}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn ask(address: SocketAddr) -> std::io::Result<Instant> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    stream.read_exact(&mut [0])?;
    let answered = Instant::now();
    // The rest is read too, so that the connection ends in good order.
    stream.read_to_end(&mut Vec::new())?;
    Ok(answered)
}
