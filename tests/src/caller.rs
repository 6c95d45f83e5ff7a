//! Callers inside a watched cgroup.
//!
//! In: requests. Out: replies, as [`Request::send`] gives them, but asked for by a process inside a [`Subtree`]: the
//! kernel goes by the cgroup in which a socket was made, and a test's own threads are elsewhere. Requests may be
//! under way side by side. Refuses nothing; a process that ends fails what is under way.
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::binary;
use crate::cgroup::Subtree;
use crate::http::{Reply, Request};

#[derive(Serialize, Deserialize)]
struct Question {
    id: u64,
    request: Request,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    id: u64,
    reply: Result<Reply, String>,
}

type Waiting = Arc<Mutex<HashMap<u64, mpsc::Sender<Result<Reply, String>>>>>;

/// A process in a cgroup that asks what it is told to.
#[derive(Debug)]
pub struct Caller {
    child: Child,
    questions: Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Caller {
    /// Starts one in the child `child` of `subtree`.
    ///
    /// # Errors
    /// When the program `weft-caller` was not built or does not start.
    pub fn start(subtree: &Subtree, child: &str) -> Result<Self> {
        let mut command = subtree.command(child, &binary("weft-caller")?)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("start weft-caller")?;
        let questions = Mutex::new(child.stdin.take().context("weft-caller has an input")?);
        let answers = BufReader::new(child.stdout.take().context("weft-caller has an output")?);
        let waiting = Waiting::default();
        let whom = Arc::clone(&waiting);
        thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok) {
                if let Ok(Answer { id, reply }) = serde_json::from_str(&line)
                    && let Some(waiter) = lock(&whom).remove(&id)
                {
                    // Who no longer waits does not miss it.
                    let _ = waiter.send(reply);
                }
            }
            // Whoever still waits learns that nothing comes.
            lock(&whom).clear();
        });
        Ok(Self { child, questions, waiting, next: AtomicU64::new(1) })
    }

    /// Asks from inside the cgroup, and waits.
    ///
    /// # Errors
    /// As [`Request::send`], and when the process has ended.
    pub fn send(&self, request: &Request) -> Result<Reply> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel();
        lock(&self.waiting).insert(id, sender);
        let mut line = serde_json::to_string(&Question { id, request: request.clone() })?;
        line.push('\n');
        lock(&self.questions).write_all(line.as_bytes()).context("weft-caller has ended")?;
        // It bounds every wait of its own: connecting, the first byte, and pauses within the body.
        let reply = receiver.recv_timeout(request.patience * 4).context("weft-caller has ended")?;
        reply.map_err(|error| anyhow!("{error}"))
    }

    /// A GET with a user's token.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn get(&self, address: SocketAddr, path: &str, token: &str) -> Result<Reply> {
        self.send(&Request::get(address, path).header("Authorization", &format!("Bearer {token}")))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // It may have ended with its cgroup.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other side: asks what comes on standard input until it is closed.
///
/// # Errors
/// When standard input cannot be read, or holds something else.
pub fn serve() -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let Question { id, request } = serde_json::from_str(&line?).context("a question of the harness")?;
        thread::spawn(move || {
            let reply = request.send().map_err(|error| format!("{error:#}"));
            if let Ok(line) = serde_json::to_string(&Answer { id, reply }) {
                // Printed in one piece; a harness that is gone reads no more.
                let _ = writeln!(std::io::stdout().lock(), "{line}");
            }
        });
    }
    Ok(())
}
