//! What an earlier agent left. In: the runtime's list of weft's instances. Out: those that are what would be made
//! for their segment now, each asked whether it accepts; everything else is removed. Networks go the same way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::driver::Found;
use super::make::recipe;
use super::network::Network;
use crate::config::Segment;
use crate::runtime::{Adopted, InstanceId, InstanceState, Runtime, RuntimeError};
use crate::segments::Segments;

/// How long an instance from before may take to accept a connection.
const ACCEPT: Duration = Duration::from_secs(1);
/// Pause before a containerd that is away is asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// Pause between two tries to remove an instance.
const REMOVE_AGAIN: Duration = Duration::from_secs(1);

/// How long an instance that accepts may be told to have stopped.
const DOUBT: Duration = Duration::from_secs(10);

/// Takes over what still serves and removes the rest. To be called once, before anything is made.
///
/// # Errors
/// What the runtime said, as long as it does not list what is there.
pub async fn take_over<R: Runtime>(
    segments: &Segments,
    runtime: &Arc<R>,
    network: &Network,
) -> Result<Vec<Found>, RuntimeError> {
    let (mut found, mut kept) = (Vec::new(), Vec::new());
    for instance in list(segments, runtime.as_ref()).await? {
        match serving(segments, runtime.as_ref(), network, &instance).await {
            Some(one) => {
                tracing::info!(instance = %one.name, "an instance from before is taken over");
                kept.extend(instance.ip.map(|ip| (instance.id, ip)));
                found.push(one);
            }
            None => {
                tracing::info!(instance = %instance.id, "an instance from before no longer serves; it is removed");
                tokio::spawn(remove(runtime.clone(), instance.id));
            }
        }
    }
    if let Err(error) = network.adopt(kept) {
        tracing::warn!(%error, "a network from before could not be taken over");
    }
    Ok(found)
}

/// The same for a containerd that is away: waits until it answers.
pub async fn take_over_later<R: Runtime>(
    segments: &Segments,
    runtime: &Arc<R>,
    network: &Network,
) -> Vec<Found> {
    loop {
        match take_over(segments, runtime, network).await {
            Ok(found) => return found,
            Err(error) => tracing::debug!(%error, "what stands from before is not known yet"),
        }
        sleep(AGAIN).await;
    }
}

/// Lists what stands, and anew for a while as long as something accepts that is told to have stopped: containerd says so
/// of an instance whose shim has not answered in time.
async fn list<R: Runtime>(segments: &Segments, runtime: &R) -> Result<Vec<Adopted>, RuntimeError> {
    let until = Instant::now() + DOUBT;
    loop {
        let all = runtime.list().await?;
        let mut doubtful = None;
        for instance in all.iter().filter(|instance| instance.state == InstanceState::Stopped) {
            let segment = segments.position(&instance.segment).map(|index| segments.get(index));
            if let (Some(ip), Some(segment)) = (instance.ip, segment)
                && accepts(SocketAddr::from((ip, segment.port))).await
            {
                doubtful = Some(&instance.id);
            }
        }
        match doubtful {
            Some(id) if Instant::now() < until => {
                tracing::debug!(instance = %id, "it accepts, and is told to have stopped; asking again");
                sleep(AGAIN).await;
            }
            _ => return Ok(all),
        }
    }
}

async fn accepts(address: SocketAddr) -> bool {
    matches!(timeout(ACCEPT, TcpStream::connect(address)).await, Ok(Ok(_)))
}

async fn serving<R: Runtime>(
    segments: &Segments,
    runtime: &R,
    network: &Network,
    instance: &Adopted,
) -> Option<Found> {
    let segment = segments.position(&instance.segment)?;
    let rules = &segments.get(segment);
    let (ip, cgroup) = (instance.ip.filter(|ip| network.has(*ip))?, instance.cgroup.clone()?);
    if instance.state != InstanceState::Running || !is_as_configured(rules, runtime, instance).await {
        return None;
    }
    let address = SocketAddr::from((ip, rules.port));
    accepts(address).await.then(|| Found {
        name: instance.id.clone(),
        segment,
        address,
        cgroup,
        pid: instance.pid,
    })
}

/// Whether it is what would be made now, down to the very image: its name may have been imported anew.
async fn is_as_configured<R: Runtime>(rules: &Segment, runtime: &R, instance: &Adopted) -> bool {
    let recipe = recipe(rules);
    let image = runtime.image(&recipe.image).await;
    image.is_ok_and(|image| recipe.fingerprint(&image.digest) == instance.made_from)
}

async fn remove<R: Runtime>(runtime: Arc<R>, id: InstanceId) {
    while let Err(error) = runtime.remove(&id).await {
        tracing::warn!(instance = %id, %error, "not removed yet; trying again");
        sleep(REMOVE_AGAIN).await;
    }
}
