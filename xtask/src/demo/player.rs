//! Plays sessions. In: a plan on standard input. Out: one line of JSON per request on standard output. It is a process
//! of its own, since what the agent sees is decided by the cgroup in which a socket is made. It ends when the plan is
//! played, or when nobody reads any more.
use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use weft_tests::http::Request;

use super::shop;
use super::users::{Page, Session};

/// How long a request may take; the agent gives up before.
const PATIENCE: Duration = Duration::from_secs(30);
/// A user's thread does little.
const STACK_BYTES: usize = 256 << 10;

/// What one user does in a phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    /// The user's number.
    pub(super) user: u32,
    /// What the requests are signed with.
    pub(super) token: String,
    /// What is played.
    pub(super) sessions: Vec<Session>,
}

/// One request as its caller saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    /// When it was dialled, Unix milliseconds.
    pub(super) at_ms: f64,
    /// By whom.
    pub(super) user: u32,
    /// Of which segment.
    pub(super) segment: String,
    /// What for.
    pub(super) path: String,
    /// From which port; 0 if it did not get so far.
    pub(super) port: u16,
    /// The status; 0 without an answer.
    pub(super) status: u16,
    /// From dialling to the first byte, in milliseconds.
    pub(super) first_byte_ms: f64,
    /// What went wrong; empty if nothing did.
    pub(super) error: String,
}

impl Asked {
    /// Whether the shop answered as it should.
    pub(super) fn succeeded(&self) -> bool {
        self.status == 200
    }
}

/// Plays the plan on standard input.
///
/// # Errors
/// When there is no plan, or a user's thread does not start.
pub(crate) fn play() -> Result<()> {
    let parts: Vec<Part> = serde_json::from_reader(std::io::stdin().lock()).context("the plan")?;
    let begun = Instant::now();
    thread::scope(|scope| {
        for part in &parts {
            let user =
                thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || part.play(begun));
            user.context("start a user's thread")?;
        }
        Ok(())
    })
}

fn say(asked: &Asked) -> bool {
    let Ok(line) = serde_json::to_string(asked) else { return false };
    writeln!(std::io::stdout().lock(), "{line}").is_ok()
}

impl Part {
    /// A user stops when nobody reads any more.
    fn play(&self, begun: Instant) {
        for session in &self.sessions {
            thread::sleep((begun + session.at).saturating_duration_since(Instant::now()));
            for step in &session.steps {
                thread::sleep(step.pause);
                if !say(&self.ask(&step.page)) {
                    return;
                }
            }
        }
    }

    fn ask(&self, page: &Page) -> Asked {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0;
        let begun = Instant::now();
        let address: SocketAddr = shop::address(&page.segment);
        let request = Request::get(address, &page.path).method(&page.method).patience(PATIENCE);
        let reply = request.header("Authorization", &format!("Bearer {}", self.token)).send();
        let (port, status, first_byte, error) = match reply {
            Ok(reply) if reply.status == 200 => (reply.local_port, 200, reply.first_byte, String::new()),
            Ok(reply) => (reply.local_port, reply.status, reply.first_byte, reply.body.trim().to_owned()),
            Err(error) => (0, 0, begun.elapsed(), format!("{error:#}")),
        };
        Asked {
            at_ms,
            user: self.user,
            segment: page.segment.clone(),
            path: page.path.clone(),
            port,
            status,
            first_byte_ms: first_byte.as_secs_f64() * 1000.0,
            error,
        }
    }
}
