//! What a container wrote.

use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::Container;
use crate::backend::{Fault, Logs};

/// So many pieces wait for a slow reader before dockerd does.
const PIECES: usize = 16;

impl Container {
    /// What it wrote to both outputs, from its last `lines` lines on; with `follow` until it ends. An error of dockerd's
    /// ends it.
    ///
    /// # Errors
    /// If dockerd does not answer or there is no container.
    pub async fn logs(&self, lines: usize, follow: bool) -> Result<Logs, Fault> {
        let Some(found) = self.find(None).await? else {
            return Err(Fault::passing(format!("there is no container {}", self.name())));
        };
        let docker = self.client.docker().await;
        let docker = docker.map_err(|error| error.while_doing(READING))?;
        let (pieces, logs) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            let mut output = std::pin::pin!(docker.logs(&found.id, Some(options(lines, follow))));
            loop {
                let piece = tokio::select! {
                    piece = output.next() => piece,
                    // Nobody reads any more.
                    () = pieces.closed() => return,
                };
                let Some(Ok(piece)) = piece else { return };
                if pieces.send(piece.into_bytes().to_vec()).await.is_err() {
                    return;
                }
            }
        });
        Ok(logs)
    }

    /// The last lines that a container wrote.
    ///
    /// # Errors
    /// If dockerd does not answer or the container is gone.
    pub async fn last_lines(&self, id: &str, lines: usize) -> Result<String, Fault> {
        let options = options(lines, false);
        let pieces = self.client.ask(async |docker| {
            let pieces = docker.logs(id, Some(options));
            pieces.map_ok(|piece| piece.into_bytes().to_vec()).try_collect::<Vec<_>>().await
        });
        let pieces = pieces.await.map_err(|error| error.while_doing(READING))?;
        Ok(String::from_utf8_lossy(&pieces.concat()).into_owned())
    }
}

const READING: &str = "cannot read the container's output";

fn options(lines: usize, follow: bool) -> LogsOptions {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true);
    options.follow(follow).tail(&lines.to_string()).build()
}
