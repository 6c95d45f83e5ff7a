//! An intake on a containerd of its own. In: files. Out: uploads, what they were made into, containers of it that can be
//! asked; and the certainty that nothing else is left.
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use weft::config::Config;
use weft::intake::{Built, Intake, Settings, Upload};
use weft::runtime::InstanceId;
use weft::runtime::containerd::{Containerd, ContainerdConfig, SandboxSpec};
use weft_tests::containerd::PrivateContainerd;
use weft_tests::http::{Reply, Request};
use weft_tests::netns::Netns;

/// Names the containerd namespace of the bench.
const NAMESPACE: &str = "weft";

/// Layers that all tests of this machine share.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

pub(crate) struct Bench {
    name: String,
    directory: PathBuf,
    reactor: tokio::runtime::Runtime,
    pub(crate) containerd: Arc<Containerd>,
    pub(crate) intake: Arc<Intake>,
    room: bool,
    /// Ended before the folder it lives in.
    daemon: Option<PrivateContainerd>,
    count: AtomicU32,
}

impl Bench {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Self::made(name, None, None)
    }

    /// One that takes no larger archives.
    pub(crate) fn limited(name: &str, bytes: u64) -> Result<Self> {
        Self::made(name, None, Some(bytes))
    }

    /// One whose uploads have so many bytes of disk.
    pub(crate) fn with_room(name: &str, bytes: u64) -> Result<Self> {
        Self::made(name, Some(bytes), None)
    }

    fn made(name: &str, room: Option<u64>, upload: Option<u64>) -> Result<Self> {
        let name = format!("weft-intake-{name}-{}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        fs::create_dir_all(directory.join("state"))?;
        if let Some(bytes) = room {
            let options = std::ffi::CString::new(format!("size={bytes}"))?;
            mount("tmpfs", directory.join("state"), "tmpfs", MountFlags::NODEV, options.as_c_str())?;
        }
        let reactor = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let inside = reactor.enter();
        let daemon = PrivateContainerd::start(format!("/run/{name}"))?;
        let containerd = Containerd::connect(ContainerdConfig {
            address: daemon.address(),
            namespace: NAMESPACE.to_owned(),
            vm_runtime: None,
            snapshotter: "overlayfs".to_owned(),
            cgroup_parent: format!("/{name}").into(),
            runc_root: Some(daemon.runc_root()),
        })?;
        let mut config = Config::default();
        config.agent.state = directory.join("state");
        config.intake.cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("intake-cache"));
        config.intake.upload_size.0 = upload.unwrap_or(config.intake.upload_size.0);
        if room.is_some() {
            config.intake.free_size.0 = 0;
        }
        let containerd = Arc::new(containerd);
        let intake = Arc::new(Intake::open(Settings::of(&config), Arc::clone(&containerd))?);
        drop(inside);
        let (room, daemon, count) = (room.is_some(), Some(daemon), AtomicU32::new(0));
        Ok(Self { name, directory, reactor, containerd, intake, room, daemon, count })
    }

    pub(crate) fn daemon(&self) -> &PrivateContainerd {
        self.daemon.as_ref().expect("it runs until the bench is dropped")
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A folder of uploaded files.
    pub(crate) fn folder(&self, name: &str, files: &[(&str, &str)]) -> Result<Upload> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let source = self.directory.join(format!("upload-{number}")).join(name);
        for (path, text) in files {
            let path = source.join(path);
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            fs::write(path, text)?;
        }
        Ok(Upload { name: name.to_owned(), source })
    }

    /// A zip of uploaded files.
    pub(crate) fn zip(&self, name: &str, files: &[(&str, &str)]) -> Result<Upload> {
        let folder = self.folder("zipped", files)?.source;
        let source = folder.with_file_name(name);
        let mut command = Command::new("python3");
        command.args(["-m", "zipfile", "-c"]).arg(&source).arg(&folder);
        ensure!(command.status()?.success(), "{command:?} failed");
        Ok(Upload { name: name.to_owned(), source })
    }

    /// A single file of the machine as an upload.
    pub(crate) fn copy(&self, file: &Path, name: &str) -> Result<Upload> {
        let source = self.directory.join(name);
        fs::copy(file, &source)?;
        Ok(Upload { name: name.to_owned(), source })
    }

    pub(crate) fn build(&self, upload: &Upload) -> Result<Built> {
        Ok(self.reactor.block_on(self.intake.build(upload, &|_, _| ()))?)
    }

    /// Why an upload is refused.
    pub(crate) fn refused(&self, upload: &Upload) -> Result<String> {
        match self.reactor.block_on(self.intake.build(upload, &|_, _| ())) {
            Ok(built) => bail!("{} was built", built.image),
            Err(error) => Ok(error.to_string()),
        }
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.reactor.block_on(work)
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.reactor.spawn(work);
    }

    /// Runs an instance as a segment's would be.
    pub(crate) fn run(&self, built: &Built) -> Result<Running<'_>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let id = InstanceId::new(format!("{}-{number}", built.project.name))?;
        let netns = Netns::make(&format!("{}-{number}", self.name))?;
        let log = self.directory.join(format!("{id}.log"));
        let spec = SandboxSpec {
            id: id.clone(),
            recipe: built.recipe.clone(),
            netns: netns.path(),
            binds: Vec::new(),
            log: log.clone(),
        };
        self.reactor.block_on(self.containerd.start_sandbox(&spec))?;
        Ok(Running { bench: self, id, netns, log, port: built.project.port })
    }

    /// Nothing of any upload is there but so many images of theirs.
    pub(crate) fn leaves_only(&self, images: usize) -> Result<()> {
        let ctr = |arguments: &[&str]| self.daemon().ctr(&[&["-n", NAMESPACE][..], arguments].concat());
        let listed = ctr(&["images", "ls", "-q"])?;
        let named: Vec<_> = listed.lines().filter(|line| !line.starts_with("weft/intake:")).collect();
        ensure!(named.len() == images, "images: {named:?}");
        ensure!(ctr(&["containers", "ls", "-q"])?.trim().is_empty(), "containers are left");
        ensure!(ctr(&["leases", "ls", "-q"])?.trim().is_empty(), "leases are left");
        let snapshots = ctr(&["snapshots", "ls"])?;
        ensure!(!snapshots.contains("Active"), "snapshots are left: {snapshots}");
        let left: Vec<_> = fs::read_dir(self.directory.join("state/intake/uploads"))?.flatten().collect();
        ensure!(left.is_empty(), "uploads are left: {left:?}");
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.daemon.take());
        self.containerd.leave();
        if self.room {
            let _ = unmount(self.directory.join("state"), UnmountFlags::DETACH);
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("left behind: {}: {error}", self.directory.display());
        }
    }
}

pub(crate) struct Running<'a> {
    bench: &'a Bench,
    id: InstanceId,
    netns: Netns,
    log: PathBuf,
    port: u16,
}

impl Running<'_> {
    /// Asks it, once it listens.
    pub(crate) fn get(&self, path: &str) -> Result<Reply> {
        let (port, path) = (self.port, path.to_owned());
        let asked = self.netns.inside(move || {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let patience = std::time::Duration::from_secs(20);
            weft_tests::wait::wait_for("a listener", patience, || {
                std::net::TcpStream::connect(address).is_ok()
            })?;
            Request::get(address, &path).send()
        });
        asked.with_context(|| self.log())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn stop(self) -> Result<()> {
        Ok(self.bench.block_on(self.bench.containerd.remove_sandbox(&self.id))?)
    }
}
