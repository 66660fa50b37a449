//! etcd's own tools, run in a container of etcd's image.

use std::time::Duration;

use supervisor::backend::Pending;
use supervisor::backend::container::{BindMount, Container, ContainerSpec};
use supervisor::etcd::restore::{Call, Ran, Tools};

/// A large snapshot on a slow disk.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Runs them.
pub struct ImageTools {
    pub container: Container,
    pub image: String,
}

impl Tools for ImageTools {
    fn run<'a>(&'a self, program: &'a str, call: &'a Call) -> Pending<'a, Ran> {
        Box::pin(async move {
            let spec = ContainerSpec {
                image: self.image.clone(),
                entrypoint: Some(vec![program.to_owned()]),
                command: call.arguments.clone(),
                env: [("ETCDCTL_API".to_owned(), "3".to_owned())].into(),
                mounts: vec![
                    BindMount::same(&call.reads).read_only(),
                    BindMount::same(&call.writes),
                ],
                ..ContainerSpec::default()
            };
            match self.container.run_once(&spec, "tool", PATIENCE).await {
                Ok(output) if output.success => Ran::Well,
                Ok(output) => {
                    let last: Vec<&str> = output.text.lines().rev().take(5).collect();
                    let last: Vec<&str> = last.into_iter().rev().collect();
                    Ran::Failed(format!("{}: {}", output.reason, last.join("; ")))
                }
                Err(fault) if is_missing(&fault.reason) => Ran::NoSuchProgram,
                Err(fault) => Ran::Failed(fault.reason),
            }
        })
    }
}

/// What runc says of a program that the image does not have.
fn is_missing(reason: &str) -> bool {
    reason.contains("executable file not found") || reason.contains("no such file or directory")
}
