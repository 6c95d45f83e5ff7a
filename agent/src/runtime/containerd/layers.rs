//! The unpacked layers of an image, to be read. In: an image that was looked up. Out: what to mount to see its files, and
//! nobody collects it meanwhile. Refuses an image without layers.
use std::collections::HashMap;

use containerd_client::services::v1::snapshots::{RemoveSnapshotRequest, ViewSnapshotRequest};
use containerd_client::services::v1::{CreateRequest, DeleteRequest};
use containerd_client::tonic::Code;

use super::call::{Purpose, or_absent};
use super::{Containerd, ImageInfo, RuntimeError};

/// What to mount.
#[derive(Debug, Clone)]
pub struct Layers {
    /// Names the view, to be given back.
    key: String,
    /// One mount; containerd's snapshotters need no more for a view.
    pub mounts: Vec<LayerMount>,
}

/// One mount, as mount(8) takes it.
#[derive(Debug, Clone)]
pub struct LayerMount {
    /// `overlay`, `bind`, or a file system.
    pub kind: String,
    /// A device or directory.
    pub source: String,
    /// Its options.
    pub options: Vec<String>,
}

impl Containerd {
    /// Opens a view of an image's layers; `purpose` names whose.
    ///
    /// # Errors
    /// What containerd said; nothing is left then.
    pub async fn view(&self, image: &ImageInfo, purpose: &str) -> Result<Layers, RuntimeError> {
        let key = format!("weft-{purpose}-{}", image.digest.trim_start_matches("sha256:"));
        // What a view that was cut off has left.
        self.close_view(&Layers { key: key.clone(), mounts: Vec::new() }).await?;
        let labels = HashMap::new();
        let lease = self.door.request(CreateRequest { id: key.clone(), labels });
        let mut leases = self.door.client().leases();
        match self.door.call(Purpose::book("take a lease for", &key), leases.create(lease)).await {
            Err(failure) if failure.is(Code::AlreadyExists) => {}
            other => drop(other?),
        }
        let request = ViewSnapshotRequest {
            snapshotter: self.config.snapshotter.clone(),
            key: key.clone(),
            parent: image.chain_id.clone(),
            ..Default::default()
        };
        let mut snapshots = self.door.client().snapshots();
        let request = self.door.leased(&key, request);
        let viewed =
            self.door.call(Purpose::book("view the layers for", &key), snapshots.view(request)).await;
        let mounts = match viewed {
            Ok(reply) => reply.mounts,
            Err(failure) => {
                self.close_view(&Layers { key, mounts: Vec::new() }).await?;
                return Err(failure.into());
            }
        };
        let mounts = mounts.into_iter().map(|mount| LayerMount {
            kind: mount.r#type,
            source: mount.source,
            options: mount.options,
        });
        Ok(Layers { key, mounts: mounts.collect() })
    }

    /// Gives a view back; one that is not there is no error.
    ///
    /// # Errors
    /// What containerd said.
    pub async fn close_view(&self, layers: &Layers) -> Result<(), RuntimeError> {
        let key = layers.key.as_str();
        let snapshotter = self.config.snapshotter.clone();
        let request = self.door.request(RemoveSnapshotRequest { snapshotter, key: key.to_owned() });
        let mut snapshots = self.door.client().snapshots();
        or_absent(self.door.call(Purpose::book("close the view", key), snapshots.remove(request)).await)?;
        let request = self.door.request(DeleteRequest { id: key.to_owned(), ..Default::default() });
        let mut leases = self.door.client().leases();
        or_absent(
            self.door.call(Purpose::book("give back the lease of", key), leases.delete(request)).await,
        )?;
        Ok(())
    }
}
