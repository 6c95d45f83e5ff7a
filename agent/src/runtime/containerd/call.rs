//! One call to containerd: namespace and lease in its header, a deadline, an error that says what was tried.
//!
//! In: a request and what it is for. Out: the reply, or a [`Failure`] whose cause can be told apart. Refuses to
//! wait longer than the deadline. A connection that was lost is opened anew by the next call.
use std::error::Error as _;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use containerd_client::Client;
use containerd_client::tonic::metadata::{Ascii, MetadataValue};
use containerd_client::tonic::transport::{self, Channel, Endpoint};
use containerd_client::tonic::{Code, Request, Response, Status};
use tokio::time::timeout;

use crate::runtime::RuntimeError;

/// Calls that only touch containerd's books.
pub(super) const BOOK_DEADLINE: Duration = Duration::from_secs(5);
/// Calls that start or stop processes.
pub(super) const TASK_DEADLINE: Duration = Duration::from_secs(20);
/// Unpacking one layer.
pub(super) const UNPACK_DEADLINE: Duration = Duration::from_secs(120);

/// Answers of a whole node's containers are larger than gRPC's usual 4 MiB; containerd itself sends up to 16.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The way to containerd, seen from one of its namespaces.
#[derive(Clone)]
pub(super) struct Door {
    address: PathBuf,
    channel: Channel,
    namespace: String,
}

/// What a call is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) operation: &'static str,
    pub(super) subject: &'a str,
    pub(super) deadline: Duration,
}

/// A call that did not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    operation: &'static str,
    subject: String,
    address: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Late(Duration),
    Said(Box<Status>),
}

impl Door {
    /// Opens no connection yet: the first call does.
    pub(super) fn new(address: PathBuf, namespace: String) -> Result<Self, transport::Error> {
        let channel = Endpoint::from_shared(format!("unix://{}", address.display()))?.connect_lazy();
        Ok(Self { address, channel, namespace })
    }

    /// The same way, seen from another namespace.
    pub(super) fn within(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    pub(super) fn client(&self) -> Client {
        self.channel.clone().into()
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        insert(&mut request, "containerd-namespace", &self.namespace);
        request
    }

    /// What the call makes belongs to the lease.
    pub(super) fn leased<T>(&self, lease: &str, message: T) -> Request<T> {
        let mut request = self.request(message);
        insert(&mut request, "containerd-lease", lease);
        request
    }

    /// Awaits a call.
    pub(super) async fn call<T>(
        &self,
        purpose: Purpose<'_>,
        reply: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        let cause = match timeout(purpose.deadline, reply).await {
            Ok(Ok(reply)) => return Ok(reply.into_inner()),
            Ok(Err(status)) => Cause::Said(Box::new(status)),
            Err(_) => Cause::Late(purpose.deadline),
        };
        let Purpose { operation, subject, .. } = purpose;
        Err(Failure { operation, subject: subject.to_owned(), address: self.address.clone(), cause })
    }
}

/// The configuration and [`crate::runtime::InstanceId`] allow no character that a header cannot carry.
fn insert<T>(request: &mut Request<T>, key: &'static str, value: &str) {
    if let Ok(value) = value.parse::<MetadataValue<Ascii>>() {
        request.metadata_mut().insert(key, value);
    }
}

impl<'a> Purpose<'a> {
    /// A call that only touches containerd's books.
    pub(super) fn book(operation: &'static str, subject: &'a str) -> Self {
        Self { operation, subject, deadline: BOOK_DEADLINE }
    }

    /// A call that starts or stops processes.
    pub(super) fn task(operation: &'static str, subject: &'a str) -> Self {
        Self { operation, subject, deadline: TASK_DEADLINE }
    }
}

impl Failure {
    /// What containerd answered, if it did.
    pub(super) fn code(&self) -> Option<Code> {
        match &self.cause {
            Cause::Said(status) if !is_transport(status) => Some(status.code()),
            _ => None,
        }
    }

    pub(super) fn is(&self, code: Code) -> bool {
        self.code() == Some(code)
    }

    /// Whether an answer holds these words.
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(&self.cause, Cause::Said(status) if status.message().contains(words))
    }
}

/// Whether the connection failed, rather than containerd.
fn is_transport(status: &Status) -> bool {
    status.source().is_some_and(|source| source.is::<transport::Error>())
}

impl From<Failure> for RuntimeError {
    fn from(failure: Failure) -> Self {
        let Failure { operation, subject, address, cause } = failure;
        match cause {
            Cause::Late(after) => {
                let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                Self::Deadline { operation, subject, after_ms }
            }
            Cause::Said(status) if is_transport(&status) => {
                Self::Unreachable { operation, subject, address, message: chain(&status) }
            }
            Cause::Said(status) => Self::Refused { operation, subject, message: status.message().to_owned() },
        }
    }
}

/// A transport error says why only at the end of its chain.
fn chain(status: &Status) -> String {
    let mut text = String::new();
    let mut source = status.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}

/// Takes "there is none" for done.
pub(super) fn or_absent<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is(Code::NotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}
