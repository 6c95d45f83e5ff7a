//! The other reference: `ctr run`, as one would type it. In: where the container is to be put. Out: how long it took
//! until its port answered. Refuses to wait longer than [`PATIENCE`].
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use weft_tests::containerd::PrivateContainerd;
use weft_tests::http::Request;

use super::network::Room;
use super::{CORES, IMAGE, MEMORY_MIB};

const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries to connect, while `ctr` works on the same cores: a hundredth of what it takes.
const PAUSE: Duration = Duration::from_millis(1);

/// Runs containers by `ctr`.
pub(super) struct Ctr<'a> {
    pub(super) containerd: &'a PrivateContainerd,
    pub(super) namespace: &'static str,
    pub(super) cgroup_parent: &'a Path,
    pub(super) room: &'a Room,
}

impl Ctr<'_> {
    /// Runs one container until it answers, and takes it away. Returns milliseconds.
    ///
    /// # Errors
    /// When one of that fails.
    pub(super) fn sample(&self, number: usize) -> Result<f64> {
        let id = format!("ctr-{number}");
        let mut command = self.command(&id);
        let begun = Instant::now();
        let mut child = command.spawn().context("start ctr")?;
        let answered = self.until_it_answers(begun, &mut child);
        let said = child.wait_with_output();
        let cleared = self.clear(&id);
        let ms = answered.with_context(|| {
            let said = said.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
            format!("ctr run said `{}`", said.unwrap_or_default())
        })?;
        cleared.map(|()| ms)
    }

    fn command(&self, id: &str) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.containerd.address()).args(["--namespace", self.namespace, "run"]);
        command.args(["--detach", "--null-io", "--runc-root"]).arg(self.containerd.runc_root());
        command.arg("--cgroup").arg(self.cgroup_parent.join(id));
        command.arg("--with-ns").arg(format!("network:{}", self.room.netns.display()));
        command.arg("--memory-limit").arg((MEMORY_MIB << 20).to_string());
        command.arg("--cpus").arg(CORES.to_string()).args([IMAGE, id]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn until_it_answers(&self, begun: Instant, child: &mut Child) -> Result<f64> {
        let request = Request::get(self.room.address, "/").patience(PATIENCE);
        let mut ended = None;
        loop {
            let dialled = begun.elapsed();
            match request.send() {
                Ok(reply) => return Ok((dialled + reply.first_byte).as_secs_f64() * 1000.0),
                Err(error) if dialled > PATIENCE => return Err(error),
                Err(_) => thread::sleep(PAUSE),
            }
            if ended.is_none() {
                ended = child.try_wait()?;
            }
            if let Some(status) = ended.filter(|status| !status.success()) {
                bail!("{status}");
            }
        }
    }

    fn clear(&self, id: &str) -> Result<()> {
        let ctr = |words: &[&str]| self.containerd.ctr(&[&["--namespace", self.namespace], words].concat());
        ctr(&["tasks", "delete", "--force", id])?;
        ctr(&["containers", "delete", id]).map(drop)
    }
}
