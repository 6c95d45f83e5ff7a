//! Makes and removes one instance. In: a segment's rules and a name. Out: a container that runs in a network of its own,
//! watched before its first instruction; or nothing at all. Refuses to begin before it is known what stands from before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::driver::{Report, Tools};
use super::network::{Attachment, Namespace, NetworkError};
use crate::clock::timed;
use crate::config::{Isolation, Segment};
use crate::metrics;
use crate::runtime::{
    Cgroup, ImageRef, InstanceId, InstanceSpec, Machine, Recipe, Runtime, RuntimeError, Snapshots,
};

/// Pause before another try while containerd does not answer.
const RETRY: Duration = Duration::from_millis(100);

/// Why there is no instance.
#[derive(Debug)]
pub(super) enum Unmade {
    /// It cannot be made now, in words.
    Failed(String),
    /// containerd went away, or did not answer, after the process was asked for: whether there is one, and whether it
    /// lives, nobody knows. What is left of it is in the way of its name for a while, so that another is to be made.
    Lost(String),
}

impl Unmade {
    fn failed(error: impl ToString) -> Self {
        Self::Failed(error.to_string())
    }

    fn lost_or_failed(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Unreachable { .. } | RuntimeError::Deadline { .. } => Self::Lost(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Begins to watch an instance: its name, its syscalls, its sockets.
pub(super) fn watch<R: Runtime>(
    tools: &Tools<R>,
    number: u64,
    (segment, rules): (usize, &Segment),
    name: &InstanceId,
    cgroup: &Cgroup,
    address: SocketAddr,
) {
    tools.containers.appeared(cgroup.id, address, number, name.as_str(), segment);
    let watched = match address {
        SocketAddr::V4(address) if tools.runtime.hides_sockets(rules.isolation) => {
            tools.connections.watch_dialled(cgroup.id, address)
        }
        _ => tools.connections.watch(cgroup.id, address.port()),
    };
    if let Err(error) = watched {
        tracing::error!(%error, instance = %name, "its connections cannot be counted");
    }
}

/// Makes an instance and starts it. Everything that watches it is in place before its program runs.
pub(super) async fn make<R: Runtime>(
    tools: &Tools<R>,
    instance: u64,
    name: &InstanceId,
    (segment, rules): (usize, &Segment),
    graph: Option<String>,
    created: mpsc::Sender<Report>,
) -> Result<(), Unmade> {
    let began = Instant::now();
    let mut known = tools.known.clone();
    // A little sooner than the weaver gives up: it would not know the cause.
    let known = timeout(rules.start_timeout().mul_f64(0.9), known.wait_for(|known| *known));
    if !known.await.is_ok_and(|answer| answer.is_ok()) {
        return Err(Unmade::failed("containerd has not answered since the agent's start"));
    }
    let attachment = tools.network.reserve(name).map_err(Unmade::failed)?;
    let spec = spec(rules, name, graph, &attachment);
    let until = began + rules.start_timeout();
    // The process alone needs the namespace, and its program alone what is in it: all else is made meanwhile.
    let (namespace, prepared) = tokio::join!(
        timed(enter(tools, name, &attachment)),
        again(tools, name, until, || tools.runtime.prepare(&spec)),
    );
    let (namespace, entered) = namespace;
    let (namespace, prepared) = (namespace.map_err(Unmade::failed)?, prepared.map_err(Unmade::failed)?);
    let (furnished, made) = tokio::join!(timed(furnish(tools, namespace)), tools.runtime.create(prepared));
    let made = made.map_err(Unmade::lost_or_failed)?;
    let (furnished, furnishing) = furnished;
    furnished.map_err(Unmade::failed)?;
    metrics::phase(&rules.name, "network", entered + furnishing);
    for (phase, took) in &made.phases {
        metrics::phase(&rules.name, phase.name(), *took);
    }
    let address = SocketAddr::from((attachment.ip, rules.port));
    watch(tools, instance, (segment, rules), name, &made.cgroup, address);
    // The driver outlives its tasks; if it is gone the process ends, and the next start adopts or removes.
    let _ = created.send(Report::Created { instance, address, cgroup: made.cgroup, pid: made.pid }).await;
    let (started, starting) = timed(tools.runtime.start(name)).await;
    started.map_err(Unmade::lost_or_failed)?;
    metrics::phase(&rules.name, "start", starting);
    metrics::created(&rules.name, began.elapsed());
    Ok(())
}

/// The namespace, unless a network of the node's spare ones was had.
async fn enter<R: Runtime>(
    tools: &Tools<R>,
    name: &InstanceId,
    attachment: &Attachment,
) -> Result<Option<Namespace>, NetworkError> {
    if attachment.furnished { Ok(None) } else { tools.network.enter(name).await.map(Some) }
}

async fn furnish<R: Runtime>(tools: &Tools<R>, namespace: Option<Namespace>) -> Result<(), NetworkError> {
    match namespace {
        Some(namespace) => tools.network.furnish(namespace).await,
        None => Ok(()),
    }
}

fn spec(rules: &Segment, name: &InstanceId, graph: Option<String>, attachment: &Attachment) -> InstanceSpec {
    InstanceSpec {
        id: name.clone(),
        graph,
        segment: rules.name.clone(),
        recipe: recipe(rules),
        netns: attachment.netns.clone(),
        ip: attachment.ip,
        hostname: name.to_string(),
    }
}

/// What every instance of a segment is made from.
pub(super) fn recipe(rules: &Segment) -> Recipe {
    Recipe {
        image: ImageRef::new(rules.image.clone()),
        memory_bytes: rules.limits.memory.0,
        cpu_millis: (rules.limits.cpu * 1000.0).ceil() as u32,
        env: rules.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        args: None,
        confinement: rules.confinement,
        port: rules.port,
        machine: (rules.isolation == Isolation::Vm).then(|| Machine {
            disk_bytes: rules.limits.disk.0,
            bandwidth_bits: rules.limits.bandwidth.map(|bytes| bytes.0.saturating_mul(8)),
            snapshots: if rules.snapshots { Snapshots::Taken } else { Snapshots::Never },
        }),
    }
}

/// A containerd that restarts comes back, and one that is slow may have done what it did not answer to; the caller's own
/// deadline bounds the wait.
async fn again<R: Runtime, T, F>(
    tools: &Tools<R>,
    name: &InstanceId,
    until: Instant,
    step: impl Fn() -> F,
) -> Result<T, RuntimeError>
where
    F: Future<Output = Result<T, RuntimeError>>,
{
    loop {
        let error = match step().await {
            Err(error @ (RuntimeError::Unreachable { .. } | RuntimeError::Deadline { .. })) => error,
            outcome => return outcome,
        };
        loop {
            if Instant::now() >= until {
                return Err(error);
            }
            sleep(RETRY).await;
            // What was made unheard is in the way of the next try.
            if tools.runtime.remove(name).await.is_ok() {
                break;
            }
        }
    }
}

/// Removes everything of an instance; what is gone already is no error.
pub(super) async fn clear<R: Runtime>(tools: &Tools<R>, name: &InstanceId) -> Result<(), String> {
    // Until then nothing was begun, and a containerd that is away need not be waited for.
    if !*tools.known.borrow() {
        return Ok(());
    }
    tools.runtime.remove(name).await.map_err(|error| error.to_string())?;
    tools.network.detach(name).await.map_err(|error| error.to_string())
}
