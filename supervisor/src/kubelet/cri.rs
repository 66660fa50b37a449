//! Whether a container runtime answers what kubelet will ask of it (CRI, `runtime.v1.RuntimeService`).

use std::path::Path;
use std::time::Duration;

use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was found at a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cri {
    /// A runtime that kubelet can use: its name and version.
    Answers(String),
    /// Somebody answers, but not to that: containerd with its CRI plugin disabled.
    Disabled,
    /// Nobody answers: why.
    Absent(String),
}

#[derive(Clone, PartialEq, Message)]
struct VersionRequest {
    #[prost(string, tag = "1")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct VersionResponse {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(string, tag = "2")]
    runtime_name: String,
    #[prost(string, tag = "3")]
    runtime_version: String,
    #[prost(string, tag = "4")]
    runtime_api_version: String,
}

/// Asks who listens at a unix socket.
pub async fn ask(socket: &Path) -> Cri {
    if let Err(error) = tokio::fs::metadata(socket).await {
        return Cri::Absent(error.to_string());
    }
    match timeout(PATIENCE, version(socket)).await {
        Ok(Ok(found)) => Cri::Answers(format!("{} {}", found.runtime_name, found.runtime_version)),
        Ok(Err(Failure::Status(status))) if status.code() == Code::Unimplemented => Cri::Disabled,
        Ok(Err(Failure::Status(status))) => Cri::Absent(status.message().to_owned()),
        Ok(Err(Failure::Transport(error))) => Cri::Absent(innermost(&error)),
        Err(_) => Cri::Absent(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

enum Failure {
    Status(tonic::Status),
    Transport(tonic::transport::Error),
}

async fn version(socket: &Path) -> Result<VersionResponse, Failure> {
    let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()));
    let channel = endpoint.map_err(Failure::Transport)?.connect().await;
    let mut client = Grpc::new(channel.map_err(Failure::Transport)?);
    client.ready().await.map_err(Failure::Transport)?;
    let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/Version");
    let request = Request::new(VersionRequest { version: "0.1.0".into() });
    let codec = ProstCodec::<VersionRequest, VersionResponse>::default();
    let answer = client.unary(request, path, codec).await;
    answer.map(tonic::Response::into_inner).map_err(Failure::Status)
}

/// The cause that says something: `Connection refused`, not `transport error`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_not_there_or_that_nobody_listens_at_is_absent() {
        assert!(matches!(ask(Path::new("/nonexistent/cri.sock")).await, Cri::Absent(_)));
        let path = std::env::temp_dir().join(format!("mainstay-cri-{}", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let found = ask(&path).await;
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(found, Cri::Absent(why) if why.contains("refused")));
    }
}
