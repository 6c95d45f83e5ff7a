//! A containerd of one's own.
//!
//! In: a directory. Out: a containerd that answers, whose state is all below that directory, and of which nothing
//! is left afterwards: no container, shim, mount or cgroup. Refuses a directory whose path is too long for a
//! socket. What an earlier, killed run left in the directory is cleared first.
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// Longer paths do not fit a socket's address, and containerd appends `.ttrpc`.
const SOCKET_PATH_LEN_MAX: usize = 100;
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a containerd's state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In memory: it is thrown away in the end, and a busy disk does not make anybody wait.
    InMemory,
    /// On disk, as on a real node: for measurements.
    OnDisk,
}

/// A containerd without the CRI plugin, with its own root, state and socket. Dropping it stops it and clears up.
#[derive(Debug)]
pub struct PrivateContainerd {
    directory: PathBuf,
    daemon: Option<Child>,
}

impl PrivateContainerd {
    /// Starts one below `directory`, which is made, and removed at the end; its state is kept in memory.
    ///
    /// # Errors
    /// When the program is missing, or does not answer within two minutes; the message holds the end of its log.
    pub fn start(directory: impl Into<PathBuf>) -> Result<Self> {
        Self::start_kept(directory, Keep::InMemory)
    }

    /// The same with its state kept where it is told.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_kept(directory: impl Into<PathBuf>, keep: Keep) -> Result<Self> {
        let directory = directory.into();
        let mut this = Self { directory, daemon: None };
        let length = this.address().as_os_str().len();
        ensure!(length <= SOCKET_PATH_LEN_MAX, "{} is too long for a socket", this.directory.display());
        clear(&this.directory)?;
        fs::create_dir_all(&this.directory)?;
        if keep == Keep::InMemory {
            let mounted = mount("tmpfs", &this.directory, "tmpfs", MountFlags::NODEV, c"mode=755");
            mounted.with_context(|| format!("mount a tmpfs at {}", this.directory.display()))?;
        }
        fs::write(this.directory.join("config.toml"), this.config())?;
        this.start_again()?;
        Ok(this)
    }

    /// Its socket.
    pub fn address(&self) -> PathBuf {
        self.directory.join("containerd.sock")
    }

    /// A place for runc's state that is cleared with the rest. By default runc keeps it in one directory for all
    /// containerds of the machine, and equal IDs collide.
    pub fn runc_root(&self) -> PathBuf {
        self.directory.join("runc")
    }

    /// Runs `ctr` against it and returns what it printed.
    ///
    /// # Errors
    /// When `ctr` fails; the message holds what it said.
    pub fn ctr(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new("ctr").arg("--address").arg(self.address()).args(arguments))
    }

    /// Imports the images of an archive into a namespace.
    ///
    /// # Errors
    /// As [`Self::ctr`].
    pub fn import(&self, namespace: &str, archive: &Path, unpack: Unpack) -> Result<()> {
        let archive = archive.to_str().context("the archive's path is no UTF-8")?;
        let mut arguments = vec!["--namespace", namespace, "images", "import"];
        if unpack == Unpack::Later {
            arguments.push("--no-unpack");
        }
        arguments.push(archive);
        self.ctr(&arguments).map(drop)
    }

    /// Has it collect garbage, in all its namespaces, and waits until it has.
    ///
    /// # Errors
    /// As [`Self::ctr`].
    pub fn collect_garbage(&self) -> Result<()> {
        // The end of a lease is the occasion; in a namespace of its own it belongs to nobody's books.
        let lease = self.ctr(&["--namespace", "garbage", "leases", "create"])?;
        let delete = ["--namespace", "garbage", "leases", "delete", "--sync", lease.trim()];
        self.ctr(&delete).map(drop)
    }

    /// Ends the daemon in good order and starts it again; containers live on.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.end_daemon(Signal::TERM)?;
        self.start_again()
    }

    /// Kills the daemon; containers live on.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill9(&mut self) -> Result<()> {
        self.end_daemon(Signal::KILL)
    }

    /// Starts the daemon after [`Self::kill9`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_again(&mut self) -> Result<()> {
        let log =
            fs::File::options().create(true).append(true).open(self.directory.join("containerd.log"))?;
        let mut command = Command::new("containerd");
        command.arg("--config").arg(self.directory.join("config.toml"));
        // In a group of its own: a Ctrl-C at the terminal is for whoever started it, who then ends it in order.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        self.daemon = Some(command.spawn().context("start containerd (apt-get install containerd)")?);
        let mut refusal = None;
        let settled = wait_for("containerd to answer", PATIENCE, || {
            refusal = self.ctr(&["--connect-timeout", "1s", "version"]).err();
            // One that has ended will not answer any more.
            refusal.is_none() || self.daemon.as_mut().is_some_and(|one| !matches!(one.try_wait(), Ok(None)))
        });
        if let Some(error) = refusal.or(settled.err()) {
            bail!("containerd does not answer: {error}\n{}", self.log_tail());
        }
        Ok(())
    }

    /// Stops it and removes everything it made.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn stop(mut self) -> Result<()> {
        self.clear_up()
    }

    fn clear_up(&mut self) -> Result<()> {
        self.end_daemon(Signal::TERM)?;
        clear(&self.directory)
    }

    fn end_daemon(&mut self, signal: Signal) -> Result<()> {
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        // It may have ended by itself; then wait() says so.
        let _ = kill_process(Pid::from_child(&daemon), signal);
        let ended = || !matches!(daemon.try_wait(), Ok(None));
        if wait_for("containerd to end", PATIENCE, ended).is_err() {
            daemon.kill()?;
        }
        daemon.wait()?;
        Ok(())
    }

    fn config(&self) -> String {
        let below = |name: &str| self.directory.join(name).display().to_string();
        format!(
            "version = 2\nroot = {:?}\nstate = {:?}\noom_score = 0\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.btrfs\", \
             \"io.containerd.snapshotter.v1.zfs\", \"io.containerd.snapshotter.v1.aufs\", \
             \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.internal.v1.opt\", \
             \"io.containerd.tracing.processor.v1.otlp\"]\n\
             [grpc]\naddress = {:?}\n",
            below("root"),
            below("state"),
            self.address(),
        )
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.directory.join("containerd.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for PrivateContainerd {
    fn drop(&mut self) {
        if let Err(error) = self.clear_up() {
            eprintln!("left behind by containerd in {}: {error:#}", self.directory.display());
        }
    }
}

/// When the layers of an imported image are unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// By `ctr`, at once.
    Now,
    /// By whoever needs them.
    Later,
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Removes a containerd's directory and all that lives from it. The daemon itself is gone already, or was lost with
/// the process that started it.
pub(crate) fn clear(directory: &Path) -> Result<()> {
    let address = directory.join("containerd.sock");
    let config = directory.join("config.toml");
    for process in processes() {
        if process.value_of("--config") == config.to_str() {
            process.kill_and_wait();
        }
    }
    for shim in processes().filter(|p| p.value_of("-address") == address.to_str()) {
        clear_shim(&shim);
    }
    let state = directory.join("state/io.containerd.runtime.v2.task");
    for bundle in children(&state).flat_map(|namespace| children(&namespace)) {
        if let Ok(socket) = fs::read_to_string(bundle.join("address")) {
            // A stale socket is all that is left of a shim.
            let _ = fs::remove_file(socket.trim_start_matches("unix://"));
        }
    }
    for point in mounts_below(directory)? {
        rustix::mount::unmount(&point, UnmountFlags::DETACH)
            .with_context(|| format!("unmount {}", point.display()))?;
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Kills a shim, its container, and removes the container's cgroups and runc's notes of it.
fn clear_shim(shim: &Process) {
    let containers: Vec<_> = processes().filter(|process| process.parent == Some(shim.pid)).collect();
    let cgroups: Vec<_> = containers.iter().flat_map(Process::cgroups).collect();
    for process in containers.iter().chain([shim]) {
        process.kill_and_wait();
    }
    for cgroup in cgroups {
        // The innermost first. A parent that is in use does not let itself be removed.
        // The kernel lets go of a cgroup a moment after the end of its last process.
        let _ = wait_for("the cgroup to be empty", PATIENCE, || {
            fs::remove_dir(&cgroup).is_ok() || !cgroup.exists()
        });
        for directory in cgroup.ancestors().skip(1).take_while(|directory| is_below_mount(directory)) {
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
    }
    if let (Some(namespace), Some(id)) = (shim.value_of("-namespace"), shim.value_of("-id")) {
        let _ = fs::remove_dir_all(Path::new("/run/containerd/runc").join(namespace).join(id));
        let _ = fs::remove_dir(Path::new("/run/containerd/runc").join(namespace));
    }
}

/// Whether a directory is on the same file system as its parent: the root of a cgroup tree is not.
fn is_below_mount(directory: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    directory.parent().is_some_and(|parent| device(parent) == device(directory))
}

/// A process of the machine.
pub(crate) struct Process {
    pub(crate) pid: i32,
    parent: Option<i32>,
    arguments: Vec<String>,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
        Some(Self { pid, parent, arguments: arguments.split('\0').map(str::to_owned).collect() })
    }

    /// The argument after `flag`.
    pub(crate) fn value_of(&self, flag: &str) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == flag)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    /// Whether an argument begins with `text`.
    pub(crate) fn names(&self, text: &str) -> bool {
        self.arguments.iter().any(|argument| argument.starts_with(text))
    }

    /// The directories of its cgroups in all mounted trees.
    fn cgroups(&self) -> Vec<PathBuf> {
        let (Ok(cgroups), Ok(mounts)) = (
            fs::read_to_string(format!("/proc/{}/cgroup", self.pid)),
            fs::read_to_string("/proc/self/mounts"),
        ) else {
            return Vec::new();
        };
        let mut directories = Vec::new();
        for mount in mounts.lines() {
            let [_, point, kind, options, ..] = mount.split(' ').collect::<Vec<_>>()[..] else { continue };
            for cgroup in cgroups.lines() {
                let [_, controllers, path] = cgroup.splitn(3, ':').collect::<Vec<_>>()[..] else { continue };
                let here = match kind {
                    "cgroup2" => controllers.is_empty(),
                    "cgroup" => {
                        !controllers.is_empty()
                            && controllers.split(',').all(|c| options.split(',').any(|o| o == c))
                    }
                    _ => false,
                };
                if here && path != "/" {
                    directories.push(Path::new(point).join(path.trim_start_matches('/')));
                }
            }
        }
        directories
    }

    pub(crate) fn kill_and_wait(&self) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let _ = kill_process(pid, Signal::KILL);
        // Whoever clears up says what stays.
        let _ = wait_for("a killed process to end", PATIENCE, || !is_alive(self.pid));
    }
}

/// A zombie has released its cgroup and its mounts; who reaps it is not our business.
fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

pub(crate) fn processes() -> impl Iterator<Item = Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Process::read)
}

fn children(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Mount points below a directory, the innermost first.
pub(crate) fn mounts_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let mut points: Vec<_> = points.filter(|point| point.starts_with(directory)).collect();
    points.reverse();
    Ok(points)
}
