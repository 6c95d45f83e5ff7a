//! What an image says of itself. In: its name. Out: the snapshot that holds its layers, and the program to run.
//! Refuses an image whose layers are not unpacked, one for several platforms, and documents over 1 MiB.
use anyhow::{Context, Result, bail, ensure};
use containerd_client::Client;
use containerd_client::services::v1::snapshots::StatSnapshotRequest;
use containerd_client::services::v1::{GetImageRequest, ReadContentRequest};
use containerd_client::tonic::Request;
use serde_json::Value;
use sha2::{Digest, Sha256};

const DOCUMENT_BYTES_MAX: i64 = 1 << 20;

/// An image on the node.
#[derive(Debug)]
pub(crate) struct Image {
    /// Name of the snapshot of its topmost layer.
    pub(crate) chain_id: String,
    /// Program and arguments.
    pub(crate) arguments: Vec<String>,
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
}

impl Image {
    /// Looks an image up.
    pub(crate) async fn look_up(client: &Client, namespace: &str, name: &str) -> Result<Self> {
        let request = within(namespace, GetImageRequest { name: name.to_owned() })?;
        let image = client.images().get(request).await.with_context(|| format!("image {name}"))?.into_inner();
        let target = image.image.and_then(|image| image.target).context("the image has no target")?;
        let manifest = read(client, namespace, &target.digest).await?;
        let Some(config) = manifest["config"]["digest"].as_str() else {
            bail!("image {name} is for several platforms; give one for this machine alone");
        };
        let config = read(client, namespace, config).await?;
        let layers = words(&config["rootfs"]["diff_ids"]);
        let own = &config["config"];
        let arguments: Vec<_> = [words(&own["Entrypoint"]), words(&own["Cmd"])].concat();
        ensure!(!arguments.is_empty(), "image {name} names no program");
        Ok(Self { chain_id: chain_id(&layers), arguments, env: words(&own["Env"]) })
    }

    /// Makes sure that the layers are there.
    pub(crate) async fn ensure_unpacked(
        &self,
        client: &Client,
        namespace: &str,
        snapshotter: &str,
    ) -> Result<()> {
        let request = StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: self.chain_id.clone() };
        let stat = client.snapshots().stat(within(namespace, request)?).await;
        stat.map(drop).context("the image's layers are not unpacked (ctr images import does it)")
    }
}

async fn read(client: &Client, namespace: &str, digest: &str) -> Result<Value> {
    let request = ReadContentRequest { digest: digest.to_owned(), offset: 0, size: DOCUMENT_BYTES_MAX };
    let reply = client.content().read(within(namespace, request)?).await;
    let mut pieces = reply.with_context(|| format!("read {digest}"))?.into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await.with_context(|| format!("read {digest}"))? {
        bytes.extend(piece.data);
    }
    serde_json::from_slice(&bytes).with_context(|| format!("{digest} is no JSON"))
}

fn within<T>(namespace: &str, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", namespace.parse()?);
    Ok(request)
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Each layer's name is made of the one below it and its own digest.
fn chain_id(layers: &[String]) -> String {
    let join = |below: String, layer: &String| match below.as_str() {
        "" => layer.clone(),
        _ => format!("sha256:{:x}", Sha256::digest(format!("{below} {layer}"))),
    };
    layers.iter().fold(String::new(), join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_of_one_layer_bears_its_digest_and_that_of_two_a_digest_of_both() {
        let layers = ["sha256:aa".to_owned(), "sha256:bb".to_owned()];
        assert_eq!(chain_id(&layers[..1]), "sha256:aa");
        let expected = format!("sha256:{:x}", Sha256::digest("sha256:aa sha256:bb"));
        assert_eq!(chain_id(&layers), expected);
        assert_eq!(chain_id(&[]), "");
    }
}
