//! Follows what happens to all containers of the node.
//!
//! In: containerd's event stream, over all its namespaces. Out: [`RuntimeEvent`]s, beginning with a listing, and
//! with another one each time the stream was lost or the reader too slow. Refuses nothing: a container that is gone
//! before it could be named is passed over.
//!
//! ```text
//!        ┌──────────── backoff ◄── error ──┐
//!        ▼                                 │
//!    room for one ─► subscribe ─► list ─► follow ─► queue full
//!        ▲                                              │
//!        └──────────────────────────────────────────────┘
//! ```
use std::collections::HashSet;
use std::time::Duration;

use containerd_client::events::{ContainerDelete, TaskCreate, TaskExit, TaskOom};
use containerd_client::services::v1::{
    GetContainerRequest, ListNamespacesRequest, PublishRequest, SubscribeRequest,
};
use containerd_client::tonic::Streaming;
use containerd_client::types::Envelope;
use containerd_client::types::v1::Status;
use prost::Message;
use prost_types::Any;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::call::{BOOK_DEADLINE, Door, Failure, Purpose, or_absent};
use super::containers_and_tasks;
use crate::runtime::{CgroupTree, EVENT_QUEUE_MAX, ExitCause, Named, RuntimeError, RuntimeEvent};

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How often the mark is published until it comes back.
const MARK_EVERY: Duration = Duration::from_millis(20);
/// Out-of-memory kills whose exit has not come. When more wait, all are forgotten.
const OUT_OF_MEMORY_MAX: usize = 256;

const MARK: &str = "/weft/subscribed";
const TASK_CREATE: &str = "/tasks/create";
const TASK_EXIT: &str = "/tasks/exit";
const TASK_OOM: &str = "/tasks/oom";
const CONTAINER_DELETE: &str = "/containers/delete";

/// Begins to follow; ends when the receiver is dropped.
pub(super) fn follow(door: Door, cgroups: CgroupTree) -> mpsc::Receiver<RuntimeEvent> {
    let (sender, receiver) = mpsc::channel(EVENT_QUEUE_MAX);
    tokio::spawn(async move {
        let follower = Follower { door, cgroups, sender };
        let mut backoff = BACKOFF_MIN;
        while !follower.sender.is_closed() {
            match follower.round().await {
                Ok(End::ReaderGone) => return,
                Ok(End::ReaderSlow) => tracing::warn!("the reader of container events lags; listing anew"),
                Ok(End::StreamEnded) => backoff = BACKOFF_MIN,
                Err(failure) => {
                    let error = RuntimeError::from(failure);
                    tracing::debug!(%error, "container events are interrupted");
                    tokio::select! {
                        () = sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
                        () = follower.sender.closed() => return,
                    }
                }
            }
        }
    });
    receiver
}

/// Why a round of following ended without an error.
enum End {
    ReaderGone,
    ReaderSlow,
    StreamEnded,
}

struct Follower {
    door: Door,
    cgroups: CgroupTree,
    sender: mpsc::Sender<RuntimeEvent>,
}

impl Follower {
    /// One subscription, from the listing to its end.
    async fn round(&self) -> Result<End, Failure> {
        // Waiting with an open stream would only move the queue into containerd, where it has no bound.
        let Ok(room) = self.sender.reserve().await else { return Ok(End::ReaderGone) };
        let mut stream = self.subscribe().await?;
        room.send(RuntimeEvent::Listed(self.list().await?));
        let mut out_of_memory = HashSet::new();
        loop {
            let envelope = tokio::select! {
                envelope = stream.message() => envelope,
                () = self.sender.closed() => return Ok(End::ReaderGone),
            };
            let Ok(Some(envelope)) = envelope else { return Ok(End::StreamEnded) };
            let Some(event) = self.event(envelope, &mut out_of_memory).await? else { continue };
            match self.sender.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return Ok(End::ReaderGone),
                Err(mpsc::error::TrySendError::Full(_)) => return Ok(End::ReaderSlow),
            }
        }
    }

    /// Returns when the subscription is in force. containerd says nothing until the first event, so one is published
    /// until it comes back.
    async fn subscribe(&self) -> Result<Streaming<Envelope>, Failure> {
        let topics = [MARK, TASK_CREATE, TASK_EXIT, TASK_OOM, CONTAINER_DELETE];
        let filters = topics.iter().map(|topic| format!("topic==\"{topic}\"")).collect();
        let mut client = self.door.client().events();
        let request = self.door.request(SubscribeRequest { filters });
        let purpose = Purpose::book("subscribe to the events of", self.door.namespace());
        let subscribed = self.door.call(purpose, client.subscribe(request));
        let mut subscribed = std::pin::pin!(subscribed);
        loop {
            tokio::select! {
                stream = &mut subscribed => return stream,
                () = sleep(MARK_EVERY) => self.publish_mark().await?,
            }
        }
    }

    async fn publish_mark(&self) -> Result<(), Failure> {
        let event = Some(Any { type_url: "google.protobuf.Empty".to_owned(), value: Vec::new() });
        let request = self.door.request(PublishRequest { topic: MARK.to_owned(), event });
        let purpose = Purpose::book("publish a mark in", self.door.namespace());
        self.door.call(purpose, self.door.client().events().publish(request)).await.map(drop)
    }

    async fn list(&self) -> Result<Vec<Named>, Failure> {
        let request = self.door.request(ListNamespacesRequest::default());
        let purpose = Purpose::book("list the namespaces of containerd for", self.door.namespace());
        let namespaces =
            self.door.call(purpose, self.door.client().namespaces().list(request)).await?.namespaces;
        let mut named = Vec::new();
        for namespace in namespaces {
            let (containers, tasks) = containers_and_tasks(&self.door.within(&namespace.name)).await?;
            for container in containers {
                let task = tasks.iter().find(|process| process.id == container.id);
                let lives = |status| !matches!(status, Status::Stopped | Status::Unknown);
                let Some(task) = task.filter(|process| lives(process.status())) else { continue };
                let Ok(cgroup) = self.cgroups.of_pid(task.pid) else { continue };
                named.push(Named {
                    cgroup_id: cgroup.id,
                    namespace: namespace.name.clone(),
                    container_id: container.id,
                    labels: container.labels,
                });
            }
        }
        Ok(named)
    }

    /// What an envelope tells, if it is of interest.
    async fn event(
        &self,
        envelope: Envelope,
        out_of_memory: &mut HashSet<(String, String)>,
    ) -> Result<Option<RuntimeEvent>, Failure> {
        let Envelope { namespace, topic, event, .. } = envelope;
        let bytes = event.map(|event| event.value).unwrap_or_default();
        match topic.as_str() {
            TASK_CREATE => match decode::<TaskCreate>(&bytes) {
                Some(created) => self.name(namespace, created).await,
                None => Ok(None),
            },
            TASK_OOM => {
                if out_of_memory.len() >= OUT_OF_MEMORY_MAX {
                    out_of_memory.clear();
                }
                out_of_memory.extend(decode::<TaskOom>(&bytes).map(|oom| (namespace, oom.container_id)));
                Ok(None)
            }
            // Of a container's first process; others were only executed in it.
            TASK_EXIT => {
                Ok(decode::<TaskExit>(&bytes).filter(|exit| exit.id == exit.container_id).map(|exit| {
                    let was_reported = out_of_memory.remove(&(namespace.clone(), exit.container_id.clone()));
                    let cause = if was_reported { ExitCause::OutOfMemory } else { ExitCause::Ordinary };
                    RuntimeEvent::Exited {
                        namespace,
                        container_id: exit.container_id,
                        pid: exit.pid,
                        status: exit.exit_status,
                        cause,
                    }
                }))
            }
            CONTAINER_DELETE => Ok(decode::<ContainerDelete>(&bytes)
                .map(|deleted| RuntimeEvent::Deleted { namespace, container_id: deleted.id })),
            _ => Ok(None),
        }
    }

    async fn name(&self, namespace: String, created: TaskCreate) -> Result<Option<RuntimeEvent>, Failure> {
        let Ok(cgroup) = self.cgroups.of_pid(created.pid) else { return Ok(None) };
        let door = self.door.within(&namespace);
        let request = door.request(GetContainerRequest { id: created.container_id.clone() });
        let mut client = door.client().containers();
        let purpose = Purpose {
            operation: "look up container",
            subject: &created.container_id,
            deadline: BOOK_DEADLINE,
        };
        let found = or_absent(door.call(purpose, client.get(request)).await)?;
        Ok(found.and_then(|found| found.container).map(|container| {
            RuntimeEvent::Named(Named {
                cgroup_id: cgroup.id,
                namespace,
                container_id: created.container_id,
                labels: container.labels,
            })
        }))
    }
}

/// An event of another form than expected is none: what it would have told, the next listing tells.
fn decode<T: Message + Default>(bytes: &[u8]) -> Option<T> {
    T::decode(bytes).ok()
}
