//! Clients of the control socket that are broken or hostile: bytes that mean nothing, messages without measure, calls that
//! do not exist, silence. The agent lives on, answers the others, and keeps nothing of them.
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use tonic::Code;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use weft::control::v1::weft_client::WeftClient;
use weft::control::v1::{ProfileRequest, StatusRequest};
use weft_tests::agent::{Agent, Segment};
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);
/// What every client of HTTP/2 says first.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn agent(name: &str) -> Result<Agent> {
    Agent::builder(name).fixture("shop/cart:1")?.segment(Segment::new("cart", "shop/cart:1")).start()
}

fn connect(agent: &Agent) -> Result<UnixStream> {
    let stream = UnixStream::connect(agent.place().socket())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

async fn channel(socket: PathBuf) -> Result<Channel> {
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://weft.invalid").connect_with_connector(connector).await?)
}

/// The agent does all that it is for.
fn assert_lives(agent: &Agent) -> Result<()> {
    assert_eq!(agent.status()?["segments"][0]["name"], "cart");
    assert_eq!(agent.caller()?.get(agent.address("cart"), "/", "ann")?.status, 200);
    assert!(!agent.log().contains("panicked"), "{}", agent.log_tail());
    Ok(())
}

fn descriptors(agent: &Agent) -> Result<usize> {
    let pid = agent.pid().context("the agent runs")?;
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

#[test]
fn only_the_agents_user_may_open_the_socket() -> Result<()> {
    let agent = agent("mode")?;
    assert_eq!(fs::metadata(agent.place().socket())?.permissions().mode() & 0o777, 0o600);
    agent.stop()
}

#[test]
fn bytes_that_mean_nothing_end_their_connection_and_nothing_else() -> Result<()> {
    let agent = agent("bytes")?;
    let noise: Vec<u8> = (0..64_u32 << 10).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    // A frame that claims 16 MiB; one of a kind that does not exist on a stream that does not; text; a half greeting.
    let huge = [GREETING, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let odd = [GREETING, &[0, 0, 1, 0x77, 0xff, 0x7f, 0xff, 0xff, 0xff, 0]].concat();
    let bytes: [&[u8]; 6] =
        [&noise, &[0; 4096], &huge, &odd, b"GET / HTTP/1.1\r\nHost: weft\r\n\r\n", &GREETING[..10]];
    for bytes in bytes {
        let mut stream = connect(&agent)?;
        // It may be cut off before all is sent.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let late = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!ended.as_ref().is_err_and(late), "{:?}… is kept open", &bytes[..10]);
    }
    assert_lives(&agent)?;
    agent.stop()
}

#[tokio::test]
async fn a_message_without_measure_is_refused_and_the_connection_serves_on() -> Result<()> {
    let agent = agent("huge")?;
    let mut client = WeftClient::new(channel(agent.place().socket()).await?);
    for bytes in [1 << 20, 64 << 20] {
        let refused = client.profile(ProfileRequest { segment: "x".repeat(bytes) }).await;
        let code = refused.err().context("it was taken")?.code();
        assert_eq!(code, Code::OutOfRange);
    }
    assert_eq!(client.status(StatusRequest {}).await?.into_inner().segments[0].name, "cart");
    drop(client);
    assert_lives(&agent)?;
    let pid = agent.pid().context("the agent runs")?;
    assert!(peak_mib(pid)? < 256, "the message was kept in memory: {} MiB", peak_mib(pid)?);
    agent.stop()
}

/// The most memory that a process has had.
fn peak_mib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
}

#[tokio::test]
async fn a_call_that_does_not_exist_is_told_and_the_connection_serves_on() -> Result<()> {
    let agent = agent("unknown")?;
    let channel = channel(agent.place().socket()).await?;
    for path in ["/weft.v1.Weft/Nothing", "/other.Service/Status", "/"] {
        let elsewhere = tower::util::MapRequest::new(
            channel.clone(),
            move |mut request: tonic::codegen::http::Request<tonic::body::Body>| {
                *request.uri_mut() = format!("http://weft.invalid{path}").parse().expect("an address");
                request
            },
        );
        let refused = WeftClient::new(elsewhere).status(StatusRequest {}).await;
        assert_eq!(refused.err().with_context(|| path.to_owned())?.code(), Code::Unimplemented);
    }
    assert_eq!(WeftClient::new(channel).status(StatusRequest {}).await?.into_inner().segments.len(), 1);
    assert_lives(&agent)?;
    agent.stop()
}

#[test]
fn clients_that_say_nothing_are_let_go_and_hold_up_neither_the_others_nor_the_end() -> Result<()> {
    let mut agent = agent("silent")?;
    let before = descriptors(&agent)?;
    let silent = (0..300).map(|_| connect(&agent)).collect::<Result<Vec<_>>>()?;
    let mut halfway = connect(&agent)?;
    halfway.write_all(&GREETING[..5])?;
    assert_lives(&agent)?;
    assert!(descriptors(&agent)? < before + 290, "{} descriptors", descriptors(&agent)?);
    wait_for("the end of those that said nothing", Duration::from_secs(60), || {
        descriptors(&agent).is_ok_and(|count| count < before + 20)
    })?;
    drop((silent, halfway));
    let still = connect(&agent)?;
    agent.terminate()?;
    drop(still);
    agent.stop()
}
