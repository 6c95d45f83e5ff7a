//! An S3-compatible endpoint: `aws s3 cp cart.zip s3://weft/cart.zip` deploys. In: objects that are put, whole or in
//! parts. Out: each as an upload; the request is answered once it is served or refused. Refuses requests that are not
//! signed with the configured keys, other buckets, objects above the limit, content that does not match its checksum, and
//! everything else that S3 can do: nothing can be read here.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::digest::Digests;
use self::parts::Parts;
use super::inbox::{Inbox, NotDeployed};
use super::{Intake, Upload};

mod digest;
mod parts;

/// The one bucket.
pub const BUCKET: &str = "weft";
/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long a body may send nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// What a list of parts is at most.
const XML_BYTES_MAX: usize = 1 << 20;
const SECRET_LEN_MAX: u64 = 1024;

/// The keys that a request is to be signed with.
pub struct Keys {
    access: String,
    secret: String,
}

impl Keys {
    /// Reads the secret from its file.
    ///
    /// # Errors
    /// When it cannot be read, is empty, or others than its owner may read it.
    pub fn read(access: &str, file: &Path) -> io::Result<Self> {
        use std::io::Read;
        let opened = std::fs::File::open(file)?;
        if opened.metadata()?.permissions().mode() & 0o077 != 0 {
            let words = format!("{}: others may read the secret; chmod 600 it", file.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        let mut secret = String::new();
        opened.take(SECRET_LEN_MAX).read_to_string(&mut secret)?;
        let secret = secret.trim().to_owned();
        if secret.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: it is empty", file.display()),
            ));
        }
        Ok(Self { access: access.to_owned(), secret })
    }
}

/// A listener, and what answers on it.
pub struct Endpoint {
    listener: TcpListener,
    service: S3Service,
}

impl Endpoint {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        keys: Keys,
        intake: Arc<Intake>,
        inbox: Inbox,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let mut builder = S3ServiceBuilder::new(Bucket { intake, inbox, parts: Parts::default() });
        builder.set_auth(SimpleAuth::from_single(keys.access, keys.secret));
        let mut limits = S3Config::default();
        limits.xml_max_body_size = XML_BYTES_MAX;
        // No form is taken.
        limits.post_object_max_file_size = 0;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
        Ok(Self { listener, service: builder.build() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is dropped.
    pub async fn serve(self) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            let service = self.service.clone();
            connections.spawn(async move {
                let _place = place;
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
                if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                    tracing::debug!(%error, "a connection of the S3 endpoint broke off");
                }
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

struct Bucket {
    intake: Arc<Intake>,
    inbox: Inbox,
    parts: Parts,
}

impl Bucket {
    async fn deploy(&self, key: &str, source: PathBuf, stage: super::Stage) -> S3Result<()> {
        let upload = Upload { name: name_of(key)?.to_owned(), source };
        match self.inbox.deploy(upload, Some(stage)).await {
            Ok(answer) => {
                tracing::info!(key, answer, "an object was deployed");
                Ok(())
            }
            Err(busy @ (NotDeployed::Busy | NotDeployed::Ending)) => Err(s3_error!(SlowDown, "{busy}")),
            Err(NotDeployed::Refused(cause)) => Err(s3_error!(InvalidRequest, "not deployed: {cause}")),
        }
    }

    /// Writes a body into a file, and returns its MD5 as S3 names it. `room` is what it may have at most.
    async fn receive(
        &self,
        body: StreamingBlob,
        mut digests: Digests,
        room: u64,
        file: &Path,
    ) -> S3Result<Received> {
        let failed = |error: io::Error| {
            s3_error!(InternalError, "{}: {error}; the agent needs room there", file.display())
        };
        let mut written = tokio::fs::File::create_new(file).await.map_err(failed)?;
        let (mut body, mut bytes) = (body, 0_u64);
        loop {
            let next = tokio::time::timeout(SILENCE, body.next()).await;
            let Some(piece) = next.map_err(|_| s3_error!(RequestTimeout))? else { break };
            let piece = piece.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
            bytes += piece.len() as u64;
            if bytes > room {
                let max = self.intake.bounds().packed_bytes;
                return Err(s3_error!(
                    EntityTooLarge,
                    "an upload has at most {max} bytes; [intake] upload_size raises it"
                ));
            }
            digests.update(&piece);
            written.write_all(&piece).await.map_err(failed)?;
        }
        written.flush().await.map_err(failed)?;
        Ok(Received { e_tag: digests.finish()?, bytes })
    }
}

struct Received {
    e_tag: String,
    bytes: u64,
}

/// The last part of a key names the upload.
fn name_of(key: &str) -> S3Result<&str> {
    let name = key.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == "." || name == ".." {
        return Err(s3_error!(InvalidArgument, "`{key}` names no file; write it as s3://{BUCKET}/cart.zip"));
    }
    Ok(name)
}

fn check_bucket(bucket: &str) -> S3Result<()> {
    if bucket == BUCKET { Ok(()) } else { Err(s3_error!(NoSuchBucket, "there is one bucket, `{BUCKET}`")) }
}

#[async_trait::async_trait]
impl S3 for Bucket {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        _request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        // Clients want a date; this bucket has always been there.
        let creation_date = Some(Timestamp::from(std::time::SystemTime::UNIX_EPOCH));
        let bucket = s3s::dto::Bucket { name: Some(BUCKET.to_owned()), creation_date, ..Default::default() };
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(vec![bucket]), ..Default::default() }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let (mut input, trailers) = (request.input, request.trailing_headers);
        check_bucket(&input.bucket)?;
        let name = name_of(&input.key)?.to_owned();
        let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let stage = self.intake.stage().map_err(|error| s3_error!(InternalError, "{error}"))?;
        let file = stage.path().join("object");
        let digests = Digests::of_object(&input, trailers)?;
        let received = self.receive(body, digests, self.intake.bounds().packed_bytes, &file).await?;
        let named = named(&stage, &file, &name)?;
        self.deploy(&input.key, named, stage).await?;
        let e_tag = Some(ETag::Strong(received.e_tag));
        Ok(S3Response::new(PutObjectOutput { e_tag, ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let CreateMultipartUploadInput { bucket, key, .. } = request.input;
        check_bucket(&bucket)?;
        name_of(&key)?;
        let stage = self.intake.stage().map_err(|error| s3_error!(InternalError, "{error}"))?;
        let id = self.parts.begin(&key, stage)?;
        let output = CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let (mut input, trailers) = (request.input, request.trailing_headers);
        let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let digests = Digests::of_part(&input, trailers)?;
        let place = self.parts.place(&input.upload_id, &input.key, input.part_number)?;
        let room = self.intake.bounds().packed_bytes.saturating_sub(place.taken);
        let received = self.receive(body, digests, room, &place.file).await;
        let e_tag = self.parts.put(&input.upload_id, input.part_number, &place, received)?;
        Ok(S3Response::new(UploadPartOutput { e_tag: Some(ETag::Strong(e_tag)), ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let CompleteMultipartUploadInput { bucket, key, upload_id, multipart_upload, .. } = request.input;
        let listed = multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let whole = self.parts.complete(&upload_id, &key, &listed, self.intake.bounds().packed_bytes)?;
        let named = named(&whole.stage, &whole.file, name_of(&key)?)?;
        self.deploy(&key, named, whole.stage).await?;
        let output = CompleteMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            e_tag: Some(ETag::Strong(whole.e_tag)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.parts.abort(&request.input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

/// Gives a received file the name that it came by, which tells what a single file is, in a folder of its own.
fn named(stage: &super::Stage, file: &Path, name: &str) -> S3Result<PathBuf> {
    let failed =
        |error: io::Error| s3_error!(InvalidArgument, "`{name}` cannot be the name of a file: {error}");
    let folder = stage.path().join("sent");
    std::fs::create_dir(&folder).map_err(failed)?;
    let named = folder.join(name);
    std::fs::rename(file, &named).map_err(failed)?;
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_or_that_is_empty_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, "geheim\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Keys::read("weft", &file).err().unwrap().to_string().contains("chmod 600"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Keys::read("weft", &file).unwrap().secret, "geheim");
        std::fs::write(&file, " \n").unwrap();
        assert!(Keys::read("weft", &file).err().unwrap().to_string().contains("empty"));
    }

    #[test]
    fn an_upload_is_named_by_the_end_of_its_key() {
        assert_eq!(name_of("team/cart.zip").unwrap(), "cart.zip");
        for key in ["", "team/", "team/.."] {
            assert!(name_of(key).is_err(), "{key}");
        }
    }
}
