//! The way of an upload. In: a folder, a file, a zip or a tar.gz of code. Out: an image in containerd that has been seen
//! to listen, and what a segment of it is made from ([`Built`]). Refuses uploads above their [`Bounds`], and what cannot
//! be installed, started or told apart; a refusal leaves nothing behind and touches no former version.
//!
//! ```text
//! upload ─archive─► tree ─project─► what it is ─base, libraries, layer─► layers ─image─► image ─trial─► built ─serve─► segment
//!                           └─────► reading: code graph and costs ───────────────────────────────────────────┴─► graphs
//! ```
//!
//! Nothing of an upload runs but in a container: its libraries are installed in one, it is tried in another.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

pub mod archive;
mod base;
pub mod bounds;
mod egress;
mod error;
pub mod folder;
pub mod graphs;
mod history;
mod image;
pub mod inbox;
mod layer;
mod libraries;
pub mod project;
pub mod reading;
pub mod s3;
mod sandboxed;
pub mod serve;
mod sizing;
mod stage;
pub mod tree;
mod trial;

pub use error::IntakeError;
pub use stage::Stage;

use self::base::BaseCache;
use self::bounds::Bounds;
use self::graphs::Graphs;
use self::layer::Layer;
use self::libraries::Installer;
use self::project::Project;
use self::reading::Source;
use self::tree::Tree;
use self::trial::Tried;
use weft_models::reading::Reading;

use crate::config::Config;
use crate::runtime::containerd::{Containerd, Imported, LayerFile};
use crate::runtime::{ImageRef, InstanceId, Recipe, Runtime};

/// Uploads that are made at a time; more wait.
const BUILDS_MAX: usize = 2;

/// How uploads are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where uploads are unpacked; what lies there in the beginning is removed.
    pub stages: PathBuf,
    /// Where layers are kept from one upload to the next; agents may share it.
    pub cache: PathBuf,
    /// A folder that is there, for what is read of code.
    pub graphs: PathBuf,
    /// What is taken at all.
    pub bounds: Bounds,
    /// Memory for installing libraries.
    pub build_memory: u64,
    /// Thousandths of a processor for it.
    pub build_cpu_millis: u32,
    /// Time for it.
    pub build_time: Duration,
    /// Bytes that libraries may have, installed and unpacked on the way.
    pub libraries_bytes: u64,
    /// Bytes of the disk that uploads leave free.
    pub free_bytes_min: u64,
    /// Hosts that package managers may reach; without any, all that are public.
    pub registries: Vec<String>,
    /// The certificates that they trust.
    pub certificates: PathBuf,
    /// Their environment, as `PIP_INDEX_URL`.
    pub build_env: BTreeMap<String, String>,
}

impl Settings {
    /// As the configuration has it.
    pub fn of(config: &Config) -> Self {
        let Config { agent, intake, .. } = config;
        let own = agent.state.join("intake");
        Self {
            stages: own.join("uploads"),
            cache: intake.cache.clone().unwrap_or_else(|| own.join("cache")),
            graphs: agent.state.clone(),
            bounds: Bounds {
                packed_bytes: intake.upload_size.0,
                unpacked_bytes: intake.unpacked_size.0,
                entries: intake.entries,
                ..Bounds::default()
            },
            build_memory: intake.build_memory.0,
            build_cpu_millis: (intake.build_cpu * 1000.0).ceil() as u32,
            build_time: intake.build_time,
            libraries_bytes: intake.libraries_size.0,
            free_bytes_min: intake.free_size.0,
            registries: intake.registries.iter().map(|host| host.to_ascii_lowercase()).collect(),
            certificates: intake.certificates.clone(),
            build_env: intake.build_env.clone(),
        }
    }
}

/// Code on its way in.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The name that it came by, from which a segment without a name of its own gets one.
    pub name: String,
    /// Where it lies: a folder or a file of this node. It is read, and not changed.
    pub source: PathBuf,
}

/// A step of making an upload, as told to the uploader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Waiting for others.
    Waiting,
    /// Unpacking and checking.
    Reading,
    /// Its source has been read.
    Code,
    /// Making or finding the system of its language.
    System,
    /// Installing libraries, or finding them installed.
    Libraries,
    /// Writing the image and handing it to containerd.
    Image,
    /// Starting it once.
    Trial,
    /// Putting it into service.
    Service,
}

impl Step {
    /// A short name for listings and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Code => "code",
            Self::System => "system",
            Self::Libraries => "libraries",
            Self::Image => "image",
            Self::Trial => "trial",
            Self::Service => "service",
        }
    }
}

/// An upload that can be a segment.
#[derive(Debug)]
pub struct Built {
    /// What it is.
    pub project: Project,
    /// Its image in containerd, unpacked.
    pub image: ImageRef,
    /// Whether the image is new: one that was there before is the same to the byte.
    pub imported: Imported,
    /// What its instances are made from.
    pub recipe: Recipe,
    /// How long it took from nothing to listening.
    pub start: Duration,
    /// Modules that a request would have it load, and that its instances load before they listen.
    pub loads: Vec<String>,
    /// The files of its source.
    pub sources: Arc<[Source]>,
    /// What was read of them.
    pub reading: Arc<Reading>,
    /// Its files, while this is held.
    pub tree: Tree,
    _stage: Stage,
}

/// Makes images of uploads.
pub struct Intake {
    settings: Settings,
    containerd: Arc<Containerd>,
    graphs: Arc<Graphs>,
    places: Semaphore,
    count: AtomicU64,
}

impl Intake {
    /// Prepares the folders, and removes what an agent that died has left of its uploads.
    ///
    /// # Errors
    /// [`IntakeError::Stage`] when a folder cannot be made.
    pub fn open(settings: Settings, containerd: Arc<Containerd>) -> Result<Self, IntakeError> {
        match fs::remove_dir_all(&settings.stages) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(IntakeError::stage(&settings.stages, source));
            }
            _ => {}
        }
        for path in [&settings.stages, &settings.cache] {
            fs::create_dir_all(path).map_err(|source| IntakeError::stage(path, source))?;
        }
        let graphs = Arc::new(Graphs::open(&settings.graphs)?);
        let (places, count) = (Semaphore::new(BUILDS_MAX), AtomicU64::new(0));
        Ok(Self { settings, containerd, graphs, places, count })
    }

    /// A folder of its own for whoever receives an upload; gone when dropped.
    ///
    /// # Errors
    /// [`IntakeError::Stage`] when it cannot be made.
    pub fn stage(&self) -> Result<Stage, IntakeError> {
        Stage::new(self.settings.stages.join(format!("{}", self.count.fetch_add(1, Ordering::Relaxed))))
    }

    /// What was read of code that is served.
    pub fn graphs(&self) -> &Arc<Graphs> {
        &self.graphs
    }

    /// What is taken.
    pub fn bounds(&self) -> &Bounds {
        &self.settings.bounds
    }

    /// Makes an image of an upload and tries it. `told` hears of each step as it begins.
    ///
    /// # Errors
    /// [`IntakeError`], with place, cause and remedy; nothing of the upload is left then.
    pub async fn build(
        &self,
        upload: &Upload,
        told: &(dyn Fn(Step, &str) + Send + Sync),
    ) -> Result<Built, IntakeError> {
        told(Step::Waiting, "");
        let Ok(_place) = self.places.acquire().await else { return Err(IntakeError::Closed) };
        told(Step::Reading, "");
        let stage = self.stage()?;
        if sandboxed::free_bytes(stage.path()).is_some_and(|free| free < self.settings.free_bytes_min) {
            let (path, free_bytes_min) = (stage.path().to_owned(), self.settings.free_bytes_min);
            return Err(IntakeError::DiskFull { path, free_bytes_min });
        }
        let (tree, mut project, code_read) = self.read(upload, &stage).await?;
        told(Step::Code, &reading::told(&project, &code_read.1));
        told(Step::System, "");
        let (system, tools) = self.system(&project).await?;
        told(Step::Libraries, "");
        let id = self.sandbox_id("install");
        let installer = Installer {
            containerd: &self.containerd,
            settings: &self.settings,
            stage: stage.path(),
            id: &id,
        };
        let libraries = installer.install(&project.libraries, &tools).await?;
        told(Step::Image, "");
        let code = self.code(&project, tree, stage.path()).await?;
        let layers: Vec<_> = system.into_iter().chain(libraries).chain([code.1]).collect();
        let (image, described) = image::image(&project, &layers);
        let imported = self.containerd.import(&image, &described).await?;
        told(Step::Trial, "");
        let tried = loop {
            match self.try_out(&project, &image, stage.path()).await {
                Err(IntakeError::Starved { memory_bytes }) if !project.limits_stated => {
                    let memory = sizing::raised(project.limits.memory);
                    if memory.0 <= memory_bytes {
                        break Err(IntakeError::Starved { memory_bytes });
                    }
                    project.limits.memory = memory;
                    told(Step::Trial, &format!("it ran out of memory; again with {} MiB", memory.0 >> 20));
                }
                tried => break tried,
            }
        };
        match tried {
            Ok(Tried { start, loads }) => {
                let recipe = trial::recipe(&project, &image);
                let (sources, reading) = (code_read.0.into(), Arc::new(code_read.1));
                let tree = code.0;
                Ok(Built {
                    project,
                    image,
                    imported,
                    recipe,
                    start,
                    loads,
                    sources,
                    reading,
                    tree,
                    _stage: stage,
                })
            }
            Err(error) => {
                self.take_back(&image, imported).await;
                Err(error)
            }
        }
    }

    /// Takes an image away that no segment uses: one that was replaced, or could not be put into service.
    ///
    /// # Errors
    /// What containerd said.
    pub async fn discard(&self, image: &ImageRef) -> Result<(), IntakeError> {
        Ok(self.containerd.remove_image(image).await?)
    }

    /// An image that was there before belongs to a version that may be serving.
    async fn take_back(&self, image: &ImageRef, imported: Imported) {
        if imported == Imported::New
            && let Err(error) = self.containerd.remove_image(image).await
        {
            tracing::warn!(%image, %error, "the image of a failed upload is left in containerd");
        }
    }

    async fn read(
        &self,
        upload: &Upload,
        stage: &Stage,
    ) -> Result<(Tree, Project, (Vec<Source>, Reading)), IntakeError> {
        let (source, name, bounds) = (upload.source.clone(), upload.name.clone(), self.settings.bounds);
        let graphs = self.graphs.clone();
        let files = stage.path().join("files");
        blocking(move || {
            fs::create_dir(&files).map_err(|source| IntakeError::stage(&files, source))?;
            let tree = archive::read(&source, &files, &bounds)?;
            let mut project = Project::of(&tree, &name)?;
            let code = reading::read(&tree, &project, &graphs)
                .map_err(|source| IntakeError::stage(&files, source))?;
            if !project.limits_stated {
                project.limits = sizing::limits(&project, &code.1);
            }
            Ok((tree, project, code))
        })
        .await
    }

    /// The layers of the language; and those with its package manager, if it is needed.
    async fn system(&self, project: &Project) -> Result<(Vec<Layer>, Vec<Layer>), IntakeError> {
        let (ground, tools) = base::packages(&project.language);
        let cache = self.settings.cache.join("systems");
        let needed = project.libraries.manager().is_some();
        blocking(move || {
            let cache = BaseCache::new(&cache);
            if ground.is_empty() {
                return Ok((Vec::new(), Vec::new()));
            }
            let below = cache.layer(ground, &[])?;
            let mut with_tools = vec![below.clone()];
            if needed {
                with_tools.push(cache.layer(tools, ground)?);
            }
            Ok((vec![below], with_tools))
        })
        .await
    }

    async fn code(&self, project: &Project, tree: Tree, stage: &Path) -> Result<(Tree, Layer), IntakeError> {
        let (path, project) = (stage.join("code.tar"), project.clone());
        blocking(move || {
            let layer = image::code_layer(&project, &tree, &path);
            Ok((tree, layer.map_err(|source| IntakeError::stage(&path, source))?))
        })
        .await
    }

    async fn try_out(&self, project: &Project, image: &ImageRef, stage: &Path) -> Result<Tried, IntakeError> {
        // Unpacks it as well.
        self.containerd.image(image).await?;
        let id = self.sandbox_id("trial");
        trial::run(&self.containerd, project, image, &id, stage).await
    }

    /// No segment's instance has such a name: a segment's begins with its own, and dots are not in it.
    fn sandbox_id(&self, what: &str) -> InstanceId {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("intake.{what}.{}.{number}", std::process::id());
        InstanceId::new(name).expect("words and numbers with dots between them name an instance")
    }
}

/// Runs what blocks where that does not matter.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IntakeError> + Send + 'static,
) -> Result<T, IntakeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(IntakeError::Broken { message: error.to_string() }),
    }
}

fn layer_file(layer: &Layer) -> LayerFile {
    LayerFile { path: layer.path.clone(), digest: layer.digest.clone(), bytes: layer.bytes }
}
