//! What the node's monitoring asks. In: `GET /metrics`, `/healthz`, `/readyz`. Out: Prometheus text, or a word.
//! Refuses every other path with 404 and every other method with 405. It has a thread and a runtime of its own: a
//! busy agent is still seen to be alive.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Connections at a time; the rest wait in the backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the answers are made from.
#[derive(Clone)]
pub struct Scrape {
    /// The recorder.
    pub handle: PrometheusHandle,
    /// Whether requests are served: programs attached, activators listening.
    pub ready: Arc<AtomicBool>,
}

/// Why nothing can be scraped.
#[derive(Debug, thiserror::Error)]
#[error("[agent] metrics: {address} cannot be listened on: {source}. Free the port or set another")]
pub struct ScrapeError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Listens, and serves from a thread of its own for as long as the process lives.
///
/// # Errors
/// [`ScrapeError`].
pub fn start(address: SocketAddr, scrape: Scrape) -> Result<(), ScrapeError> {
    let trouble = |source| ScrapeError { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(trouble)?;
    listener.set_nonblocking(true).map_err(trouble)?;
    let (told, outcome) = mpsc::sync_channel(1);
    // The runtime is made and dropped there: no asynchronous task, such as the caller, may drop one.
    let thread = move || match runtime(listener) {
        Ok((runtime, listener)) => {
            let _ = told.send(Ok(()));
            runtime.block_on(serve(listener, scrape));
        }
        Err(source) => drop(told.send(Err(source))),
    };
    std::thread::Builder::new().name("weft-scrape".into()).spawn(thread).map_err(trouble)?;
    outcome.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())).map_err(trouble)
}

fn runtime(listener: std::net::TcpListener) -> io::Result<(Runtime, TcpListener)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reactor = runtime.enter();
    let listener = TcpListener::from_std(listener)?;
    drop(reactor);
    Ok((runtime, listener))
}

async fn serve(listener: TcpListener, scrape: Scrape) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let scrape = scrape.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &scrape);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a scrape ended early");
            }
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, scrape: &Scrape) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
    }
    match request.uri().path() {
        "/metrics" => {
            scrape.handle.run_upkeep();
            text(StatusCode::OK, crate::metrics::render(&scrape.handle))
        }
        "/healthz" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" if scrape.ready.load(Ordering::Acquire) => text(StatusCode::OK, "ready\n".into()),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "starting or draining\n".into()),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".into()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
