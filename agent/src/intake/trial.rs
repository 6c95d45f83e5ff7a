//! Trying an image before anybody is sent to it. In: an image and how its instances are made. Out: how soon it listened on
//! its port, and what it loads only when it is asked. Refuses one that ends, runs out of memory or does not listen in time,
//! with its last words. The trial reaches no network, and nobody from outside reaches it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::IntakeError;
use super::egress::Egress;
use super::project::{Language, Project};
use super::sandboxed::last_words;
use crate::runtime::containerd::{Containerd, Sandbox, SandboxSpec};
use crate::runtime::{Confinement, ImageRef, InstanceId, Recipe, Runtime, RuntimeError};

/// How often the port is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How often it is asked whether the program still runs.
const ASK: Duration = Duration::from_millis(100);
/// How long a program may take to listen that does not say it.
const START: Duration = Duration::from_secs(10);
/// How long a handler is waited for that is asked for the first time.
const ANSWER: Duration = Duration::from_secs(2);
/// The signal by which what serves a handler is told, in a trial, to ask it once.
const ASK_ONCE: u32 = 12;
/// How what serves a handler begins to tell what a request had it load; it is in both of them.
const LOADS: &str = "weft: loads ";
/// Bytes and names of it that are believed.
const LOADS_BYTES_MAX: usize = 4 << 10;
const LOADS_MAX: usize = 64;
/// Bytes of what a trial says that are kept.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// The kernel's number of the state in which a socket listens.
const LISTEN: &str = "0A";

/// What a trial has shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// How long it took from nothing to listening.
    pub(super) start: Duration,
    /// Modules that its first request had it load.
    pub(super) loads: Vec<String>,
}

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

/// Runs the image until it listens, and for one request that it makes up itself.
pub(super) async fn run(
    containerd: &Containerd,
    project: &Project,
    image: &ImageRef,
    id: &InstanceId,
    stage: &Path,
) -> Result<Tried, IntakeError> {
    let egress = Egress::closed().await.map_err(|source| IntakeError::Network { source })?;
    let log = stage.join("trial.log");
    let spec = SandboxSpec {
        id: id.clone(),
        recipe: Recipe { env: vec![("WEFT_TRIAL".into(), "1".into())], ..recipe(project, image) },
        netns: egress.netns(),
        binds: Vec::new(),
        log: log.clone(),
    };
    let begun = Instant::now();
    let sandbox = containerd.start_sandbox(&spec).await?;
    let outcome = until_it_listens(containerd, project, id, &sandbox, &log).await;
    let start = begun.elapsed();
    let loads = match (&outcome, &project.language) {
        (Ok(()), Language::Python | Language::Node) => {
            // It was seen to listen first: a handler that ends its program when it is asked for nothing may be served.
            match containerd.signal_sandbox(id, ASK_ONCE).await {
                Ok(()) => what_it_loads(sandbox.pid, &log).await,
                Err(_) => Vec::new(),
            }
        }
        _ => Vec::new(),
    };
    let starved = containerd.ran_out_of_memory(&sandbox.cgroup);
    let removed = containerd.remove_sandbox(id).await;
    match outcome {
        Err(IntakeError::Ended { .. }) if starved => {
            Err(IntakeError::Starved { memory_bytes: project.limits.memory.0 })
        }
        Err(error) => Err(error),
        Ok(()) => removed.map(|()| Tried { start, loads }).map_err(IntakeError::from),
    }
}

/// Waits for the word of what a request had it load. A handler that hangs, fails or ends when it is asked for nothing in
/// particular loads nothing before its time.
async fn what_it_loads(pid: u32, log: &Path) -> Vec<String> {
    let begun = Instant::now();
    while begun.elapsed() < ANSWER && Path::new(&format!("/proc/{pid}")).exists() {
        if let Some(loads) = told_loads(&last_words(log)) {
            return loads;
        }
        sleep(LOOK).await;
    }
    Vec::new()
}

/// Names of modules out of a line that may come from anybody: what is none of them is left out.
fn told_loads(said: &str) -> Option<Vec<String>> {
    let line = said.lines().rev().find_map(|line| line.trim_end_matches('\r').strip_prefix(LOADS))?;
    let is_name = |name: &&str| {
        let part = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '@'))
        };
        name.split(['.', '/']).all(part)
    };
    let mut bytes = 0;
    let fits = |name: &&str| {
        bytes += name.len() + 1;
        bytes <= LOADS_BYTES_MAX
    };
    let names = line.split(',').filter(is_name).take_while(fits).take(LOADS_MAX);
    Some(names.map(str::to_owned).collect())
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
    fn what_a_program_says_that_it_loads_is_believed_as_far_as_it_names_modules() {
        let said =
            "hello\nweft: loads old\nweft: loads PIL.ImageFile,numpy._core,../etc,a b,,x;y,@aws/sdk\nbye";
        let names = ["PIL.ImageFile", "numpy._core", "@aws/sdk"];
        assert_eq!(told_loads(said).unwrap(), names);
        assert_eq!(told_loads("weft: loads "), Some(Vec::new()));
        assert_eq!(told_loads("it said nothing"), None);
        let many = format!("weft: loads {}", vec!["a".repeat(100); 200].join(","));
        assert_eq!(told_loads(&many).unwrap().len(), LOADS_BYTES_MAX / 101);
    }

    #[test]
    fn a_port_is_seen_once_something_listens_on_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(std::process::id(), port));
        drop(listener);
        assert!(!listens(std::process::id(), port));
    }
}
