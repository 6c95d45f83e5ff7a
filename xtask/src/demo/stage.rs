//! Where the story is played. In: a `weft` and the shop's images. Out: a private containerd with an agent that watches
//! one cgroup, and for each phase what was seen of it. At its end, however it ends, nothing is left. Its names are the
//! same at every run: what a run that was killed has left is cleared by the next.
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use weft_tests::agent::{Agent, Watch};
use weft_tests::wait::wait_for;

use super::live::Live;
use super::player::{Asked, Part};
use super::record::Phase;
use super::shop;
use super::upload::{self, Uploaded};
use crate::stop::Stop;

/// How long an instance stays after its last request: short, as the phases are.
const KEEP_ALIVE: Duration = Duration::from_millis(1_200);
/// How long an instance of uploaded code stays: as long as a reader takes.
const STAY: Duration = Duration::from_secs(60);
/// How long after the last request instances are waited for to go: forecasts hold some. What then still stands is told
/// in the report, since the memory-time it wastes is not counted yet.
const SETTLE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A running shop.
#[derive(Debug)]
pub(super) struct Stage {
    agent: Agent,
}

/// What is done in one phase.
pub(super) struct Act<'a> {
    /// What the progress line calls it.
    pub(super) name: &'static str,
    /// Whether forecasts are acted upon.
    pub(super) weaving: bool,
    /// About how long it lasts.
    pub(super) length: Duration,
    /// What the users do.
    pub(super) plan: &'a [Part],
}

impl Stage {
    /// Starts everything; the agent only watches.
    ///
    /// # Errors
    /// What does not start, with its log.
    pub(super) fn open(weft: &Path, archive: &Path) -> Result<Self> {
        let agent = Agent::builder("demo").fixed().binary(weft).archive(archive);
        let agent = agent.keep_alive(KEEP_ALIVE).weave(false).budget(2048, 2.0, 32);
        let agent = shop::segments().into_iter().fold(agent, |agent, segment| agent.segment(segment));
        Ok(Self { agent: agent.start()? })
    }

    /// Plays one phase and ends the agent, which keeps what it has learned.
    ///
    /// # Errors
    /// When it is interrupted, the players fail, or the agent does.
    pub(super) fn play(&mut self, act: &Act<'_>, stop: &Stop) -> Result<Phase> {
        if self.agent.pid().is_none() {
            self.agent.configure(|settings| settings.weave(act.weaving));
            self.agent.start_again()?;
        }
        let watch = self.agent.watch()?;
        let begun_ms = unix_ms();
        let asked = self.perform(act, &watch, stop)?;
        let ended_ms = unix_ms();
        // Instances that stand are paid for, and their forecasts judged, when they are gone.
        let settled = || stop.check().is_err() || self.standing() == Some(0);
        let _ = wait_for("the last instances to go", SETTLE, settled);
        stop.check()?;
        let status = self.agent.status()?;
        self.agent.terminate()?;
        let lost = watch.lost();
        let lines = watch.rest(Duration::from_secs(10))?;
        let journal = lines.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
        let journal = journal.context("a line of the journal")?;
        Ok(Phase { weaving: act.weaving, begun_ms, ended_ms, asked, journal, lost, status })
    }

    /// Deploys a function and asks it, while the shop goes on.
    ///
    /// # Errors
    /// What does not work.
    pub(super) fn upload(&mut self, output: &Path) -> Result<Uploaded> {
        self.agent.configure(|settings| settings.keep_alive(STAY));
        self.agent.start_again()?;
        let uploaded = upload::deploy(&self.agent, output)?;
        self.agent.terminate()?;
        Ok(uploaded)
    }

    /// Ends everything and makes sure that nothing is left.
    ///
    /// # Errors
    /// What is left.
    pub(super) fn close(self) -> Result<()> {
        self.agent.stop()
    }

    fn standing(&self) -> Option<usize> {
        Some(self.agent.status().ok()?["instances"].as_array()?.len())
    }

    fn perform(&self, act: &Act<'_>, watch: &Watch, stop: &Stop) -> Result<Vec<Asked>> {
        let mut players = Players(self.players(act.plan)?);
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let output = BufReader::new(players.0.stdout.take().context("the players have an output")?);
        let reader = {
            let asked = Arc::clone(&asked);
            thread::spawn(move || {
                let told = output.lines().map_while(Result::ok);
                for one in told.filter_map(|line| serde_json::from_str(&line).ok()) {
                    asked.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            })
        };
        let mut live = Live::start(act.name, act.length);
        let mut seen = 0;
        let status = loop {
            let lines = watch.lines_after(seen);
            seen += lines.len();
            live.show(&lines);
            if let Some(status) = players.0.try_wait()? {
                break status;
            }
            stop.check()?;
            thread::sleep(LOOK_EVERY);
        };
        live.end();
        ensure!(status.success(), "the players ended with {status}");
        // It ends with the players' output, which is closed.
        let _ = reader.join();
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *asked))
    }

    fn players(&self, plan: &[Part]) -> Result<Child> {
        let mut command = self.agent.subtree()?.command("users", &std::env::current_exe()?)?;
        command.arg("demo-player").stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("start the players")?;
        let mut input = child.stdin.take().context("the players have an input")?;
        // Their own error says why they do not read it.
        let _ = input.write_all(&serde_json::to_vec(plan)?);
        Ok(child)
    }
}

/// The players' process; killed when the phase does not end in order.
struct Players(Child);

impl Drop for Players {
    fn drop(&mut self) {
        // Mostly it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}
