//! The Docker Engine API on a unix socket.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::{ClientVersion, Docker};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use tokio::sync::Mutex;

use super::Error;
use super::info::Info;

/// Where dockerd listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/docker.sock";

/// What is asked of an ordinary request, in seconds. Creating a container takes tens of milliseconds; on a slow disk seconds.
const TIMEOUT: u64 = 60;
/// What is asked of a question that dockerd can answer at once.
const SHORT: Duration = Duration::from_secs(3);

/// The API of docker 20.10: what mainstay speaks, so that every later docker answers alike.
const SPOKEN: Api = Api(1, 41);

/// A version of the Engine API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Api(usize, usize);

impl Api {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// A client of one dockerd. Cheap to clone; connects with each request, so dockerd may come and go.
#[derive(Clone, Debug)]
pub struct Client {
    socket: Arc<Path>,
    /// With the version agreed on; forgotten when dockerd goes away, since another version may come back.
    agreed: Arc<Mutex<Option<Docker>>>,
}

impl Client {
    /// A client of the dockerd that listens on `socket`, now or later.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into().into(), agreed: Arc::default() }
    }

    /// Where dockerd listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether dockerd answers, within three seconds.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.ask_shortly(async |docker| docker.ping().await.map(drop)).await
    }

    /// What dockerd says of itself, within three seconds.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn info(&self) -> Result<Info, Error> {
        self.ask_shortly(async |docker| docker.info().await).await.map(Info::from)
    }

    async fn ask_shortly<T>(
        &self,
        ask: impl AsyncFnOnce(&Docker) -> Result<T, bollard::errors::Error>,
    ) -> Result<T, Error> {
        let answer = tokio::time::timeout(SHORT, self.ask(ask)).await;
        answer.unwrap_or_else(|_| Err(Error::Silent { socket: self.socket.to_path_buf() }))
    }

    /// Asks dockerd something.
    pub(crate) async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(&Docker) -> Result<T, bollard::errors::Error>,
    ) -> Result<T, Error> {
        let docker = self.docker().await?;
        let answer = ask(&docker).await;
        self.judge(answer).await
    }

    /// The same, where the answer may take `longer` than that of an ordinary request.
    pub(crate) async fn ask_patiently<T>(
        &self,
        longer: Duration,
        ask: impl AsyncFnOnce(&Docker) -> Result<T, bollard::errors::Error>,
    ) -> Result<T, Error> {
        let timeout = longer.saturating_add(Duration::from_secs(TIMEOUT));
        let docker = self.docker().await?.with_timeout(timeout);
        let answer = ask(&docker).await;
        self.judge(answer).await
    }

    /// bollard's client, with the version agreed on.
    pub(crate) async fn docker(&self) -> Result<Docker, Error> {
        let mut agreed = self.agreed.lock().await;
        if let Some(docker) = &*agreed {
            return Ok(docker.clone());
        }
        let docker = agree(&self.socket).await?;
        *agreed = Some(docker.clone());
        Ok(docker)
    }

    async fn judge<T>(&self, answer: Result<T, bollard::errors::Error>) -> Result<T, Error> {
        let answer = answer.map_err(|error| Error::from_bollard(&self.socket, error));
        if answer.as_ref().is_err_and(Error::is_away) {
            *self.agreed.lock().await = None;
        }
        answer
    }
}

/// Asks for the versions and settles on 20.10's, or on the oldest that dockerd still speaks.
async fn agree(socket: &Path) -> Result<Docker, Error> {
    let error = |error| Error::from_bollard(socket, error);
    let path = socket.to_string_lossy();
    let version = ClientVersion { major_version: SPOKEN.0, minor_version: SPOKEN.1 };
    let docker = Docker::connect_with_unix(&path, TIMEOUT, &version).map_err(error)?;
    let asked = within(socket, docker.version()).await?.map_err(error)?;
    let api = asked.api_version.as_deref().and_then(Api::parse);
    let api = api.ok_or_else(|| Error::Odd("it names no version of its API".to_owned()))?;
    if api < SPOKEN {
        let version = asked.version.unwrap_or_default();
        return Err(Error::TooOld { version, api: format!("{}.{}", api.0, api.1) });
    }
    let oldest = asked.min_api_version.as_deref().and_then(Api::parse).unwrap_or(SPOKEN);
    let spoken = SPOKEN.max(oldest);
    // bollard itself leaves the version out, and so would take whatever dockerd's newest is.
    Ok(docker.with_request_modifier(move |mut request: Request<_>| {
        if let Some(uri) = versioned(request.uri(), spoken) {
            *request.uri_mut() = uri;
        }
        request
    }))
}

async fn within<T>(socket: &Path, answer: impl Future<Output = T>) -> Result<T, Error> {
    let answer = tokio::time::timeout(SHORT, answer).await;
    answer.map_err(|_| Error::Silent { socket: socket.to_owned() })
}

/// The same, for a version of the API.
fn versioned(uri: &Uri, version: Api) -> Option<Uri> {
    let asked = uri.path_and_query()?.as_str();
    let mut parts = uri.clone().into_parts();
    let path = format!("/v{}.{}{asked}", version.0, version.1);
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(Api::parse("1.9").unwrap() < SPOKEN);
        assert!(Api::parse("1.100").unwrap() > SPOKEN);
        assert_eq!(Api::parse("1.41").unwrap(), SPOKEN);
        assert_eq!(Api::parse("new"), None);
    }

    #[test]
    fn a_request_names_the_version_that_was_agreed_on() {
        let uri: Uri = "unix://2f72/containers/json?all=true".parse().unwrap();
        let uri = versioned(&uri, Api(1, 44)).unwrap();
        assert_eq!(uri.path_and_query().unwrap(), "/v1.44/containers/json?all=true");
        assert_eq!(uri.host(), Some("2f72"));
    }
}
