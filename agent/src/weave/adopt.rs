//! What an earlier agent left. In: the runtime's list of weft's instances. Out: those that are what would be made
//! for their segment now, each asked whether it accepts; everything else is removed. Networks go the same way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
    for instance in runtime.list().await? {
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
    let dialled = timeout(ACCEPT, TcpStream::connect(address)).await;
    let accepts = matches!(dialled, Ok(Ok(_)));
    accepts.then(|| Found { name: instance.id.clone(), segment, address, cgroup, pid: instance.pid })
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
