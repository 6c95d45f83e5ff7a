//! Sends code to a running agent. In: a folder, a file, an archive, or a file that describes a segment. Out: the steps as
//! they begin, on standard error, and where it is served. A folder is sent as a tar.gz, links as they are: the agent refuses
//! what it does not take.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::client::{connect, said};
use super::{Call, Output, say};
use crate::control::v1::{self, deploy_part::Part};

/// Bytes that are sent at a time.
const PIECE: usize = 32 << 10;
/// Pieces that wait for the agent.
const PIECES_MAX: usize = 16;

pub(super) async fn deploy(call: &Call, path: &Path) -> anyhow::Result<()> {
    let whole = path.canonicalize().with_context(|| path.display().to_string())?;
    let name = whole.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{}: it has no name", path.display()))?.to_owned();
    let kind = if name.ends_with(".toml") { v1::DeployKind::Segment } else { v1::DeployKind::Code };
    let mut client = connect(call).await?;
    let (pieces, sent) = mpsc::channel(PIECES_MAX);
    let head = v1::DeployHead {
        name: if whole.is_dir() { format!("{name}.tar.gz") } else { name },
        kind: kind.into(),
    };
    let reading = tokio::task::spawn_blocking(move || {
        let sent = pieces.blocking_send(v1::DeployPart { part: Some(Part::Head(head)) });
        // An agent that does not listen any more says why.
        if sent.is_err() { Ok(()) } else { read(&whole, &pieces) }
    });
    let answered = client.deploy(ReceiverStream::new(sent)).await;
    let mut steps = match answered {
        Ok(steps) => steps.into_inner(),
        Err(status) => {
            // What could not be read here is the cause, what the agent makes of the rest is not.
            reading.await.context("reading the upload")??;
            return Err(said(status));
        }
    };
    reading.await.context("reading the upload")??;
    while let Some(v1::DeployStep { step, detail }) = steps.message().await.map_err(said)? {
        if step == "served" {
            return match call.output {
                Output::Json => say(&format!("{}\n", serde_json::json!({ "served": detail }))),
                Output::Table => say(&format!("{detail}\n")),
            };
        }
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        eprintln!("{step} …{detail}");
    }
    bail!("the agent ended before the upload was served; send it again when it is back")
}

fn read(path: &Path, pieces: &mpsc::Sender<v1::DeployPart>) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    if !path.is_dir() {
        let mut file = File::open(path).with_context(shown)?;
        return std::io::copy(&mut file, &mut Sender(pieces)).map(drop).with_context(shown);
    }
    let mut archive = tar::Builder::new(GzEncoder::new(Sender(pieces), Compression::fast()));
    archive.follow_symlinks(false);
    archive.append_dir_all(".", path).with_context(shown)?;
    let packed = archive.into_inner().and_then(GzEncoder::finish);
    packed.map(drop).with_context(shown)
}

/// Writes into the stream of pieces.
struct Sender<'a>(&'a mpsc::Sender<v1::DeployPart>);

impl std::io::Write for Sender<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        let part = v1::DeployPart { part: Some(Part::Data(piece.to_vec())) };
        // An agent that does not listen any more has said why.
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.0.blocking_send(part).map_err(gone)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
