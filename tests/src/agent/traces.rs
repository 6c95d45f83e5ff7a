//! What stands of instances, looked up behind the agent's back. In: an agent's place and containerd. Out: every
//! container, task, snapshot, lease, bundle, shim, cgroup, namespace and link of an instance, with the instance's name.
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Result;
use rustix::process::Pid;
use serde_json::Value;

use super::Agent;
use crate::containerd::Process;
use crate::{cgroup, containerd};

/// One thing that belongs to an instance, or should.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trace {
    /// What it is.
    pub kind: &'static str,
    /// The instance, as the thing itself names it; a link is named by the address of its instance.
    pub of: String,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.of)
    }
}

impl Agent {
    /// All that stands of instances, whether the agent runs or not.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub fn traces(&self) -> Result<Vec<Trace>> {
        let containerd = self.containerd()?;
        let mut traces = Vec::new();
        let mut add =
            |kind, names: Vec<String>| traces.extend(names.into_iter().map(|of| Trace { kind, of }));
        add("container", words(&containerd.ctr(&["-n", "weft", "containers", "ls", "-q"])?, 0));
        add("lease", words(&containerd.ctr(&["-n", "weft", "leases", "ls", "-q"])?, 0));
        add("task", words(&containerd.ctr(&["-n", "weft", "tasks", "ls", "-q"])?, 0));
        let snapshots = containerd.ctr(&["-n", "weft", "snapshots", "ls"])?;
        let active = snapshots.lines().filter(|line| line.trim_end().ends_with("Active"));
        add("snapshot", active.flat_map(|line| words(line, 0)).collect());
        let below = |path: &str| children(&self.place.directory().join(path));
        add("runtime state of", below("runc/weft"));
        add("bundle of", below("state/io.containerd.runtime.v2.task/weft"));
        add("working directory of", below("root/io.containerd.runtime.v2.task/weft"));
        add("namespace of", below("run/netns"));
        add("shim of", self.instances_of_shims());
        let parents = cgroup::traces(self.place.name()).into_iter().map(|path| path.join("weft"));
        add("cgroup of", parents.flat_map(|parent| folders(&parent)).collect());
        let pairs: Vec<_> = self.place.links().iter().filter_map(|link| address_of(link)).collect();
        // Networks that stand ahead belong to no instance; one that was taken since then belongs to one by now.
        let spare = self.spare_networks();
        add("link to", pairs.into_iter().filter(|address| !spare.contains(address)).collect());
        traces.sort();
        traces.dedup();
        Ok(traces)
    }

    /// What stands and belongs to no instance that the agent knows.
    ///
    /// # Errors
    /// When the agent or containerd does not answer.
    pub fn orphans(&self) -> Result<Vec<String>> {
        let status = self.status()?;
        let instances = status["instances"].as_array().into_iter().flatten();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let known: BTreeSet<_> = instances
            .flat_map(|instance| {
                let address = word(&instance["address"]);
                [word(&instance["name"]), address.split(':').next().unwrap_or_default().to_owned()]
            })
            .collect();
        let stray = |trace: &Trace| !known.contains(&trace.of);
        // One that is being made or removed now belongs to somebody a moment later or earlier.
        Ok(self.traces()?.iter().filter(|trace| stray(trace)).map(Trace::to_string).collect())
    }

    /// What an agent that has ended has left: traces of instances, its bridge, its socket, its cgroups.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub fn remains(&self) -> Result<Vec<String>> {
        let mut left: Vec<_> = self.traces()?.iter().map(Trace::to_string).collect();
        left.extend(self.place.links().into_iter().filter(|link| *link == self.place.bridge()));
        let parents = cgroup::traces(self.place.name()).into_iter().map(|path| path.join("weft"));
        let files = parents.chain([self.place.socket()]).filter(|path| path.exists());
        left.extend(files.map(|path| path.display().to_string()));
        Ok(left)
    }

    /// Addresses of networks that the agent, if it runs, has made ahead of instances.
    fn spare_networks(&self) -> Vec<String> {
        let status = if self.is_running() { self.status().unwrap_or_default() } else { Value::Null };
        let addresses = status["spare_networks"].as_array().into_iter().flatten();
        addresses.filter_map(|address| address.as_str().map(str::to_owned)).collect()
    }

    fn instances_of_shims(&self) -> Vec<String> {
        self.shim_processes().filter_map(|shim| shim.value_of("-id").map(str::to_owned)).collect()
    }

    /// The processes of its instances' shims.
    pub fn shims(&self) -> Vec<Pid> {
        self.shim_processes().filter_map(|shim| Pid::from_raw(shim.pid)).collect()
    }

    fn shim_processes(&self) -> impl Iterator<Item = Process> {
        let address = self.place.directory().join("containerd.sock");
        containerd::processes().filter(move |process| process.value_of("-address") == address.to_str())
    }
}

/// The word at `index` of each line.
fn words(text: &str, index: usize) -> Vec<String> {
    text.lines().filter_map(|line| line.split_whitespace().nth(index)).map(str::to_owned).collect()
}

fn children(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn folders(directory: &Path) -> Vec<String> {
    let is_folder = |name: &String| directory.join(name).is_dir();
    children(directory).into_iter().filter(is_folder).collect()
}

/// A link to an instance has its address in its name.
fn address_of(link: &str) -> Option<String> {
    let digits = link.strip_prefix("weft").filter(|digits| digits.len() == 8)?;
    let bits = u32::from_str_radix(digits, 16).ok()?;
    Some(std::net::Ipv4Addr::from_bits(bits).to_string())
}
