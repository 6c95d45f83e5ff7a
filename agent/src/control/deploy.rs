//! Deploying by the control interface. In: a stream of parts. Out: a stream of steps. Refuses a stream that does not begin
//! with its head, and more bytes than uploads may have.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::v1::{self, deploy_part::Part};
use crate::config::Segment;
use crate::intake::serve::Deployer;
use crate::intake::{Stage, Step, Upload};

/// Steps that wait for a slow reader: more than there are.
const STEPS_MAX: usize = 64;
/// Bytes of a segment in the words of the configuration.
const SEGMENT_BYTES_MAX: u64 = 64 << 10;

pub(super) type Steps = ReceiverStream<Result<v1::DeployStep, Status>>;

/// Takes the parts, and answers with the steps as they begin.
pub(super) async fn deploy(
    deployer: Arc<Deployer>,
    mut parts: Streaming<v1::DeployPart>,
) -> Result<Steps, Status> {
    let Some(Part::Head(head)) = parts.message().await?.and_then(|first| first.part) else {
        return Err(Status::invalid_argument("the upload does not begin with its head"));
    };
    let name = std::path::Path::new(&head.name).file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Status::invalid_argument("the upload has no name"))?.to_owned();
    let stage = deployer.intake().stage().map_err(|error| Status::internal(error.to_string()))?;
    let path = stage.path().join(&name);
    let of_segment = head.kind() == v1::DeployKind::Segment;
    let max = if of_segment { SEGMENT_BYTES_MAX } else { deployer.intake().bounds().packed_bytes };
    let disk =
        |error: std::io::Error| Status::resource_exhausted(format!("the upload cannot be kept: {error}"));
    let (mut file, mut size) = (File::create(&path).map_err(disk)?, 0);
    while let Some(part) = parts.message().await? {
        let Some(Part::Data(data)) = part.part else {
            return Err(Status::invalid_argument("a second head in one upload"));
        };
        size += data.len() as u64;
        if size > max {
            let message = format!(
                "the upload is larger than {max} bytes; leave out what the program does not need to run"
            );
            return Err(Status::invalid_argument(message));
        }
        file.write_all(&data).map_err(disk)?;
    }
    let (steps, answer) = mpsc::channel(STEPS_MAX);
    tokio::spawn(async move {
        let outcome = if of_segment {
            segment(&deployer, &stage, &name).await
        } else {
            let upload = Upload { name, source: path };
            deployer.deploy(&upload, &|step: Step, detail: &str| tell(&steps, step.name(), detail)).await
        };
        match outcome {
            Ok(detail) => tell(&steps, "served", &detail),
            // A sender that has gone away need not be told.
            Err(cause) => drop(steps.try_send(Err(Status::failed_precondition(cause)))),
        }
    });
    Ok(ReceiverStream::new(answer))
}

fn tell(steps: &mpsc::Sender<Result<v1::DeployStep, Status>>, step: &str, detail: &str) {
    // As many as fit the channel are told; a sender that has gone away need not be.
    let _ = steps.try_send(Ok(v1::DeployStep { step: step.into(), detail: detail.into() }));
}

async fn segment(deployer: &Deployer, stage: &Stage, name: &str) -> Result<String, String> {
    let text =
        std::fs::read_to_string(stage.path().join(name)).map_err(|error| format!("{name}: {error}"))?;
    let segment =
        Segment::from_toml(&text).map_err(|error| format!("{name}: {}", error.to_string().trim_end()))?;
    let served = format!("{} is served at {}", segment.name, segment.address);
    deployer.serve(segment).await.map(|()| served)
}
