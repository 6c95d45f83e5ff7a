//! A weft of one's own.
//!
//! In: segments and how the agent is to behave. Out: an agent that answers, with a containerd, bridge, subnet, cgroup,
//! state and sockets of its own, so that several run side by side; and at the end nothing of all that, also when the
//! test fails or the agent was killed. Refuses to start when the binary is missing or the agent does not get ready,
//! with the end of its log.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! # let cart = weft_tests::image::segment_image("shop/cart:1", "target/images".as_ref())?;
//! use weft_tests::agent::{Agent, Segment};
//! let agent = Agent::builder("story").image(cart).segment(Segment::new("cart", "shop/cart:1")).start()?;
//! let caller = agent.caller()?;
//! assert_eq!(caller.get(agent.address("cart"), "/", "ann")?.status, 200);
//! agent.stop()?;
//! # Ok(()) }
//! ```
mod ask;
mod builder;
mod place;
mod traces;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

pub use ask::{Line, Watch};
pub use builder::{Builder, Segment, Uploads};
pub use place::Place;
pub use traces::Trace;

use crate::binary;
use crate::caller::Caller;
use crate::cgroup::Subtree;
use crate::command::{Said, run_to_end};
use crate::containerd::{PrivateContainerd, Unpack};
use crate::http::http_get;
use crate::image::{ImageBuilder, build_all};
use crate::wait::wait_for_some;

/// How long the agent may take to get ready.
const READY: Duration = Duration::from_secs(90);
/// How long it may take to end: its own grace for instances that have work, and a little more.
const END: Duration = Duration::from_secs(40);

/// A running agent and all that belongs to it. Dropping it kills and clears everything.
#[derive(Debug)]
pub struct Agent {
    settings: Builder,
    place: Place,
    binary: PathBuf,
    metrics: SocketAddr,
    process: Option<Child>,
    containerd: Option<PrivateContainerd>,
    subtree: Option<Subtree>,
}

impl Agent {
    /// Describes an agent; `name` is a short word that tells its traces apart.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    fn start(settings: Builder) -> Result<Self> {
        let binary = settings.binary.clone().map_or_else(|| binary("weft"), Ok)?;
        let place = settings.place()?;
        place.clear()?;
        let containerd = PrivateContainerd::start_kept(place.directory(), settings.keep)?;
        let mut this = Self {
            settings,
            place,
            binary,
            metrics: free_port()?,
            process: None,
            containerd: Some(containerd),
            subtree: None,
        };
        this.import()?;
        this.subtree = Some(Subtree::make(this.place.name())?);
        this.start_again()?;
        Ok(this)
    }

    fn import(&self) -> Result<()> {
        if !self.settings.images.is_empty() {
            let archive = self.place.directory().join("images.tar");
            build_all(&self.settings.images, &self.settings.cache, &archive)?;
            self.containerd()?.import("weft", &archive, Unpack::Now)?;
            fs::remove_file(archive)?;
        }
        for archive in &self.settings.archives {
            self.containerd()?.import("weft", archive, Unpack::Now)?;
        }
        Ok(())
    }

    /// Imports one more image, into the containerd that runs.
    ///
    /// # Errors
    /// When it cannot be built or imported.
    pub fn import_later(&self, image: &ImageBuilder, unpack: Unpack) -> Result<()> {
        let archive = self.place.directory().join("later.tar");
        image.build(&self.settings.cache, &archive)?;
        self.containerd()?.import("weft", &archive, unpack)?;
        Ok(fs::remove_file(archive)?)
    }

    /// Where it keeps what it has learned; open to others while it does not run.
    pub fn state(&self) -> PathBuf {
        self.place.state()
    }

    /// Where the layers of its images are kept.
    pub fn cache(&self) -> &Path {
        &self.settings.cache
    }

    /// Starts the agent again after [`Self::kill9`], [`Self::terminate`] or [`Self::drain`], and waits until it is
    /// ready.
    ///
    /// # Errors
    /// When it does not start; the message holds the end of its log.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the agent runs already");
        let config = self.place.config();
        fs::write(&config, self.config_text()?)?;
        let log = fs::File::options().create(true).append(true).open(self.place.log())?;
        let mut command = Command::new(&self.binary);
        command.arg("agent").arg("--config").arg(config).stdin(Stdio::null());
        // In a group of its own: a Ctrl-C at the terminal is for whoever started the harness, who then ends this.
        command.stdout(log.try_clone()?).stderr(log).process_group(0);
        command.envs(self.settings.log.iter().map(|filter| ("WEFT_LOG", filter)));
        let started = command.spawn();
        self.process = Some(started.with_context(|| format!("start {}", self.binary.display()))?);
        let metrics = self.metrics;
        let outcome = wait_for_some("the agent to get ready", READY, || {
            let ready = || http_get(metrics, "/readyz", &[]).is_ok_and(|reply| reply.status == 200);
            match self.exited() {
                Some(status) => Some(Err(status)),
                None => ready().then_some(Ok(())),
            }
        });
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("the agent ended at once, {status}:\n{}", self.log_tail()),
            Err(error) => bail!("{error:#}:\n{}", self.log_tail()),
        }
    }

    /// Its configuration as it stands now.
    ///
    /// # Errors
    /// After the end only.
    pub fn config_text(&self) -> Result<String> {
        self.settings.render(&self.place, self.subtree()?, self.containerd()?, self.metrics)
    }

    /// Runs an agent that is expected to end by itself, with this one's configuration, changed; returns what it said.
    ///
    /// # Errors
    /// When it does not start, or does not end.
    pub fn try_another(&self, change: impl FnOnce(&str) -> String) -> Result<Said> {
        let config = self.place.directory().join("another.toml");
        fs::write(&config, change(&self.config_text()?))?;
        run_to_end(Command::new(&self.binary).arg("agent").arg("--config").arg(config))
    }

    /// Whether its process was started and not ended since.
    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Changes the settings; they hold from the next start on.
    pub fn configure(&mut self, change: impl FnOnce(Builder) -> Builder) {
        self.settings = change(self.settings.clone());
    }

    /// Sends the agent a signal and goes on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("the agent does not run")?;
        Ok(kill_process(Pid::from_child(process), signal)?)
    }

    /// Kills the agent; its instances live on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill9(&mut self) -> Result<()> {
        self.end(Signal::KILL).map(drop)
    }

    /// Ends the agent in good order, as a service manager does: with SIGTERM.
    ///
    /// # Errors
    /// When it does not run, does not end in time, or ends with a failure.
    pub fn terminate(&mut self) -> Result<()> {
        let status = self.end(Signal::TERM)?;
        ensure!(status.success(), "the agent ended with {status}:\n{}", self.log_tail());
        Ok(())
    }

    /// Ends the agent in good order and starts it again.
    ///
    /// # Errors
    /// As [`Self::terminate`] and [`Self::start_again`].
    pub fn restart(&mut self) -> Result<()> {
        self.terminate()?;
        self.start_again()
    }

    /// Ends the agent by its own command and waits for it.
    ///
    /// # Errors
    /// As [`Self::terminate`].
    pub fn drain(&mut self) -> Result<()> {
        self.weft(&["drain"])?;
        let status = self.wait_for_end()?;
        ensure!(status.success(), "the agent ended with {status}:\n{}", self.log_tail());
        Ok(())
    }

    /// Ends everything and makes sure that nothing is left.
    ///
    /// # Errors
    /// What is left, or does not end.
    pub fn stop(mut self) -> Result<()> {
        if self.process.is_some() {
            self.terminate()?;
        }
        self.clear_up()?;
        let left = self.place.leftovers();
        ensure!(left.is_empty(), "left behind: {}", left.join(", "));
        Ok(())
    }

    /// The address that callers of a segment dial; of an unknown segment the unspecified one, which nobody answers.
    pub fn address(&self, segment: &str) -> SocketAddr {
        self.settings.address(segment, &self.place).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 1)))
    }

    /// A process inside the watched cgroup that asks what it is told to.
    ///
    /// # Errors
    /// As [`Caller::start`].
    pub fn caller(&self) -> Result<Caller> {
        Caller::start(self.subtree()?, "callers")
    }

    /// The watched cgroups.
    ///
    /// # Errors
    /// After the end only.
    pub fn subtree(&self) -> Result<&Subtree> {
        self.subtree.as_ref().context("the cgroup is gone")
    }

    /// Its containerd.
    ///
    /// # Errors
    /// After the end only.
    pub fn containerd(&self) -> Result<&PrivateContainerd> {
        self.containerd.as_ref().context("containerd is gone")
    }

    /// Its containerd, to be ended and started again.
    ///
    /// # Errors
    /// After the end only.
    pub fn containerd_mut(&mut self) -> Result<&mut PrivateContainerd> {
        self.containerd.as_mut().context("containerd is gone")
    }

    /// Where everything of it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// All of its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.place.log()).unwrap_or_default()
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(|process| process.try_wait().ok().flatten())
    }

    fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        let process = self.process.as_ref().context("the agent does not run")?;
        // It may have ended by itself; then waiting tells how.
        let _ = kill_process(Pid::from_child(process), signal);
        self.wait_for_end()
    }

    /// Waits until the agent has ended.
    ///
    /// # Errors
    /// When it goes on.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        let status = wait_for_some("the end of the agent", END, || self.exited())?;
        self.process = None;
        Ok(status)
    }

    fn clear_up(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        // What runs in the cgroups first: callers, and instances that an agent has left.
        let results = [
            self.containerd.take().map_or(Ok(()), PrivateContainerd::stop),
            self.subtree.take().map_or(Ok(()), Subtree::remove),
            self.place.clear(),
        ];
        results.into_iter().collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the agent's log ends:\n{}", self.log_tail());
        }
        if let Err(error) = self.clear_up() {
            eprintln!("left behind by the agent in {}: {error:#}", self.place.directory().display());
        }
    }
}

/// A port of the loopback that was free a moment ago.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A path as TOML and JSON write it.
fn quoted(path: &Path) -> Result<String> {
    Ok(serde_json::to_string(path.to_str().context("a path is no UTF-8")?)?)
}
