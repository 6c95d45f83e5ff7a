//! Calls to a running agent. In: its socket. Out: its answers, printed.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, anyhow};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use super::{Call, Output, Reader, say, say_more, show};
use crate::control::v1::{self, weft_client::WeftClient};

/// How often graphs are looked at: a step is made in about as long.
const GRAPHS_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn connect(call: &Call) -> anyhow::Result<WeftClient<Channel>> {
    let path = call.socket.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The address is never dialled; the connector goes to the socket.
    let endpoint = Endpoint::from_static("http://weft.invalid");
    let channel = endpoint.connect_with_connector(connector).await.map_err(|_| {
        anyhow!(
            "{}: no agent answers. Start one with `weft agent --config FILE`, or name its socket with --socket",
            call.socket.display()
        )
    })?;
    Ok(WeftClient::new(channel))
}

/// The agent's words without the transport's wrapping.
pub(super) fn said(status: tonic::Status) -> anyhow::Error {
    anyhow!("{}", status.message())
}

pub(super) fn print<T: serde::Serialize>(
    call: &Call,
    reply: &T,
    table: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    match call.output {
        Output::Json => say(&format!("{}\n", serde_json::to_string_pretty(reply).context("JSON")?)),
        Output::Table => say(&table(reply)),
    }
}

pub(super) async fn status(call: &Call) -> anyhow::Result<()> {
    let reply = connect(call).await?.status(v1::StatusRequest {}).await.map_err(said)?;
    print(call, reply.get_ref(), show::status)
}

pub(super) async fn graphs(call: &Call) -> anyhow::Result<()> {
    let reply = connect(call).await?.graphs(v1::GraphsRequest {}).await.map_err(said)?;
    print(call, reply.get_ref(), show::graphs)
}

/// Prints the graphs each time that one comes, changes or goes.
pub(super) async fn watch_graphs(call: &Call) -> anyhow::Result<()> {
    let mut client = connect(call).await?;
    let mut gone = std::pin::pin!(reader_gone());
    let mut beat = tokio::time::interval(GRAPHS_EVERY);
    let mut shown = None;
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = &mut gone => return Ok(()),
        }
        // An agent that answers no more has ended.
        let Ok(reply) = client.graphs(v1::GraphsRequest {}).await else { return Ok(()) };
        let reply = reply.into_inner();
        let mut timeless = reply.clone();
        for graph in &mut timeless.graphs {
            graph.age_ms = 0;
            graph.nodes.iter_mut().for_each(|node| node.held_ms = 0);
        }
        if shown.as_ref() == Some(&timeless) {
            continue;
        }
        shown = Some(timeless);
        let text = match call.output {
            Output::Json => serde_json::to_string(&reply).context("JSON")?,
            Output::Table if std::io::stdout().is_terminal() => {
                format!("\x1b[H\x1b[2J{}", show::graphs(&reply))
            }
            Output::Table => show::graphs(&reply),
        };
        if say_more(&format!("{text}\n"))? == Reader::Gone {
            return Ok(());
        }
    }
}

pub(super) async fn forecasts(call: &Call, explain: bool) -> anyhow::Result<()> {
    let reply = connect(call).await?.forecasts(v1::ForecastsRequest { explain }).await.map_err(said)?;
    print(call, reply.get_ref(), show::forecasts)
}

pub(super) async fn accuracy(call: &Call) -> anyhow::Result<()> {
    let reply = connect(call).await?.accuracy(v1::AccuracyRequest {}).await.map_err(said)?;
    print(call, reply.get_ref(), show::accuracy)
}

pub(super) async fn profile(call: &Call, segment: String) -> anyhow::Result<()> {
    let whole = !segment.is_empty();
    let reply = connect(call).await?.profile(v1::ProfileRequest { segment }).await.map_err(said)?;
    print(call, reply.get_ref(), |reply| show::profile(reply, whole))
}

pub(super) async fn watch(call: &Call) -> anyhow::Result<()> {
    let mut lines = connect(call).await?.watch(v1::WatchRequest {}).await.map_err(said)?.into_inner();
    let mut gone = std::pin::pin!(reader_gone());
    loop {
        let line = tokio::select! {
            line = lines.message() => line,
            () = &mut gone => return Ok(()),
        };
        // A stream that breaks off is the agent's end.
        let Ok(Some(v1::Line { json })) = line else { return Ok(()) };
        let text = if call.output == Output::Json { json } else { show::line(&json) };
        if say_more(&format!("{text}\n"))? == Reader::Gone {
            return Ok(());
        }
    }
}

/// Resolves when nobody reads standard output any more, also while nothing is written; never for a file.
async fn reader_gone() {
    use rustix::event::{PollFd, PollFlags, poll};
    let (gone, wait) = tokio::sync::oneshot::channel();
    // Waits for as long as the process lives: its end is the thread's.
    std::thread::spawn(move || {
        let stdout = std::io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut watched, None) == Err(rustix::io::Errno::INTR) {}
        // Nobody waits any more when the agent has ended first.
        let _ = gone.send(());
    });
    if wait.await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub(super) async fn drain(call: &Call) -> anyhow::Result<()> {
    connect(call).await?.drain(v1::DrainRequest {}).await.map_err(said)?;
    say("the agent drains and ends\n")
}
