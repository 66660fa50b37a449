//! Whether a unit does its work: one question over loopback or a unix socket.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::backend::Readiness;

/// An answer that takes longer is none.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Of an answer's body so many bytes are read.
const MOST_READ: usize = 64 * 1024;
/// Of an answer's body so many characters are told.
const MOST_TOLD: usize = 200;

/// How to ask whether a unit does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It does when it runs.
    Runs,
    /// It does when somebody listens there.
    Connect(Place),
    /// It does when it answers a GET with a status from 200 to 299.
    Http {
        /// Who is asked.
        place: Place,
        /// For what, such as `/healthz`.
        path: String,
    },
    /// It does when this file is there.
    File(PathBuf),
}

/// Where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Probe {
    /// Asks once; takes [`PATIENCE`] at most.
    pub async fn ask(&self) -> Readiness {
        match timeout(PATIENCE, self.attempt()).await {
            Ok(Ok(())) => Readiness::Ready,
            Ok(Err(reason)) => Readiness::NotReady(reason),
            Err(_) => Readiness::NotReady(format!("{self} did not answer within {PATIENCE:?}")),
        }
    }

    async fn attempt(&self) -> Result<(), String> {
        let failed = |error: io::Error| format!("{self}: {error}");
        match self {
            Self::Runs => Ok(()),
            Self::File(path) => {
                tokio::fs::metadata(path).await.map_err(failed)?;
                Ok(())
            }
            Self::Connect(Place::Tcp(address)) => {
                TcpStream::connect(address).await.map_err(failed)?;
                Ok(())
            }
            Self::Connect(Place::Unix(path)) => {
                UnixStream::connect(path).await.map_err(failed)?;
                Ok(())
            }
            Self::Http { place: Place::Tcp(address), path } => {
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                get(stream, &address.to_string(), path).await.map_err(|it| format!("{self}: {it}"))
            }
            Self::Http { place: Place::Unix(socket), path } => {
                let stream = UnixStream::connect(socket).await.map_err(failed)?;
                get(stream, "localhost", path).await.map_err(|it| format!("{self}: {it}"))
            }
        }
    }
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Runs => f.write_str("running"),
            Self::Connect(place) => place.fmt(f),
            Self::Http { place: Place::Tcp(address), path } => write!(f, "http://{address}{path}"),
            Self::Http { place: Place::Unix(socket), path } => {
                write!(f, "{path} at {}", socket.display())
            }
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Asks for `path`; `Err` says what was answered instead of a success.
async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    path: &str,
) -> Result<(), String> {
    let words = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let request = Request::get(path)
        .header(hyper::header::HOST, host)
        .header(hyper::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(words)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), MOST_READ).collect().await;
        Err(refusal(status, &body.map(|it| it.to_bytes()).unwrap_or_default()))
    };
    tokio::select! {
        done = exchange => done,
        // The connection carries the exchange; it goes on while that is waited for.
        Err(error) = connection => Err(error.to_string()),
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let told: String = text.trim().chars().filter(|it| !it.is_control()).take(MOST_TOLD).collect();
    if told.is_empty() { status.to_string() } else { format!("{status}: {told}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request so; nothing at all if there is no answer.
    async fn serve(answer: Option<&'static str>) -> Probe {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => std::future::pending().await,
            }
        });
        Probe::Http { place: Place::Tcp(address), path: "/healthz".to_owned() }
    }

    fn reason(readiness: Readiness) -> String {
        match readiness {
            Readiness::Ready => panic!("it is ready"),
            Readiness::NotReady(reason) => reason,
        }
    }

    #[tokio::test]
    async fn a_success_is_ready_and_anything_else_is_told() {
        let probe = serve(Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).await;
        assert_eq!(probe.ask().await, Readiness::Ready);
        // The listener is gone.
        assert!(reason(probe.ask().await).contains("refused"));
        let answer = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 8\r\n\r\nno node\n";
        let probe = serve(Some(answer)).await;
        assert!(reason(probe.ask().await).ends_with("500 Internal Server Error: no node"));
    }

    #[tokio::test]
    async fn an_answer_that_ends_early_is_none() {
        let probe = serve(Some("HTTP/1.1 200")).await;
        reason(probe.ask().await);
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_within_the_patience_is_not_ready() {
        let probe = serve(None).await;
        assert!(reason(probe.ask().await).ends_with("did not answer within 2s"));
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_ready() {
        let missing = PathBuf::from("/nonexistent/docker.sock");
        for probe in [
            Probe::File(missing.clone()),
            Probe::Connect(Place::Unix(missing.clone())),
            Probe::Http { place: Place::Unix(missing), path: "/_ping".to_owned() },
        ] {
            assert!(reason(probe.ask().await).contains("No such file"), "{probe}");
        }
        assert_eq!(Probe::File(PathBuf::from("/proc")).ask().await, Readiness::Ready);
        assert_eq!(Probe::Runs.ask().await, Readiness::Ready);
    }
}
