//! The way out. In: a signal, or a call to drain. Out: every task told once. A second signal while instances end their
//! work means that they are not to be waited for.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// What a task waits on to learn that it should end.
#[derive(Debug, Clone)]
pub struct Drain(watch::Receiver<bool>);

/// Tells everyone.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// A trigger and what waits on it.
pub fn channel() -> (Trigger, Drain) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Drain(receiver))
}

impl Trigger {
    /// Tells every task to end.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// Resolves when it is time to end.
    pub async fn wait(mut self) {
        // A trigger that is gone without a word means the same.
        let _ = self.0.wait_for(|ended| *ended).await;
    }
}

/// The signals that end the agent.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on: what comes before it is waited for is not lost.
    ///
    /// # Errors
    /// If the signals cannot be listened to.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at SIGTERM or SIGINT.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Resolves at either, or at a call to drain.
    pub async fn next_or(&mut self, mut calls: mpsc::Receiver<()>) -> &'static str {
        tokio::select! {
            name = self.next() => name,
            _ = calls.recv() => "a call to drain",
        }
    }
}
