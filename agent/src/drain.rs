//! The way out. In: a signal, or a call to drain. Out: every task told once, and the time it may take bounded.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// How long instances may take to end their work when the agent drains.
pub const GRACE: Duration = Duration::from_secs(30);

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

/// Resolves at SIGTERM, SIGINT, or a call to drain.
///
/// # Errors
/// If the signals cannot be listened to.
pub async fn asked(mut calls: mpsc::Receiver<()>) -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = calls.recv() => "a call to drain",
    })
}
