//! What an agent is to be like. In: calls of a builder. Out: its configuration file.
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::place::Place;
use super::{Agent, quoted};
use crate::cgroup::Subtree;
use crate::containerd::{Keep, PrivateContainerd};
use crate::image::{ImageBuilder, segment_image};
use crate::kernel::Kernel;

/// Describes an agent; [`Builder::start`] starts it.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    fixed: bool,
    weave: bool,
    keep_alive: Duration,
    confidence: Option<f64>,
    budget: Budget,
    prefix: u8,
    drain: Option<Duration>,
    resize: Option<Duration>,
    vm_runtime: Option<String>,
    neighbour: Option<Neighbour>,
    guests: Option<Kernel>,
    uploads: Option<Uploads>,
    segments: Vec<Segment>,
    pub(super) images: Vec<ImageBuilder>,
    pub(super) archives: Vec<PathBuf>,
    pub(super) cache: PathBuf,
    pub(super) binary: Option<PathBuf>,
    pub(super) keep: Keep,
    pub(super) log: Option<String>,
}

#[derive(Debug, Clone)]
struct Budget {
    memory_mib: u64,
    cores: f64,
    instances: u32,
}

/// Where the agent takes uploads by S3, and with whose keys.
#[derive(Debug, Clone)]
pub struct Uploads {
    /// Where its endpoint listens.
    pub address: SocketAddr,
    /// The access key.
    pub access_key: String,
    /// The file of the secret key.
    pub secret_file: PathBuf,
}

/// Another agent's containerd, and a namespace in it.
#[derive(Debug, Clone)]
struct Neighbour {
    address: PathBuf,
    runc_root: PathBuf,
    namespace: String,
}

/// One `[[segment]]`.
#[derive(Debug, Clone)]
pub struct Segment {
    name: String,
    image: String,
    port: u16,
    address: Option<SocketAddr>,
    miss: &'static str,
    isolation: &'static str,
    memory_mib: u64,
    cores: f64,
    concurrency: u32,
    start_timeout: Duration,
    env: Vec<(String, String)>,
}

impl Segment {
    /// A segment whose image listens on port 8080, with an address of its own.
    pub fn new(name: &str, image: &str) -> Self {
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            port: 8080,
            address: None,
            miss: "activate",
            isolation: "container",
            memory_mib: 64,
            cores: 1.0,
            concurrency: 16,
            start_timeout: Duration::from_secs(90),
            env: Vec::new(),
        }
    }

    /// Where the image's program listens.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// What callers dial.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// A miss goes to the ordinary service.
    pub fn pass(mut self) -> Self {
        self.miss = "pass";
        self
    }

    /// Runs in VMs.
    pub fn in_vm(mut self) -> Self {
        self.isolation = "vm";
        self
    }

    /// Memory and cores of one instance.
    pub fn limits(mut self, memory_mib: u64, cores: f64) -> Self {
        (self.memory_mib, self.cores) = (memory_mib, cores);
        self
    }

    /// Requests that one instance may hold at a time.
    pub fn concurrency(mut self, concurrency: u32) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// How long a request waits for an instance.
    pub fn start_timeout(mut self, start_timeout: Duration) -> Self {
        self.start_timeout = start_timeout;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn render(&self, address: SocketAddr) -> Result<String> {
        let mut text = format!(
            "\n[[segment]]\nname = {}\nimage = {}\nport = {}\naddress = \"{address}\"\nmiss = \"{}\"\n\
             isolation = \"{}\"\nstart_timeout = \"{}ms\"\nlimits = {{ memory = \"{}MiB\", cpu = {:?}, concurrency = {} }}\n",
            serde_json::to_string(&self.name)?,
            serde_json::to_string(&self.image)?,
            self.port,
            self.miss,
            self.isolation,
            self.start_timeout.as_millis(),
            self.memory_mib,
            self.cores,
            self.concurrency,
        );
        if !self.env.is_empty() {
            text.push_str("[segment.env]\n");
        }
        for (name, value) in &self.env {
            writeln!(text, "{} = {}", serde_json::to_string(name)?, serde_json::to_string(value)?)?;
        }
        Ok(text)
    }
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            fixed: false,
            weave: true,
            keep_alive: Duration::from_secs(2),
            confidence: None,
            budget: Budget { memory_mib: 2048, cores: 2.0, instances: 32 },
            prefix: 24,
            drain: None,
            resize: None,
            vm_runtime: None,
            neighbour: None,
            guests: None,
            uploads: None,
            segments: Vec::new(),
            images: Vec::new(),
            archives: Vec::new(),
            cache: Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"),
            binary: None,
            keep: Keep::InMemory,
            log: None,
        }
    }

    /// Gives its traces the same names at every run: what a killed run left is found and cleared by the next. Without
    /// it the names are unique, and several agents of one name run side by side.
    pub fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }

    /// Whether forecasts are acted upon; they are unless told otherwise.
    pub fn weave(mut self, weave: bool) -> Self {
        self.weave = weave;
        self
    }

    /// How long an instance stays after its last request; 2 seconds unless told otherwise.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// The least confidence for which a container is made; the agent's own choice unless told otherwise.
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// What may be spent ahead of demand; 2 GiB, 2 cores and 32 instances unless told otherwise.
    pub fn budget(mut self, memory_mib: u64, cores: f64, instances: u32) -> Self {
        self.budget = Budget { memory_mib, cores, instances };
        self
    }

    /// Length of the instances' subnet's prefix, 24 to 29; 24 unless told otherwise.
    pub fn prefix(mut self, prefix: u8) -> Self {
        self.prefix = prefix;
        self
    }

    /// How often limits that are forecasts follow the runs; its own default unless told otherwise.
    pub fn resize(mut self, resize: Duration) -> Self {
        self.resize = Some(resize);
        self
    }

    /// Has containerd make VMs, by this runtime of its.
    pub fn vm_runtime(mut self, runtime: &str) -> Self {
        self.vm_runtime = Some(runtime.to_owned());
        self
    }

    /// How long the agent's end waits for instances that have work; its own default unless told otherwise.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = Some(drain);
        self
    }

    /// Has it make its instances in another's containerd, in the namespace `namespace`; its own is left alone. Images are
    /// for the caller to import.
    pub fn beside(mut self, containerd: &PrivateContainerd, namespace: &str) -> Self {
        let (address, runc_root) = (containerd.address(), containerd.runc_root());
        self.neighbour = Some(Neighbour { address, runc_root, namespace: namespace.to_owned() });
        self
    }

    /// Has VMs run this kernel, whoever may execute them.
    pub fn guests(mut self, kernel: Kernel) -> Self {
        self.guests = Some(kernel);
        self
    }

    /// Has it take uploads by S3.
    pub fn uploads(mut self, uploads: Uploads) -> Self {
        self.uploads = Some(uploads);
        self
    }

    /// Takes a segment away.
    pub fn without(mut self, name: &str) -> Self {
        self.segments.retain(|segment| segment.name != name);
        self
    }

    /// Adds a segment.
    pub fn segment(mut self, segment: Segment) -> Self {
        self.segments.push(segment);
        self
    }

    /// Imports the fixture server before the start, as an image of this name.
    ///
    /// # Errors
    /// As [`segment_image`].
    pub fn fixture(self, image: &str) -> Result<Self> {
        let image = segment_image(image, &self.cache)?;
        Ok(self.image(image))
    }

    /// Builds an image and imports it before the start.
    pub fn image(mut self, image: ImageBuilder) -> Self {
        self.images.push(image);
        self
    }

    /// Imports an archive of images before the start.
    pub fn archive(mut self, archive: &Path) -> Self {
        self.archives.push(archive.to_owned());
        self
    }

    /// Keeps all state on disk, as on a real node: for measurements.
    pub fn on_disk(mut self) -> Self {
        self.keep = Keep::OnDisk;
        self
    }

    /// Keeps the layers of images there; `target/images` unless told otherwise.
    pub fn cache(mut self, cache: &Path) -> Self {
        cache.clone_into(&mut self.cache);
        self
    }

    /// Where the layers of images are kept.
    pub fn cache_path(&self) -> &Path {
        &self.cache
    }

    /// The `weft` to run; the one beside the running program unless told otherwise.
    pub fn binary(mut self, binary: &Path) -> Self {
        self.binary = Some(binary.to_owned());
        self
    }

    /// How much the agent logs, as in `WEFT_LOG`; as this process' environment says unless told otherwise.
    pub fn log(mut self, filter: &str) -> Self {
        self.log = Some(filter.to_owned());
        self
    }

    /// Starts everything and waits until the agent is ready.
    ///
    /// # Errors
    /// When the binary is missing, or something does not start; the message holds the end of its log.
    pub fn start(self) -> Result<Agent> {
        Agent::start(self)
    }

    pub(super) fn place(&self) -> Result<Place> {
        if self.fixed { Place::fixed(&self.name) } else { Place::unique(&self.name) }
    }

    pub(super) fn address(&self, name: &str, place: &Place) -> Option<SocketAddr> {
        let index = self.segments.iter().position(|segment| segment.name == name)?;
        Some(self.dialled(index, place))
    }

    /// The address of the segment of this index: its own, or one of the block that nothing else answers.
    fn dialled(&self, index: usize, place: &Place) -> SocketAddr {
        let own = || {
            let host = Ipv4Addr::from_bits(place.dial_base().to_bits() + 10 + index as u32);
            SocketAddr::from((host, 80))
        };
        self.segments[index].address.unwrap_or_else(own)
    }

    /// The configuration file.
    pub(super) fn render(
        &self,
        place: &Place,
        subtree: &Subtree,
        containerd: &PrivateContainerd,
        metrics: SocketAddr,
    ) -> Result<String> {
        let own = || Neighbour {
            address: containerd.address(),
            runc_root: containerd.runc_root(),
            namespace: "weft".to_owned(),
        };
        let containerd = self.neighbour.clone().unwrap_or_else(own);
        let confidence = self.confidence.map_or("\"auto\"".to_owned(), |bar| format!("{bar:?}"));
        let mut text = format!(
            "[agent]\nstate = {}\nsocket = {}\nmetrics = \"{metrics}\"\ncgroup = {}\nweave = {}\n{}\n\
             [containerd]\naddress = {}\nrunc_root = {}\nnamespace = \"{}\"\n\n\
             [network]\nbridge = \"{}\"\nsubnet = \"{}/{}\"\n\n\
             [budget]\nmemory = \"{}MiB\"\ncpu = {:?}\ninstances = {}\n\n\
             [policy]\nkeep_alive = \"{}ms\"\nconfidence = {confidence}\n\n[intake]\ncache = {}\n\
             addresses = \"{}/28\"\n{}\n",
            quoted(&place.state())?,
            quoted(&place.socket())?,
            quoted(subtree.directory())?,
            self.weave,
            self.drain.map_or(String::new(), |drain| format!("drain = \"{}ms\"\n", drain.as_millis())),
            quoted(&containerd.address)?,
            quoted(&containerd.runc_root)?,
            containerd.namespace,
            place.bridge(),
            place.subnet_base(),
            self.prefix,
            self.budget.memory_mib,
            self.budget.cores,
            self.budget.instances,
            self.keep_alive.as_millis(),
            quoted(&self.cache.join("../intake-cache"))?,
            // The last addresses of the block that callers dial.
            Ipv4Addr::from_bits(place.dial_base().to_bits() + 240),
            self.resize.map_or(String::new(), |resize| format!("resize = \"{}ms\"\n", resize.as_millis())),
        );
        if let Some(Uploads { address, access_key, secret_file }) = &self.uploads {
            let (key, file) = (serde_json::to_string(access_key)?, quoted(secret_file)?);
            writeln!(text, "s3 = \"{address}\"\ns3_access_key = {key}\ns3_secret_file = {file}\n")?;
        }
        if let Some(Kernel { image, modules }) = &self.guests {
            let (image, modules) = (quoted(image)?, quoted(modules)?);
            writeln!(text, "[vm]\nacceleration = \"tcg\"\nkernel = {image}\nmodules = {modules}\n")?;
        }
        if let Some(runtime) = &self.vm_runtime {
            writeln!(text, "[vm]\nruntime = {}\n", serde_json::to_string(runtime)?)?;
        }
        for (index, segment) in self.segments.iter().enumerate() {
            text += &segment.render(self.dialled(index, place))?;
        }
        Ok(text)
    }
}
