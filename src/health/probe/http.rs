//! An answer over HTTP, with or without TLS. Each probe is a new connection, as a client's would
//! be; the last one that passed stays open until the next, so that its end is heard.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;

use super::Progress;
use super::connect::{Connector, is_hang_up};
use super::held::{Held, Task};
use super::owner::Ends;
use super::tls::{self, TlsFiles};
use crate::config::{Tls, Url};
use crate::health::sample::{Outcome, Sample};
use crate::health::status::micros;

/// Of an answer, so many bytes are read.
const MAX_BODY: usize = 64 * 1024;
/// And so many bytes of headers.
const MAX_HEAD: usize = 32 * 1024;
/// Of an answer that is not as it should be, so many characters are told.
const MAX_TOLD: usize = 200;

pub struct Web {
    client: Client,
    held: Held<Sender>,
}

/// Who asks, each time on a new connection.
struct Client {
    connector: Connector,
    tls: Option<TlsFiles>,
    authority: String,
    path: String,
}

/// A connection on which there was a good answer, and which the server wants to keep.
struct Connection {
    ends: Option<Ends>,
    task: Task,
    sender: Sender,
}

type Sender = SendRequest<Empty<Bytes>>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Web {
    pub fn new(url: &Url, tls: Option<&Tls>) -> Self {
        let client = Client {
            connector: Connector::new(&url.endpoint),
            tls: tls.map(TlsFiles::new),
            authority: url.endpoint.to_string(),
            path: url.path.clone(),
        };
        Self { client, held: Held::default() }
    }

    pub async fn alarm(&mut self) {
        self.held.end().await;
    }

    #[cfg(test)]
    pub fn watched(&self) -> Option<i32> {
        self.held.watched()
    }

    pub async fn attempt(
        &mut self,
        progress: &mut Progress,
        limit: Duration,
    ) -> Result<Sample, Sample> {
        let (sample, connection) = tokio::select! {
            biased;
            words = self.held.death() => return Err(Sample::refused(words)),
            answer = self.client.ask(progress, limit) => answer?,
        };
        if let Some(Connection { ends, task, sender }) = connection {
            self.held.hold(ends, task, sender);
        }
        Ok(sample)
    }
}

impl Client {
    async fn ask(
        &mut self,
        progress: &mut Progress,
        limit: Duration,
    ) -> Result<(Sample, Option<Connection>), Sample> {
        let connected = self.connector.connect(progress, limit).await?;
        let ends = Ends::of(&connected.stream);
        let (stream, tls_warning) = self.secure(connected.stream, progress).await?;
        let start = progress.enter("it accepted the connection, but did not answer");
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| no_answer(&error))?;
        let task = Task::spawn(async move { drop(connection.await) });
        let request = self.request()?;
        let response = sender.send_request(request).await.map_err(|error| no_answer(&error))?;
        progress.enter("it began to answer, but did not come to an end");
        let (head, body) = response.into_parts();
        let (body, is_whole) = read(body).await.map_err(|error| no_answer(&error))?;
        progress.latency.answer_us = Some(micros(start.elapsed()));
        let response = Response::from_parts(head, body);
        let mut sample = judge(&response, &self.path)?;
        sample.warning = sample.warning.or(tls_warning).or(connected.warning);
        let is_kept = is_whole && sender.ready().await.is_ok();
        Ok((sample, is_kept.then_some(Connection { ends, task, sender })))
    }

    /// Agrees on TLS, where it is wanted.
    async fn secure(
        &mut self,
        stream: TcpStream,
        progress: &mut Progress,
    ) -> Result<(Box<dyn Stream>, Option<String>), Sample> {
        let Some(tls) = &mut self.tls else { return Ok((Box::new(stream), None)) };
        progress.enter("the files of certificates could not be read");
        let (config, warning) = tls.config().await?;
        let start = progress.enter("it accepted the connection, but did not agree on TLS");
        let connector = TlsConnector::from(Arc::clone(&config));
        let stream = connector
            .connect(tls.server_name(), stream)
            .await
            .map_err(|error| tls::no_agreement(&error, tls))?;
        progress.latency.tls_us = Some(micros(start.elapsed()));
        Ok((Box::new(stream), warning))
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, Sample> {
        Request::get(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::USER_AGENT, concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*")
            .body(Empty::new())
            .map_err(|error| Sample::fail(format!("the URL cannot be asked for: {error}")))
    }
}

/// The body, as far as it matters, and whether that is all.
async fn read(mut body: Incoming) -> Result<(Vec<u8>, bool), hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = MAX_BODY - bytes.len();
        if data.len() > room {
            bytes.extend_from_slice(&data[..room]);
            return Ok((bytes, false));
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, true))
}

/// What an answer means.
fn judge(response: &Response<Vec<u8>>, path: &str) -> Result<Sample, Sample> {
    let status = response.status();
    let words = format!("HTTP {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(Sample::pass(words)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Sample {
            warning: Some(format!(
                "{words}: it is alive, but does not let us ask for {path}; give the check a client \
                 certificate (cert, key), or let anybody ask"
            )),
            ..Sample::pass(words)
        }),
        status if status.is_redirection() => {
            let to = response.headers().get(header::LOCATION);
            let to = to.map(|to| told(to.as_bytes())).unwrap_or_default();
            Err(Sample::fail(format!("{words}: redirects are not followed: {to}")))
        }
        _ => match told(response.body()) {
            body if body.is_empty() => Err(Sample::fail(words)),
            body => Err(Sample::fail(format!("{words}: {body}"))),
        },
    }
}

/// What is told of a body: the parts that the API server says have failed (`[-]etcd failed`), or
/// its beginning.
fn told(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut failed = lines().filter_map(|line| line.strip_prefix("[-]")).peekable();
    let all = match failed.peek() {
        Some(_) => failed.collect::<Vec<_>>(),
        None => lines().collect(),
    };
    crate::health::words::shown(&all.join("; "), MAX_TOLD)
}

/// Why there is no answer.
fn no_answer(error: &hyper::Error) -> Sample {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            if let Some(alert) = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>()) {
                return Sample::fail(tls::in_words(alert));
            }
            if is_hang_up(error) {
                return hung_up();
            }
        }
        source = cause.source();
    }
    if error.is_parse() {
        return Sample::fail("it does not answer in HTTP");
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return hung_up();
    }
    Sample::fail(format!("no answer in HTTP: {error}"))
}

fn hung_up() -> Sample {
    Sample::new(Outcome::Broken, "it hung up without a whole answer")
}
