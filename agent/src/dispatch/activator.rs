//! The activator of one segment: accepts, asks the weaver for an instance, joins the two connections. It reads no
//! byte of the request before there is an instance, and keeps none.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::kernel::{MARK, OwnConnections};
use crate::learn::{self, Arrival};
use crate::weave::driver::Message;
use crate::weave::{Admission, Refusal};
use crate::{clock::Clock, metrics};

/// Connections that are held or joined at a time, over all segments.
pub const HELD_MAX: usize = 8192;
/// Instances that a connection is offered before it is sent away.
const TRIES: u32 = 3;
/// How long an instance that listens may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// Pauses before an instance that refuses is dialled again: a program may close its listener and open it anew.
const REFUSED_MS: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// How much of a request that is sent away is read, so that the answer is not lost to a reset.
const DISCARD_MAX: usize = 64 << 10;
const DISCARD: Duration = Duration::from_secs(2);
/// Bytes that are copied at a time, each way.
const COPY: usize = 16 << 10;

/// What an activator needs.
#[derive(Clone)]
pub struct Activator {
    /// Index of its segment.
    pub segment: usize,
    /// Its name, for answers.
    pub name: Arc<str>,
    /// The weaver.
    pub weave: mpsc::Sender<Message>,
    /// Where the outcome goes.
    pub learn: mpsc::Sender<learn::Message>,
    /// Where the activator names its connections to instances as the agent's own.
    pub own: OwnConnections,
    /// Places for connections, shared by all activators.
    pub places: Arc<Semaphore>,
    /// The time.
    pub clock: Clock,
}

/// Opens a listener on the bridge's address, at a port of the kernel's choice.
///
/// # Errors
/// What the system says.
pub fn listen(address: IpAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(address, 0))?;
    socket.listen(4096)
}

impl Activator {
    /// Serves until the listener fails for good or the task is ended.
    pub async fn run(self, listener: TcpListener) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, from)) => {
                    let activator = self.clone();
                    tokio::spawn(async move {
                        activator.serve(stream, from).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, segment = %self.name, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn serve(&self, mut caller: TcpStream, from: SocketAddr) {
        let began = Instant::now();
        let _ = caller.set_nodelay(true);
        let (admission, mut instance) = match self.instance(&caller).await {
            Ok(found) => found,
            Err(refusal) => {
                self.report(Arrival { segment: self.segment, from, admission: None, waited_ms: ms(began) });
                return self.send_away(caller, &refusal).await;
            }
        };
        let waited_ms = ms(began);
        metrics::held(&self.name, began.elapsed());
        self.report(Arrival { segment: self.segment, from, admission: Some(admission), waited_ms });
        // Both ends report their own errors to their peers by closing; there is nothing to add to that here.
        let _ = tokio::io::copy_bidirectional_with_sizes(&mut caller, &mut instance, COPY, COPY).await;
    }

    /// An instance and a connection to it. Nothing was sent yet, so one that died on the way is no loss.
    async fn instance(&self, caller: &TcpStream) -> Result<(Admission, TcpStream), Refusal> {
        let mut cause = String::from("the agent is shutting down");
        for _ in 0..TRIES {
            let (reply, answer) = oneshot::channel();
            let demand = Message::Demand { segment: self.segment, reply };
            if self.weave.send(demand).await.is_err() {
                break;
            }
            let admission = tokio::select! {
                answer = answer => match answer {
                    Ok(answer) => answer?,
                    Err(_) => break,
                },
                () = gone(caller) => return Err(Refusal { cause: "the caller hung up".into(), retry_after_ms: 0 }),
            };
            match self.connect(admission.address).await {
                Ok(instance) => return Ok((admission, instance)),
                Err(error) => cause = format!("instance {} does not accept: {error}", admission.address),
            }
        }
        Err(Refusal { cause, retry_after_ms: 1000 })
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        for pause_ms in REFUSED_MS {
            match self.dial(address).await {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                outcome => return outcome,
            }
        }
        self.dial(address).await
    }

    async fn dial(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        // The mark exempts the agent's own connection from its own redirects.
        socket2::SockRef::from(&socket).set_mark(MARK)?;
        let stream = tokio::time::timeout(CONNECT, socket.connect(address)).await??;
        stream.set_nodelay(true)?;
        if let Err(error) = self.own.add(stream.local_addr()?, address) {
            tracing::warn!(%error, segment = %self.name, "a held request is counted twice");
        }
        Ok(stream)
    }

    async fn send_away(&self, mut caller: TcpStream, refusal: &Refusal) {
        let seconds = refusal.retry_after_ms.div_ceil(1000).max(1);
        let body = format!("weft: no instance of segment {}: {}\n", self.name, refusal.cause);
        let head = format!(
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {seconds}\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let answer = async {
            caller.write_all(head.as_bytes()).await?;
            caller.write_all(body.as_bytes()).await?;
            caller.shutdown().await?;
            let mut discard = [0; 4096];
            let mut read = 0;
            while read < DISCARD_MAX {
                match caller.read(&mut discard).await? {
                    0 => break,
                    count => read += count,
                }
            }
            std::io::Result::Ok(())
        };
        // A caller that has hung up does not hear it; that is its own choice.
        let _ = tokio::time::timeout(DISCARD, answer).await;
    }

    fn report(&self, arrival: Arrival) {
        let at_ms = self.clock.exact_ms();
        if self.learn.try_send(learn::Message::Arrived(arrival, at_ms)).is_err() {
            metrics::dropped("learn");
        }
    }
}

/// Resolves when the caller has closed without having sent anything; a half-closed caller still waits for its answer.
async fn gone(caller: &TcpStream) {
    let mut first = [0; 1];
    match caller.peek(&mut first).await {
        Err(_) | Ok(0) => {}
        // It has sent something and waits.
        Ok(_) => std::future::pending().await,
    }
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}
