//! Where the metrics are served: HTTP on a TCP port.
//!
//! Nothing else depends on it: a port that is taken is a warning, tried again, and a client that
//! is slow or does not go is cut off.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::render;
use crate::daemon::Command;

/// Clients served at once; the others wait.
const MAX_CLIENTS: usize = 8;
/// A client that takes longer is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before a port that was taken is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Pause after a client that could not be accepted, for want of descriptors above all.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";

/// Serves the metrics where the configuration says.
#[derive(Debug)]
pub struct Server {
    commands: mpsc::Sender<Command>,
    address: Option<SocketAddr>,
    task: Option<JoinHandle<()>>,
    problem: Problem,
}

/// Why nothing is served; shared with the task that serves.
type Problem = Arc<Mutex<Option<String>>>;

impl Server {
    /// Serves nothing yet; what is served is asked for through `commands`.
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands, address: None, task: None, problem: Problem::default() }
    }

    /// Serves here from now on, or nowhere. To be called from within the runtime.
    pub fn listen(&mut self, address: Option<SocketAddr>) {
        if self.address == address {
            return;
        }
        self.stop();
        self.address = address;
        if let Some(address) = address {
            let problem = Problem::default();
            self.problem = Arc::clone(&problem);
            self.task = Some(tokio::spawn(run(address, self.commands.clone(), problem)));
        }
    }

    /// What the operator should know.
    pub fn warning(&self) -> Option<String> {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, problem) = (self.address?, problem.as_ref()?);
        Some(format!("the metrics are not served on {address}: {problem}; trying again"))
    }

    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(address: SocketAddr, commands: mpsc::Sender<Command>, problem: Problem) {
    let tell = |said| *problem.lock().unwrap_or_else(PoisonError::into_inner) = said;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                tracing::debug!("cannot listen on {address}: {error}");
                tell(Some(error.to_string()));
                sleep(RETRY).await;
            }
        }
    };
    tell(None);
    tracing::info!("metrics are served on http://{address}/metrics");
    accept(&listener, &commands).await;
}

async fn accept(listener: &TcpListener, commands: &mpsc::Sender<Command>) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("cannot accept a client of the metrics: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        let commands = commands.clone();
        tokio::spawn(async move {
            // A client that is cut off asks again.
            let _ = timeout(PATIENCE, serve(stream, commands)).await;
            drop(place);
        });
    }
}

/// Answers one request.
async fn serve(stream: TcpStream, commands: mpsc::Sender<Command>) -> Result<(), hyper::Error> {
    let service = service_fn(|request: Request<Incoming>| {
        let commands = commands.clone();
        async move { Ok::<_, Infallible>(answer(&request, commands).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.keep_alive(false).serve_connection(TokioIo::new(stream), service).await
}

async fn answer(
    request: &Request<Incoming>,
    commands: mpsc::Sender<Command>,
) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return reply(StatusCode::NOT_FOUND, TEXT, "the metrics are at /metrics\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "use GET\n".to_owned());
        refusal.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match metrics(commands).await {
        Ok(text) => reply(StatusCode::OK, super::CONTENT_TYPE, text),
        Err(_) => {
            let text = "mainstay is stopping\n".to_owned();
            reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
    }
}

/// Asks the daemon once. The text is made on another thread: the daemon's has a guard to keep.
async fn metrics(commands: mpsc::Sender<Command>) -> io::Result<String> {
    let (reply, status) = oneshot::channel();
    commands.send(Command::Status(reply)).await.map_err(io::Error::other)?;
    let status = status.await.map_err(io::Error::other)?;
    Ok(tokio::task::spawn_blocking(move || render(status)).await?)
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
