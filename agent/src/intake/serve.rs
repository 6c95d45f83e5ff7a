//! The last steps of an upload. In: what has arrived, or a segment in the words of the configuration. Out: a segment that
//! is served: an instance of it listens, its address leads there, and the next start of the agent knows it. Refuses a name
//! or an address that the configuration has, and leaves the former version serving whatever fails.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};
use weft_models::profile::Forecast;

use super::history::History;
use super::inbox::Received;
use super::{Built, Intake, Step, Upload, sizing};
use crate::clock::Clock;
use crate::config::{Config, Confinement, Miss, Segment};
use crate::dispatch::{self, Activator};
use crate::kernel::OwnConnections;
use crate::runtime::ImageRef;
use crate::runtime::containerd::Imported;
use crate::segments::{Segments, Served};
use crate::weave::driver::{self, Deploy};
use crate::weave::runs::Measured;
use crate::{learn, metrics};

/// The port of an address that weft chooses.
const PORT: u16 = 80;
/// How often new runs are written down.
const SAVE: Duration = Duration::from_secs(5);

/// What serves a segment, beside the weaver.
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// What is served.
    pub segments: Arc<Segments>,
    /// Makes images.
    pub intake: Arc<Intake>,
    /// The weaver.
    pub weave: mpsc::Sender<driver::Message>,
    /// Learning, for activators.
    pub learn: mpsc::Sender<learn::Message>,
    /// The kernel's map of the agent's own connections, for activators.
    pub own: OwnConnections,
    /// Places for held connections.
    pub places: Arc<Semaphore>,
    /// Where activators listen.
    pub gateway: Ipv4Addr,
    /// The time.
    pub clock: Clock,
}

/// Puts segments into service.
pub struct Deployer {
    parts: Parts,
    activators: Mutex<Vec<AbortHandle>>,
    /// Held while a segment gets an address, a version or limits: what follows from the version that is served must not take
    /// the place of a newer one.
    changing: tokio::sync::Mutex<()>,
    history: Arc<History>,
}

impl Drop for Deployer {
    fn drop(&mut self) {
        let activators = self.activators.get_mut().unwrap_or_else(PoisonError::into_inner);
        activators.iter().for_each(AbortHandle::abort);
    }
}

impl Deployer {
    /// Serves nothing yet.
    pub fn new(parts: Parts) -> Self {
        let history = Arc::new(History::new(parts.intake.graphs().clone()));
        Self { parts, activators: Mutex::default(), changing: tokio::sync::Mutex::default(), history }
    }

    /// What takes uploads.
    pub fn intake(&self) -> &Arc<Intake> {
        &self.parts.intake
    }

    /// Takes uploads out of the inbox until it closes.
    pub async fn run(self: Arc<Self>, mut inbox: mpsc::Receiver<Received>) {
        let mut under_way = JoinSet::new();
        while let Some(received) = inbox.recv().await {
            while under_way.try_join_next().is_some() {}
            let this = self.clone();
            under_way.spawn(async move {
                let outcome = this.deploy(&received.upload, &|_, _| {}).await;
                received.answer(outcome);
            });
        }
    }

    /// Makes an upload a segment that is served. `told` hears of each step as it begins.
    ///
    /// # Errors
    /// Place, cause and remedy, for the uploader.
    pub async fn deploy(
        &self,
        upload: &Upload,
        told: &(dyn Fn(Step, &str) + Send + Sync),
    ) -> Result<String, String> {
        let outcome = self.build_and_serve(upload, told).await;
        metrics::deployed(if outcome.is_ok() { "served" } else { "refused" });
        if let Err(cause) = &outcome {
            tracing::warn!(upload = upload.name, cause, "an upload is refused");
        }
        outcome
    }

    async fn build_and_serve(
        &self,
        upload: &Upload,
        told: &(dyn Fn(Step, &str) + Send + Sync),
    ) -> Result<String, String> {
        let built = self.parts.intake.build(upload, told).await.map_err(|error| error.to_string())?;
        told(Step::Service, "");
        let served = self.serve_built(&built).await;
        if served.is_err() && built.imported == Imported::New {
            self.discard(&built.image).await;
        }
        served
    }

    async fn serve_built(&self, built: &Built) -> Result<String, String> {
        let _one = self.changing.lock().await;
        let project = &built.project;
        let former = self.former(&project.name);
        let address = match project.address.or(former.as_ref().map(|former| former.address)) {
            Some(address) => address,
            None => self.free_address()?,
        };
        let segment = Segment {
            name: project.name.clone(),
            image: built.image.to_string(),
            port: project.port,
            address,
            miss: Miss::Activate,
            isolation: project.isolation,
            confinement: Confinement::Hardened,
            limits: project.limits,
            snapshots: project.snapshots,
            sized: !project.limits_stated,
            env: loads(&built.loads),
            start_timeout: project.start_timeout,
        };
        self.serve_alone(segment).await?;
        self.remember(built).await;
        if let Some(former) = former.filter(|former| former.image != built.image.as_str()) {
            self.discard(&ImageRef::new(former.image.clone())).await;
        }
        let profile = &built.reading.forecast.name;
        Ok(format!("{}, profile {profile}, is served at {address}", project.name))
    }

    /// Keeps what was read of a version that is served. It serves all the same if that cannot be kept.
    async fn remember(&self, built: &Built) {
        let (graphs, project) = (self.parts.intake.graphs().clone(), built.project.clone());
        let (sources, reading) = (built.sources.clone(), built.reading.clone());
        let put = move || {
            let put = graphs.put(&project.name, &sources, &project.handler, &reading);
            if let Err(error) = put {
                tracing::warn!(segment = project.name, %error, "`weft code` cannot be asked for it");
            }
        };
        // It panics no more than the database does.
        let _ = spawn_blocking(put).await;
    }

    /// The version that was uploaded before.
    fn former(&self, name: &str) -> Option<Arc<Segment>> {
        let index = self.parts.segments.position(name)?;
        let served = &self.parts.segments.all()[index];
        served.live.then(|| served.segment.clone())
    }

    async fn discard(&self, image: &ImageRef) {
        if let Err(error) = self.parts.intake.discard(image).await {
            tracing::warn!(%image, %error, "an image that nobody needs is left in containerd");
        }
    }

    /// The first address for deployed segments that is not taken.
    fn free_address(&self) -> Result<SocketAddr, String> {
        let all = self.parts.segments.all();
        let taken = |ip: Ipv4Addr| all.iter().any(|served| served.segment.address.ip() == IpAddr::V4(ip));
        let range = self.parts.config.intake.addresses;
        let free = range.hosts().find(|ip| !taken(*ip));
        let free = free.ok_or_else(|| {
            format!(
                "all addresses of [intake] addresses = \"{}/{}\" are taken; widen it, or name an address in weft.toml",
                range.base(),
                range.prefix()
            )
        })?;
        Ok(SocketAddr::from((free, PORT)))
    }

    /// Puts a segment into service in the place of its former version, and writes it down for the next start.
    ///
    /// # Errors
    /// Why it is not served; what was served before is served still.
    pub async fn serve(&self, segment: Segment) -> Result<(), String> {
        let _one = self.changing.lock().await;
        self.serve_alone(segment).await
    }

    async fn serve_alone(&self, segment: Segment) -> Result<(), String> {
        let Parts { config, segments, .. } = &self.parts;
        if config.segment(&segment.name).is_some() {
            return Err(format!(
                "segment `{}` stands in the configuration; change it there and restart the agent, or take another name",
                segment.name
            ));
        }
        let all = segments.all();
        let others = all.iter().filter(|served| served.live && served.segment.name != segment.name);
        config
            .check_beside(&segment, others.map(|served| &*served.segment))
            .map_err(|error| error.to_string())?;
        let segment = Arc::new(segment);
        let index = segments.reserve(&segment).ok_or("this node serves as many segments as it can")?;
        let activator = self.activator(index, &segment).map_err(|error| format!("its activator: {error}"))?;
        self.replace(index, segment, activator).await
    }

    /// Raises the memory of segments whose instances die of it, as far as it is a forecast, until the inbox closes.
    pub async fn relieve(self: Arc<Self>, mut starved: mpsc::Receiver<(usize, u64)>) {
        while let Some((index, limit)) = starved.recv().await {
            let _one = self.changing.lock().await;
            let served = self.parts.segments.all()[index].clone();
            // Of several that die of one limit, the first has it raised.
            let is_raised = served.segment.limits.memory.0 > limit;
            if !served.segment.sized || !served.live || is_raised {
                continue;
            }
            let mut segment = (*served.segment).clone();
            segment.limits.memory = sizing::raised(segment.limits.memory);
            if segment.limits.memory == served.segment.limits.memory {
                tracing::warn!(segment = segment.name, "it dies of the most memory that weft gives");
                continue;
            }
            let (name, mib) = (segment.name.clone(), segment.limits.memory.0 >> 20);
            self.history.raised(&name, self.parts.clock.now_ms());
            match self.replace(index, Arc::new(segment), served.activator).await {
                Ok(()) => tracing::info!(segment = name, mib, "its instance died of memory; it has more now"),
                Err(cause) => {
                    tracing::warn!(segment = name, cause, "its instance died of memory, and gets no more")
                }
            }
        }
    }

    /// Remembers runs, and has limits that are forecasts follow them now and then, until the inbox closes.
    pub async fn follow(self: Arc<Self>, mut measured: mpsc::Receiver<Measured>) {
        let (mut tick, mut judged) = (interval(SAVE.min(self.parts.config.intake.resize)), Instant::now());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                one = measured.recv() => match one {
                    Some(Measured { segment, run }) => {
                        self.history.add(&self.parts.segments.name(segment), run);
                    }
                    None => return,
                },
                _ = tick.tick() => {
                    let history = self.history.clone();
                    if let Ok(Err(error)) = spawn_blocking(move || history.save()).await {
                        tracing::warn!(%error, "runs are not written down; that is tried again");
                    }
                    if judged.elapsed() >= self.parts.config.intake.resize {
                        self.resize().await;
                        judged = Instant::now();
                    }
                }
            }
        }
    }

    /// What uploaded code will need by its source and its runs; `None` for other segments.
    pub async fn forecast(&self, segment: &str) -> Option<Forecast> {
        let (history, segment) = (self.history.clone(), segment.to_owned());
        spawn_blocking(move || history.forecast(&segment)).await.ok().flatten()
    }

    async fn resize(&self) {
        for index in 0..self.parts.segments.len() {
            let _one = self.changing.lock().await;
            let Served { segment, activator, live } = self.parts.segments.all()[index].clone();
            if !live || !segment.sized || !self.history.is_unjudged(&segment.name) {
                continue;
            }
            let Some(forecast) = self.forecast(&segment.name).await else { continue };
            let raised = self.history.raised_at_ms(&segment.name);
            let now_ms = self.parts.clock.now_ms();
            let Some(limits) = sizing::after_runs(segment.limits, &forecast, raised, now_ms) else {
                continue;
            };
            let next = Segment { limits, ..(*segment).clone() };
            let (name, mib, cores, runs) = (&segment.name, limits.memory.0 >> 20, limits.cpu, forecast.runs);
            match self.replace(index, Arc::new(next), activator).await {
                Ok(()) => tracing::info!(segment = name, mib, cores, runs, "its limits follow its runs"),
                Err(cause) => tracing::warn!(segment = name, cause, "its limits stay as they are"),
            }
        }
    }

    /// Has the weaver serve this under the index.
    async fn replace(
        &self,
        index: usize,
        segment: Arc<Segment>,
        activator: Option<SocketAddr>,
    ) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let deploy = Deploy { index, segment: segment.clone(), activator, reply };
        let ending = |_| "the agent is ending; send it again when it is back".to_owned();
        self.parts.weave.send(driver::Message::Deploy(deploy)).await.map_err(|_| ending(()))?;
        answer.await.map_err(|_| ending(()))??;
        if self.parts.config.segment(&segment.name).is_some() {
            return Ok(());
        }
        let state = self.parts.config.agent.state.clone();
        let kept = spawn_blocking(move || keep(&state, &segment)).await.map_err(std::io::Error::other);
        kept.flatten().map_err(|error| {
            format!("it is served, and is not written down for the next start of the agent: {error}")
        })
    }

    /// Where misses of a segment are taken in. A listener outlives the versions.
    fn activator(&self, index: usize, segment: &Arc<Segment>) -> std::io::Result<Option<SocketAddr>> {
        let known = self.parts.segments.all()[index].clone();
        if known.activator.is_some() || segment.miss == Miss::Pass {
            return Ok(known.activator);
        }
        let Parts { weave, learn, own, places, gateway, clock, .. } = &self.parts;
        let listener = dispatch::listen(IpAddr::V4(*gateway))?;
        let address = listener.local_addr()?;
        let activator = Activator {
            segment: index,
            name: segment.name.as_str().into(),
            weave: weave.clone(),
            learn: learn.clone(),
            own: own.clone(),
            places: places.clone(),
            clock: *clock,
        };
        let task = tokio::spawn(activator.run(listener)).abort_handle();
        self.activators.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        self.parts.segments.put(index, Served { activator: Some(address), ..known });
        Ok(Some(address))
    }
}

/// What tells an instance to load modules before it listens.
fn loads(names: &[String]) -> BTreeMap<String, String> {
    let one = (!names.is_empty()).then(|| ("WEFT_LOADS".to_owned(), names.join(",")));
    one.into_iter().collect()
}

/// Where deployed segments are written down, a file each, as in a folder of configuration.
pub fn folder(state: &Path) -> PathBuf {
    state.join("deployed")
}

fn keep(state: &Path, segment: &Segment) -> std::io::Result<()> {
    let folder = folder(state);
    std::fs::create_dir_all(&folder)?;
    let (path, new) =
        (folder.join(format!("{}.toml", segment.name)), folder.join(format!(".{}.new", segment.name)));
    let text = segment.to_toml().map_err(std::io::Error::other)?;
    let file = std::fs::File::create(&new)?;
    std::io::Write::write_all(&mut &file, text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}
