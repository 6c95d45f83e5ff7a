//! What an image says of itself, and its unpacked layers.
//!
//! In: the name of an image in containerd's list. Out: its [`ImageInfo`], with the snapshot of its layers there.
//! Refuses an image that is absent, not for this machine, or whose documents are larger than 4 MiB. What was read
//! once is kept by digest, for up to [`KEPT_MAX`] images.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, PrepareSnapshotRequest, RemoveSnapshotRequest, StatSnapshotRequest,
};
use containerd_client::services::v1::{
    ApplyRequest, CreateRequest, DeleteRequest, GetImageRequest, Info, ReadContentRequest, UpdateRequest,
};
use containerd_client::tonic::Code;
use containerd_client::types::Descriptor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::call::{BOOK_DEADLINE, Door, Failure, Purpose, UNPACK_DEADLINE, or_absent};
use crate::runtime::{ImageFault, ImageInfo, ImageRef, RuntimeError};

const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// When more are known, all are forgotten: reading one again costs two milliseconds.
const KEPT_MAX: usize = 1024;
/// When the collector may take what an unpacking holds: longer than any lasts.
const UNPACK_LEASE: Duration = Duration::from_hours(24);
/// The label by which it knows.
const EXPIRY_LABEL: &str = "containerd.io/gc.expire";

/// The images of one namespace.
pub(super) struct Images {
    door: Door,
    snapshotter: String,
    kept: Mutex<HashMap<String, Arc<ImageInfo>>>,
    /// One image is unpacked at a time: the second one to want the same layers finds them there.
    unpacking: tokio::sync::Mutex<()>,
}

/// An index or a manifest: `manifests` tells them apart.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Entry>,
    config: Option<Entry>,
    #[serde(default)]
    layers: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    config: Settings,
    rootfs: RootFs,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    user: String,
    working_dir: String,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

impl Images {
    pub(super) fn new(door: Door, snapshotter: String) -> Self {
        Self { door, snapshotter, kept: Mutex::default(), unpacking: tokio::sync::Mutex::default() }
    }

    /// Looks up an image. Its name is resolved each time, since it may have been imported anew.
    pub(super) async fn get(&self, image: &ImageRef) -> Result<Arc<ImageInfo>, RuntimeError> {
        let request = self.door.request(GetImageRequest { name: image.as_str().to_owned() });
        let mut client = self.door.client().images();
        let purpose = Purpose::book("look up image", image.as_str());
        let found = or_absent(self.door.call(purpose, client.get(request)).await)?;
        let absent = || RuntimeError::ImageAbsent {
            image: image.clone(),
            namespace: self.door.namespace().to_owned(),
        };
        let target = found.and_then(|found| found.image?.target).ok_or_else(absent)?;
        if let Some(info) = self.kept().get(&target.digest) {
            return Ok(Arc::clone(info));
        }
        let info = Arc::new(self.read(image, target).await?);
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(info.digest.clone(), Arc::clone(&info));
        Ok(info)
    }

    /// Forgets what was read of an image, because its layers are no longer where they were.
    pub(super) fn forget(&self, info: &ImageInfo) {
        self.kept().remove(&info.digest);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<ImageInfo>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, image: &ImageRef, target: Descriptor) -> Result<ImageInfo, RuntimeError> {
        let broken = |fault| RuntimeError::ImageBroken { image: image.clone(), fault };
        let mut manifest: Manifest = self.document(image, &target.digest, "index or manifest").await?;
        if !manifest.manifests.is_empty() {
            let (os, architecture) = ("linux", go_architecture());
            let fits = |entry: &&Entry| {
                // An index of one's own making may leave the platform out.
                entry.platform.as_ref().is_none_or(|p| p.os == os && p.architecture == architecture)
            };
            let entry = manifest.manifests.iter().find(fits);
            let entry = entry.ok_or_else(|| broken(ImageFault::WrongPlatform { os, architecture }))?;
            manifest = self.document(image, &entry.digest, "manifest").await?;
        }
        let config = manifest.config.ok_or_else(|| broken(ImageFault::NoConfiguration))?;
        let document: Document = self.document(image, &config.digest, "configuration").await?;
        let (layers, digests) = (manifest.layers, document.rootfs.diff_ids);
        if layers.len() != digests.len() {
            return Err(broken(ImageFault::LayerCount { layers: layers.len(), digests: digests.len() }));
        }
        let size_bytes = layers.iter().map(|layer| layer.size).sum();
        let chain_id = self.unpack(image, &config.digest, layers, &digests).await?;
        let Settings { env, entrypoint, cmd, user, working_dir } = document.config;
        Ok(ImageInfo {
            digest: target.digest,
            chain_id,
            env: env.unwrap_or_default(),
            entrypoint: entrypoint.unwrap_or_default(),
            cmd: cmd.unwrap_or_default(),
            user,
            working_dir,
            size_bytes,
        })
    }

    async fn document<T: DeserializeOwned>(
        &self,
        image: &ImageRef,
        digest: &str,
        document: &'static str,
    ) -> Result<T, RuntimeError> {
        let broken = |fault| RuntimeError::ImageBroken { image: image.clone(), fault };
        let request = ReadContentRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        let mut client = self.door.client().content();
        let purpose = Purpose::book("read a document of image", image.as_str());
        let mut parts = self.door.call(purpose, client.read(self.door.request(request))).await?;
        let mut bytes = Vec::new();
        let late = || RuntimeError::Deadline {
            operation: purpose.operation,
            subject: image.to_string(),
            after_ms: u64::try_from(BOOK_DEADLINE.as_millis()).unwrap_or(u64::MAX),
        };
        loop {
            let part = timeout(BOOK_DEADLINE, parts.message()).await.map_err(|_| late())?;
            // The stream ends with a status of its own; through `call` it gets its words.
            let part = self.door.call(purpose, async { part.map(containerd_client::tonic::Response::new) });
            let Some(part) = part.await? else { break };
            if bytes.len() + part.data.len() > DOCUMENT_BYTES_MAX {
                return Err(broken(ImageFault::TooLarge { document, max_bytes: DOCUMENT_BYTES_MAX }));
            }
            bytes.extend(part.data);
        }
        serde_json::from_slice(&bytes).map_err(|source| broken(ImageFault::Json { document, source }))
    }

    /// Makes sure the snapshot of all layers is there, and returns its name.
    async fn unpack(
        &self,
        image: &ImageRef,
        config_digest: &str,
        layers: Vec<Entry>,
        digests: &[String],
    ) -> Result<String, RuntimeError> {
        let chain = chain_ids(digests);
        let Some(top) = chain.last() else { return Ok(String::new()) };
        let _one = self.unpacking.lock().await;
        let lease = format!("weft-unpack-{}", top.trim_start_matches("sha256:"));
        let unpacked = if self.is_there(image, top).await? {
            // Who unpacked them may have been cut off before anything but its lease kept them, or did it for another
            // image with the same layers.
            Ok(())
        } else {
            // Until the configuration refers to the snapshot, the lease keeps the collector away.
            self.take_lease(image, &lease).await?;
            self.unpack_layers(image, &lease, layers, &chain).await
        };
        let kept = match unpacked {
            Ok(()) => self.keep_with(image, config_digest, top).await,
            Err(error) => Err(error),
        };
        self.drop_lease(image, &lease).await?;
        kept.map(|()| top.clone())
    }

    async fn unpack_layers(
        &self,
        image: &ImageRef,
        lease: &str,
        layers: Vec<Entry>,
        chain: &[String],
    ) -> Result<(), RuntimeError> {
        let mut parent = "";
        for (layer, name) in layers.into_iter().zip(chain) {
            if !self.is_there(image, name).await? {
                self.unpack_layer(image, lease, layer, parent, name).await?;
            }
            parent = name;
        }
        Ok(())
    }

    async fn unpack_layer(
        &self,
        image: &ImageRef,
        lease: &str,
        layer: Entry,
        parent: &str,
        name: &str,
    ) -> Result<(), RuntimeError> {
        let snapshotter = self.snapshotter.clone();
        let key = format!("weft-unpack {name}");
        let mut snapshots = self.door.client().snapshots();
        // What an unpacking that was cut off has left.
        let stale = RemoveSnapshotRequest { snapshotter: snapshotter.clone(), key: key.clone() };
        let purpose = Purpose { deadline: UNPACK_DEADLINE, ..Purpose::book("unpack image", image.as_str()) };
        or_absent(self.door.call(purpose, snapshots.remove(self.door.request(stale))).await)?;
        let prepare = PrepareSnapshotRequest {
            snapshotter: snapshotter.clone(),
            key: key.clone(),
            parent: parent.to_owned(),
            ..Default::default()
        };
        let request = self.door.leased(lease, prepare);
        let mounts = self.door.call(purpose, snapshots.prepare(request)).await?.mounts;
        let size = i64::try_from(layer.size).unwrap_or(i64::MAX);
        let (media_type, digest) = (layer.media_type, layer.digest);
        let diff = Some(Descriptor { media_type, digest, size, ..Default::default() });
        let apply = self.door.leased(lease, ApplyRequest { diff, mounts, ..Default::default() });
        self.door.call(purpose, self.door.client().diff().apply(apply)).await?;
        let commit = CommitSnapshotRequest { snapshotter, name: name.to_owned(), key, ..Default::default() };
        let committed = self.door.call(purpose, snapshots.commit(self.door.leased(lease, commit))).await;
        match committed {
            // `ctr` was faster.
            Err(failure) if failure.is(Code::AlreadyExists) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    async fn is_there(&self, image: &ImageRef, name: &str) -> Result<bool, Failure> {
        let stat = StatSnapshotRequest { snapshotter: self.snapshotter.clone(), key: name.to_owned() };
        let mut client = self.door.client().snapshots();
        let purpose = Purpose::book("find the layers of image", image.as_str());
        Ok(or_absent(self.door.call(purpose, client.stat(self.door.request(stat))).await)?.is_some())
    }

    /// As containerd's own client does: while the image is there, its configuration is, and so is the snapshot.
    async fn keep_with(&self, image: &ImageRef, config_digest: &str, top: &str) -> Result<(), RuntimeError> {
        let label = format!("containerd.io/gc.ref.snapshot.{}", self.snapshotter);
        let update_mask = Some(prost_types::FieldMask { paths: vec![format!("labels.{label}")] });
        let info = Info {
            digest: config_digest.to_owned(),
            labels: HashMap::from([(label, top.to_owned())]),
            ..Default::default()
        };
        let request = self.door.request(UpdateRequest { info: Some(info), update_mask });
        let mut client = self.door.client().content();
        self.door
            .call(Purpose::book("keep the layers of image", image.as_str()), client.update(request))
            .await?;
        Ok(())
    }

    async fn take_lease(&self, image: &ImageRef, id: &str) -> Result<(), RuntimeError> {
        // Of an image that nobody asks for again the collector takes what a cut-off unpacking has left.
        let until = prost_types::Timestamp::from(SystemTime::now() + UNPACK_LEASE);
        let labels = HashMap::from([(EXPIRY_LABEL.to_owned(), until.to_string())]);
        let request = self.door.request(CreateRequest { id: id.to_owned(), labels });
        let mut client = self.door.client().leases();
        match self
            .door
            .call(Purpose::book("take a lease for image", image.as_str()), client.create(request))
            .await
        {
            // Left by an unpacking that was cut off.
            Err(failure) if failure.is(Code::AlreadyExists) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    async fn drop_lease(&self, image: &ImageRef, id: &str) -> Result<(), RuntimeError> {
        let request = self.door.request(DeleteRequest { id: id.to_owned(), ..Default::default() });
        let mut client = self.door.client().leases();
        let purpose = Purpose::book("give back the lease for image", image.as_str());
        or_absent(self.door.call(purpose, client.delete(request)).await)?;
        Ok(())
    }
}

/// The names of the snapshots of the first layer, the first two, and so on.
fn chain_ids(digests: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::with_capacity(digests.len());
    for digest in digests {
        let next = match chain.last() {
            None => digest.clone(),
            Some(last) => format!("sha256:{:x}", Sha256::digest(format!("{last} {digest}"))),
        };
        chain.push(next);
    }
    chain
}

pub(super) fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
