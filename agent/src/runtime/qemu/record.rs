//! What is known of a VM on disk, for an agent that finds it there. In and out: one JSON file in the VM's own folder, whole
//! or not there. Refuses nothing: what cannot be read is a VM of which nothing is known, and is taken away.
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::VmError;
use crate::runtime::InstanceSpec;

const FILE: &str = "instance.json";

/// The instance that a VM is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) segment: String,
    pub(super) graph: Option<String>,
    /// Fingerprint of the recipe with its image.
    pub(super) made_from: String,
    /// Everything that must match, which is more than the recipe.
    pub(super) likeness: String,
    pub(super) netns: PathBuf,
    pub(super) ip: Ipv4Addr,
    /// On which its program listens.
    pub(super) port: u16,
    /// Whether the guest was let run.
    pub(super) started: bool,
}

impl Record {
    pub(super) fn of(spec: &InstanceSpec, digest: &str, likeness: &str) -> Self {
        Self {
            id: spec.id.to_string(),
            segment: spec.segment.clone(),
            graph: spec.graph.clone(),
            made_from: spec.recipe.fingerprint(digest),
            likeness: likeness.to_owned(),
            netns: spec.netns.clone(),
            ip: spec.ip,
            port: spec.recipe.port,
            started: false,
        }
    }

    /// Of a VM's folder.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()
    }

    /// Into a VM's folder, at once.
    pub(super) fn write(&self, folder: &Path) -> Result<(), VmError> {
        let (path, part) = (folder.join(FILE), folder.join("instance.part"));
        // Texts and numbers can always be written as JSON.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        fs::write(&part, bytes).and_then(|()| fs::rename(&part, &path)).map_err(VmError::file(path))
    }
}
