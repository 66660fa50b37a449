//! Talking to the daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::api::Refusal;
use crate::exit::{Exit, Failure};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// No longer answer is taken.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Where the daemon answers.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the daemon that listens at `socket`.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The answer to `GET path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.fetch(Method::GET, path, Exit::Failed).await
    }

    /// The answer to `POST path`; a refusal ends the program with `refused`.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, refused: Exit) -> Result<T, Failure> {
        self.fetch(Method::POST, path, refused).await
    }

    /// The lines of the answer to `GET path`, as they come.
    pub async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        let response = self.request(Method::GET, path, None, Exit::Failed).await?;
        Ok(Lines { body: response.into_body(), rest: Vec::new() })
    }

    /// The lines of the answer to `POST path` with a JSON document, as they come; a refusal ends the
    /// program with `refused`.
    pub async fn post_lines(
        &self,
        path: &str,
        document: &impl Serialize,
        refused: Exit,
    ) -> Result<Lines, Failure> {
        let body = serde_json::to_vec(document).context("cannot ask the daemon")?;
        let response = self.request(Method::POST, path, Some(body), refused).await?;
        Ok(Lines { body: response.into_body(), rest: Vec::new() })
    }

    /// The answer to `GET path`, byte for byte as it comes.
    pub async fn bytes(&self, path: &str) -> Result<Pieces, Failure> {
        let response = self.request(Method::GET, path, None, Exit::Failed).await?;
        Ok(Pieces { body: response.into_body() })
    }

    async fn fetch<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        refused: Exit,
    ) -> Result<T, Failure> {
        let answer = async {
            let response = self.request(method, path, None, refused).await?;
            let body = read(response.into_body()).await?;
            Ok(serde_json::from_slice(&body).context("the daemon's answer is not understood")?)
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(self.silent()))
    }

    /// Sends a request, with a JSON document if there is one, and waits for the head of its answer.
    async fn request(
        &self,
        method: Method,
        path: &str,
        document: Option<Vec<u8>>,
        refused: Exit,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| not_connected(&self.socket, &error))?;
        let answer = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let request = Request::builder().method(method).uri(path).header("host", "mainstay");
            let request = match &document {
                Some(_) => request.header("content-type", "application/json"),
                None => request,
            };
            let request = request.body(Full::new(Bytes::from(document.unwrap_or_default())))?;
            anyhow::Ok(sender.send_request(request).await?)
        };
        let response = timeout(PATIENCE, answer)
            .await
            .map_err(|_| self.silent())?
            .context("the daemon broke off the conversation")?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refusal(response, refused).await)
        }
    }

    /// The daemon does not answer.
    pub fn silent(&self) -> Failure {
        let socket = self.socket.display();
        Failure::new(
            Exit::Failed,
            format!("mainstay does not answer on {socket}: it is frozen or overloaded"),
        )
    }
}

/// A text as a URL's query may have it.
pub fn encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~,:".contains(&byte);
    let encode = |byte: u8| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}

/// Bytes that come one after the other.
pub struct Pieces {
    body: Incoming,
}

impl Pieces {
    /// The next ones; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

fn broken(error: &hyper::Error) -> Failure {
    let failure = format!("the daemon broke off the conversation: {error}");
    Failure::new(Exit::Failed, failure)
}

/// Lines that come one after the other.
pub struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// The next line that is not empty; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn not_connected(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::new(
            Exit::NotRunning,
            format!(
                "mainstay is not running (no answer on {socket}): start it with `systemctl start \
                 mainstay`, or `mainstay run`"
            ),
        ),
        io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::Failed, format!("may not connect to {socket}: use sudo"))
        }
        _ => Failure::new(Exit::Failed, format!("cannot connect to {socket}: {error}")),
    }
}

async fn refusal(response: Response<Incoming>, refused: Exit) -> Failure {
    let status = response.status();
    let said = read(response.into_body()).await.ok();
    let said = said.and_then(|body| serde_json::from_slice::<Refusal>(&body).ok());
    let error = said.map_or_else(|| format!("the daemon answers {status}"), |said| said.error);
    let exit = match status {
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => refused,
        StatusCode::SERVICE_UNAVAILABLE => Exit::NotRunning,
        _ => Exit::Failed,
    };
    Failure::new(exit, error)
}

async fn read(mut body: Incoming) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("the daemon broke off the conversation")?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > MAX_ANSWER {
            return Err(anyhow!("the daemon's answer is too long"));
        }
    }
    Ok(bytes)
}

/// Runs a command that talks to the daemon.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_may_have_any_text() {
        assert_eq!(encode("api-1,web"), "api-1,web");
        assert_eq!(encode("a&b=c d/ä"), "a%26b%3Dc%20d%2F%C3%A4");
    }
}
