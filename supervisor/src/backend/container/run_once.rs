//! A command in a container that is waited for: a tool that comes in an image.

use std::time::Duration;

use super::{Container, ContainerSpec, request};
use crate::backend::Fault;

/// What a command that was run in a container left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whether it ended with code 0.
    pub success: bool,
    /// How it ended, in words.
    pub reason: String,
    /// What it wrote, to both outputs; the last 200 lines.
    pub text: String,
}

impl Container {
    /// Runs `spec` in a container of its own beside the unit's, waits for its end and removes it. For tools that come in the
    /// unit's image, such as `etcdutl snapshot restore`.
    ///
    /// # Errors
    /// As for [`start`](Self::start), or if it has not ended after `limit`: it is killed then.
    pub async fn run_once(
        &self,
        spec: &ContainerSpec,
        purpose: &str,
        limit: Duration,
    ) -> Result<Output, Fault> {
        let mut tool = self.clone();
        tool.labels.unit = format!("{}-{purpose}", self.labels.unit);
        // Of an earlier mainstay that did not see its end.
        tool.remove().await?;
        let image_id = tool.image(spec).await?;
        let labels = request::labels(&tool.labels, spec, &[]);
        let id = tool.create_from(request::body(spec, labels, &[]), &tool.name()).await?;
        let run = async {
            tool.set_off(&id, spec, &image_id).await?;
            let ended = tokio::time::timeout(limit, tool.ended(&id)).await.map_err(|_| {
                Fault::passing(format!("{purpose} has not ended after {} s", limit.as_secs()))
            })?;
            let text = tool.last_lines(&id, 200).await?;
            Ok(Output { success: ended.success, reason: ended.reason, text })
        };
        let result = run.await;
        tool.remove_container(&id).await?;
        result
    }
}
