//! Images made on this node. In: an image's configuration and the tars of its layers. Out: its name in containerd's list,
//! its blobs in containerd's store. Refuses nothing containerd takes; a failure leaves no image, and blobs that nobody
//! refers to are collected.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use containerd_client::services::v1::{
    AbortRequest, AddResourceRequest, CreateImageRequest, CreateRequest, DeleteImageRequest, DeleteRequest,
    Image, Resource, UpdateImageRequest, WriteAction, WriteContentRequest,
};
use containerd_client::tonic::{Code, Response};
use containerd_client::types::Descriptor;
use futures::Stream;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::Containerd;
use super::call::{Failure, Purpose, UNPACK_DEADLINE, or_absent};
use super::images::go_architecture;
use crate::runtime::{ImageRef, RuntimeError};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// gRPC takes messages of 4 MiB.
const PIECE_BYTES: usize = 1 << 20;

/// A layer to be imported: a tar that is not packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFile {
    /// Where it lies.
    pub path: PathBuf,
    /// `sha256:…` of it.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
}

/// What is run in an image, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// `NAME=value` lines.
    pub env: Vec<String>,
    /// Program and its arguments.
    pub entrypoint: Vec<String>,
    /// `uid:gid`.
    pub user: String,
    /// Where it starts.
    pub working_dir: String,
}

/// An image that is to be imported.
#[derive(Debug, Clone)]
pub struct NewImage {
    config: Vec<u8>,
    layers: Vec<LayerFile>,
    manifest: Vec<u8>,
}

impl NewImage {
    /// Describes an image; the same parts give the same digest.
    pub fn new(launch: &Launch, layers: Vec<LayerFile>) -> Self {
        let digests: Vec<_> = layers.iter().map(|layer| &layer.digest).collect();
        let config = json!({
            "architecture": go_architecture(),
            "os": "linux",
            "config": {
                "Env": launch.env,
                "Entrypoint": launch.entrypoint,
                "User": launch.user,
                "WorkingDir": launch.working_dir,
            },
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let config = config.to_string().into_bytes();
        let described = |layer: &LayerFile| descriptor(LAYER, &layer.digest, layer.bytes);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIGURATION, &digest(&config), config.len() as u64),
            "layers": layers.iter().map(described).collect::<Vec<_>>(),
        });
        Self { config, layers, manifest: manifest.to_string().into_bytes() }
    }

    /// The digest of its manifest, by which containerd knows it.
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// While the manifest is there, so is what it names.
    fn references(&self) -> HashMap<String, String> {
        let label = |name: String| format!("containerd.io/gc.ref.content.{name}");
        let layers = self.layers.iter().enumerate();
        let mut labels: HashMap<_, _> =
            layers.map(|(index, layer)| (label(format!("l.{index}")), layer.digest.clone())).collect();
        labels.insert(label("config".to_owned()), digest(&self.config));
        labels
    }
}

/// Whether an import made a name or found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// The name is new.
    New,
    /// There was an image of that name; it is this one now.
    Replaced,
}

impl Containerd {
    /// Puts an image into containerd's store under a name. It is not unpacked; [`crate::runtime::Runtime::image`] does.
    ///
    /// # Errors
    /// What containerd said; a layer that cannot be read is told as one that containerd refused.
    pub async fn import(&self, name: &ImageRef, image: &NewImage) -> Result<Imported, RuntimeError> {
        // Until the image refers to them, the lease keeps the collector away from its parts.
        let lease = format!("weft-import-{}", image.digest().trim_start_matches("sha256:"));
        self.lease_import(name, &lease).await?;
        let imported = self.import_leased(name, image, &lease).await;
        let purpose = Purpose::book("give back the lease of image", name.as_str());
        let request = self.door.request(DeleteRequest { id: lease, ..Default::default() });
        or_absent(self.door.call(purpose, self.door.client().leases().delete(request)).await)?;
        imported
    }

    /// Takes an image's name away, and with it what nobody else refers to. One that is not there is no error.
    ///
    /// # Errors
    /// What containerd said.
    pub async fn remove_image(&self, name: &ImageRef) -> Result<(), RuntimeError> {
        let request = DeleteImageRequest { name: name.to_string(), sync: true, ..Default::default() };
        let purpose = Purpose { deadline: UNPACK_DEADLINE, ..Purpose::book("remove image", name.as_str()) };
        let mut images = self.door.client().images();
        or_absent(self.door.call(purpose, images.delete(self.door.request(request))).await)?;
        Ok(())
    }

    async fn lease_import(&self, name: &ImageRef, lease: &str) -> Result<(), RuntimeError> {
        let request = self.door.request(CreateRequest { id: lease.to_owned(), ..Default::default() });
        let purpose = Purpose::book("take a lease for image", name.as_str());
        match self.door.call(purpose, self.door.client().leases().create(request)).await {
            // Left by an import that was cut off.
            Err(failure) if failure.is(Code::AlreadyExists) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    async fn import_leased(
        &self,
        name: &ImageRef,
        image: &NewImage,
        lease: &str,
    ) -> Result<Imported, RuntimeError> {
        let none = HashMap::new();
        for layer in &image.layers {
            let file =
                File::open(&layer.path).await.map_err(|error| unreadable(name, &layer.path, &error))?;
            let blob = Blob { digest: &layer.digest, bytes: layer.bytes, labels: &none };
            self.write(name, lease, blob, file).await?;
        }
        let config = digest(&image.config);
        let blob = Blob { digest: &config, bytes: image.config.len() as u64, labels: &none };
        self.write(name, lease, blob, std::io::Cursor::new(image.config.clone())).await?;
        let (manifest, references) = (image.digest(), image.references());
        let blob = Blob { digest: &manifest, bytes: image.manifest.len() as u64, labels: &references };
        self.write(name, lease, blob, std::io::Cursor::new(image.manifest.clone())).await?;
        self.name_image(name, image, lease).await
    }

    /// Writes one blob, unless it is there.
    async fn write(
        &self,
        name: &ImageRef,
        lease: &str,
        blob: Blob<'_>,
        content: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<(), RuntimeError> {
        let purpose =
            Purpose { deadline: UNPACK_DEADLINE, ..Purpose::book("import a part of image", name.as_str()) };
        // One that is there already is held by nobody else for sure.
        let resource = Resource { id: blob.digest.to_owned(), r#type: "content".to_owned() };
        let hold = AddResourceRequest { id: lease.to_owned(), resource: Some(resource) };
        self.door.call(purpose, self.door.client().leases().add_resource(self.door.request(hold))).await?;
        let reference = format!("{lease}-{}", blob.digest);
        let request = self.door.leased(lease, pieces(&reference, blob, content));
        let written = self.door.call(purpose, self.written(request)).await;
        match written {
            Ok(()) => Ok(()),
            Err(failure) if failure.is(Code::AlreadyExists) => Ok(()),
            Err(failure) => {
                let abort = self.door.request(AbortRequest { r#ref: reference });
                // What has not begun need not be given up.
                let _ = self.door.call(purpose, self.door.client().content().abort(abort)).await;
                Err(failure.into())
            }
        }
    }

    /// Sends the pieces and follows the answers to the last: the commit.
    async fn written(
        &self,
        request: containerd_client::tonic::Request<impl Stream<Item = WriteContentRequest> + Send + 'static>,
    ) -> Result<Response<()>, containerd_client::tonic::Status> {
        let mut answers = self.door.client().content().write(request).await?.into_inner();
        let mut committed = false;
        while let Some(answer) = answers.message().await? {
            committed = answer.action == i32::from(WriteAction::Commit);
        }
        if committed {
            Ok(Response::new(()))
        } else {
            Err(containerd_client::tonic::Status::data_loss("a layer could not be read to its end"))
        }
    }

    async fn name_image(
        &self,
        name: &ImageRef,
        image: &NewImage,
        lease: &str,
    ) -> Result<Imported, RuntimeError> {
        let target = Descriptor {
            media_type: MANIFEST.to_owned(),
            digest: image.digest(),
            size: i64::try_from(image.manifest.len()).unwrap_or(i64::MAX),
            ..Default::default()
        };
        let image = Image { name: name.to_string(), target: Some(target), ..Default::default() };
        let purpose = Purpose::book("name image", name.as_str());
        let create = CreateImageRequest { image: Some(image.clone()), ..Default::default() };
        let mut images = self.door.client().images();
        match self.door.call(purpose, images.create(self.door.leased(lease, create))).await {
            Err(failure) if failure.is(Code::AlreadyExists) => {}
            other => {
                other?;
                return Ok(Imported::New);
            }
        }
        let update = UpdateImageRequest { image: Some(image), ..Default::default() };
        let updated: Result<_, Failure> =
            self.door.call(purpose, images.update(self.door.leased(lease, update))).await;
        updated?;
        Ok(Imported::Replaced)
    }
}

/// A blob as containerd is told of it.
#[derive(Clone, Copy)]
struct Blob<'a> {
    digest: &'a str,
    bytes: u64,
    labels: &'a HashMap<String, String>,
}

/// The messages that write a blob. A content that breaks off ends them without the commit.
fn pieces(
    reference: &str,
    blob: Blob<'_>,
    content: impl AsyncRead + Unpin + Send + 'static,
) -> impl Stream<Item = WriteContentRequest> + Send + 'static {
    let total = i64::try_from(blob.bytes).unwrap_or(i64::MAX);
    let common = WriteContentRequest {
        r#ref: reference.to_owned(),
        total,
        expected: blob.digest.to_owned(),
        ..Default::default()
    };
    let labels = blob.labels.clone();
    futures::stream::unfold((content, 0_i64, false), move |(mut content, offset, ended)| {
        let (common, labels) = (common.clone(), labels.clone());
        async move {
            if ended {
                return None;
            }
            let mut data = Vec::with_capacity(PIECE_BYTES);
            let read = (&mut content).take(PIECE_BYTES as u64).read_to_end(&mut data).await.ok()?;
            let next = offset + i64::try_from(read).unwrap_or(i64::MAX);
            if read > 0 {
                let write = WriteContentRequest { action: WriteAction::Write.into(), offset, data, ..common };
                return Some((write, (content, next, false)));
            }
            let action = WriteAction::Commit.into();
            Some((WriteContentRequest { action, offset, labels, ..common }, (content, next, true)))
        }
    })
}

fn descriptor(media_type: &str, digest: &str, bytes: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": bytes })
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn unreadable(image: &ImageRef, path: &Path, error: &std::io::Error) -> RuntimeError {
    RuntimeError::Refused {
        operation: "read a layer of image",
        subject: image.to_string(),
        message: format!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digest: &str) -> NewImage {
        let layer = LayerFile { path: "/l".into(), digest: digest.to_owned(), bytes: 7 };
        NewImage::new(&Launch { entrypoint: vec!["/a".into()], ..Launch::default() }, vec![layer])
    }

    #[test]
    fn an_image_is_named_by_its_parts_alone() {
        assert_eq!(image("sha256:1").digest(), image("sha256:1").digest());
        assert_ne!(image("sha256:1").digest(), image("sha256:2").digest());
    }

    #[test]
    fn a_manifest_holds_on_to_its_layers_and_its_configuration() {
        let references = image("sha256:1").references();
        assert_eq!(references["containerd.io/gc.ref.content.l.0"], "sha256:1");
        assert!(references["containerd.io/gc.ref.content.config"].starts_with("sha256:"));
    }
}
