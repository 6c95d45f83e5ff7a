//! Trying an image before anybody is sent to it. In: an image and how its instances are made. Out: nothing, once it has
//! listened on its port. Refuses one that ends, runs out of memory or does not listen in time, with its last words. The
//! trial reaches no network, and ends with its answer.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::IntakeError;
use super::egress::Egress;
use super::project::Project;
use super::sandboxed::last_words;
use crate::runtime::containerd::{Containerd, Sandbox, SandboxSpec};
use crate::runtime::{Confinement, ImageRef, InstanceId, Recipe, Runtime, RuntimeError};

/// How often the port is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How often it is asked whether the program still runs.
const ASK: Duration = Duration::from_millis(100);
/// How long a program may take to listen that does not say it.
const START: Duration = Duration::from_secs(10);
/// Bytes of what a trial says that are kept.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// The kernel's number of the state in which a socket listens.
const LISTEN: &str = "0A";

/// What every instance of a project is made from.
pub(super) fn recipe(project: &Project, image: &ImageRef) -> Recipe {
    Recipe {
        image: image.clone(),
        memory_bytes: project.limits.memory.0,
        cpu_millis: (project.limits.cpu * 1000.0).ceil() as u32,
        env: Vec::new(),
        args: None,
        confinement: Confinement::Hardened,
        port: project.port,
        machine: None,
    }
}

/// Runs the image until it listens.
pub(super) async fn run(
    containerd: &Containerd,
    project: &Project,
    image: &ImageRef,
    id: &InstanceId,
    stage: &Path,
) -> Result<Duration, IntakeError> {
    let egress = Egress::closed().await.map_err(|source| IntakeError::Network { source })?;
    let log = stage.join("trial.log");
    let spec = SandboxSpec {
        id: id.clone(),
        recipe: recipe(project, image),
        netns: egress.netns(),
        binds: Vec::new(),
        log: log.clone(),
    };
    let begun = Instant::now();
    let sandbox = containerd.start_sandbox(&spec).await?;
    let outcome = until_it_listens(containerd, project, id, &sandbox, &log).await;
    let starved = containerd.ran_out_of_memory(&sandbox.cgroup);
    let removed = containerd.remove_sandbox(id).await;
    match outcome {
        Err(IntakeError::Ended { .. }) if starved => {
            Err(IntakeError::Starved { memory_bytes: project.limits.memory.0 })
        }
        Err(error) => Err(error),
        Ok(()) => removed.map(|()| begun.elapsed()).map_err(IntakeError::from),
    }
}

async fn until_it_listens(
    containerd: &Containerd,
    project: &Project,
    id: &InstanceId,
    sandbox: &Sandbox,
    log: &Path,
) -> Result<(), IntakeError> {
    let begun = Instant::now();
    let patience = project.start_timeout.unwrap_or(START);
    let mut asked = begun;
    loop {
        if listens(sandbox.pid, project.port) {
            return Ok(());
        }
        if begun.elapsed() > patience {
            let said = last_words(log);
            return Err(IntakeError::Silent { port: project.port, after: patience, said });
        }
        if fs::metadata(log).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
            return Err(IntakeError::Talks { max_bytes: LOG_BYTES_MAX });
        }
        if asked.elapsed() > ASK || !Path::new(&format!("/proc/{}", sandbox.pid)).exists() {
            asked = Instant::now();
            match containerd.wait_sandbox(id, LOOK).await {
                Err(RuntimeError::Deadline { .. }) => {}
                ended => return Err(IntakeError::Ended { status: ended?, said: last_words(log) }),
            }
        }
        sleep(LOOK).await;
    }
}

/// Whether something listens on a port of a process's network.
fn listens(pid: u32, port: u16) -> bool {
    let port = format!(":{port:04X}");
    ["tcp", "tcp6"].iter().any(|table| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        // "NUMBER: LOCAL:PORT REMOTE:PORT STATE …"
        table.lines().skip(1).any(|line| {
            let words: Vec<_> = line.split_whitespace().take(4).collect();
            matches!(words[..], [_, local, _, LISTEN] if local.ends_with(&port))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_seen_once_something_listens_on_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(std::process::id(), port));
        drop(listener);
        assert!(!listens(std::process::id(), port));
    }
}
