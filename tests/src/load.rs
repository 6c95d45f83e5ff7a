//! Requests without a pause.
//!
//! In: a caller and what it asks. Out: how many answers came, and every failure in words.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::caller::Caller;
use crate::http::{Reply, Request};
use crate::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a load.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answers with status 200.
    pub served: usize,
    /// Everything else, with the moment since the beginning.
    pub failures: Vec<String>,
}

/// Clients that ask one after the other until told to stop.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Begins; each client has one request under way at a time, on a connection of its own.
    pub fn start(caller: Caller, request: &Request, clients: usize) -> Self {
        let (caller, begun) = (Arc::new(caller), Instant::now());
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |_| {
            let (caller, request) = (Arc::clone(&caller), request.clone());
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            thread::spawn(move || {
                let mut tally = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    tally.count(caller.send(&request), begun);
                    served.fetch_add(1, Ordering::Relaxed);
                }
                tally
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, served, clients }
    }

    /// Waits until so many more answers have come.
    ///
    /// # Errors
    /// When they do not come.
    pub fn wait_for_more(&self, count: usize) -> Result<()> {
        let before = self.served.load(Ordering::Relaxed);
        wait_for("answers under load", PATIENCE, || self.served.load(Ordering::Relaxed) >= before + count)
    }

    /// Lets what is under way end, and adds up.
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let tallies = self.clients.into_iter().filter_map(|client| client.join().ok());
        tallies.fold(Tally::default(), |mut sum, tally| {
            sum.served += tally.served;
            sum.failures.extend(tally.failures);
            sum
        })
    }
}

impl Tally {
    fn count(&mut self, reply: Result<Reply>, begun: Instant) {
        match reply {
            Ok(reply) if reply.status == 200 => self.served += 1,
            Ok(reply) => {
                self.failures.push(format!("{:?}: {} {}", begun.elapsed(), reply.status, reply.body))
            }
            Err(error) => self.failures.push(format!("{:?}: {error:#}", begun.elapsed())),
        }
    }
}
