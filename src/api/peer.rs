//! Who is asking.

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

/// The user on the other end of a connection, as the kernel says; `None` if it does not.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    uid: Option<u32>,
}

impl Peer {
    /// The user, for people.
    pub fn name(self) -> String {
        self.uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("user {uid}"))
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

/// Lets root and the daemon's own user pass.
pub async fn authorize(
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if is_allowed(peer.uid, rustix::process::geteuid().as_raw()) {
        return next.run(request).await;
    }
    tracing::warn!("refused a request of user {:?}", peer.uid);
    let error = "only root and the user that mainstay runs as may ask: use sudo";
    super::refuse(StatusCode::FORBIDDEN, error.to_owned())
}

fn is_allowed(peer: Option<u32>, own: u32) -> bool {
    peer.is_some_and(|uid| uid == 0 || uid == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_own_user_are_allowed_and_nobody_else() {
        assert!(is_allowed(Some(0), 107));
        assert!(is_allowed(Some(107), 107));
        assert!(!is_allowed(Some(1000), 107));
        assert!(!is_allowed(None, 107));
    }
}
