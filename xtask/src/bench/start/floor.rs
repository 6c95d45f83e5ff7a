//! The reference tool, `weft-floor`. In: where containers are to be made. Out: the steps of one container after the
//! other. Refuses to wait longer than [`PATIENCE`] for one.
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use weft_tests::containerd::PrivateContainerd;

use super::super::release;
use super::network::Room;
use super::{CORES, IMAGE, MEMORY_MIB};

/// The tool bounds its own waits for the program; containerd's calls come on top.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the steps of one container took, in milliseconds.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Steps {
    pub(super) snapshot_ms: f64,
    pub(super) container_ms: f64,
    pub(super) task_ms: f64,
    pub(super) start_ms: f64,
    pub(super) answer_ms: f64,
    pub(super) whole_ms: f64,
}

impl Steps {
    /// The steps by name, in their order.
    pub(super) fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("snapshot", self.snapshot_ms),
            ("container", self.container_ms),
            ("task", self.task_ms),
            ("start", self.start_ms),
            ("answer", self.answer_ms),
        ]
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Made(Steps),
    Failed { error: String },
    Ready { ready: bool },
}

/// The tool, with its connection to containerd open.
#[derive(Debug)]
pub(super) struct Floor {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Floor {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start or does not find the image.
    pub(super) fn start(
        containerd: &PrivateContainerd,
        namespace: &str,
        cgroup_parent: &Path,
        room: &Room,
    ) -> Result<Self> {
        let mut command = Command::new(release::program("weft-floor")?);
        command.arg("--containerd").arg(containerd.address());
        command.arg("--runc-root").arg(containerd.runc_root());
        command.args(["--namespace", namespace, "--image", IMAGE]);
        command.arg("--cgroup-parent").arg(cgroup_parent);
        command.arg("--netns").arg(&room.netns).arg("--address").arg(room.address.to_string());
        command.arg("--memory").arg((MEMORY_MIB << 20).to_string()).arg("--cores").arg(CORES.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("start weft-floor")?;
        let input = child.stdin.take().context("weft-floor has an input")?;
        let output = BufReader::new(child.stdout.take().context("weft-floor has an output")?);
        // One line per question, and one before the first.
        let (sender, lines) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        let floor = Self { child, input, lines };
        match floor.answer()? {
            Answer::Ready { ready: true } => Ok(floor),
            Answer::Failed { error } => bail!("weft-floor: {error}"),
            _ => bail!("weft-floor did not say that it is ready"),
        }
    }

    /// Makes one container, asks it, and takes it away.
    ///
    /// # Errors
    /// When one of that fails.
    pub(super) fn sample(&mut self) -> Result<Steps> {
        self.input.write_all(b"go\n").context("weft-floor has ended")?;
        match self.answer()? {
            Answer::Made(steps) => Ok(steps),
            Answer::Failed { error } => bail!("{error}"),
            Answer::Ready { .. } => bail!("weft-floor made nothing"),
        }
    }

    fn answer(&self) -> Result<Answer> {
        let line = self.lines.recv_timeout(PATIENCE).context("weft-floor does not answer")?;
        serde_json::from_str(&line).with_context(|| format!("weft-floor said `{line}`"))
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // Its containers are containerd's, which is cleared with all that it made.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_answers_of_the_tool_are_told_apart() {
        let read = |text: &str| serde_json::from_str::<Answer>(text).unwrap();
        assert!(matches!(read(r#"{"ready":true}"#), Answer::Ready { ready: true }));
        assert!(matches!(read(r#"{"error":"no"}"#), Answer::Failed { error } if error == "no"));
        let made =
            r#"{"snapshot_ms":1.5,"container_ms":1,"task_ms":40,"start_ms":9,"answer_ms":2,"whole_ms":53.5}"#;
        let Answer::Made(steps) = read(made) else { panic!("steps") };
        assert_eq!(steps.named().iter().map(|(_, ms)| ms).sum::<f64>(), steps.whole_ms);
    }
}
