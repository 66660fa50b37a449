//! The supervisor at work: a thread of its own that carries out what the core asks for.

mod command;
mod handle;
mod progress;
mod routine;
mod snapshot;
mod tasks;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use command::{Command, CommandError};
pub use handle::{Event, Events, Handle, Happening};
pub use progress::{Outcome, Progress, Update};
pub use snapshot::{Snapshot, UnitStatus};

use crate::backend::Backend;
use crate::graph::{Graph, GraphError};
use crate::unit::{Name, Spec};
use routine::Routine;

/// The units of a node and what carries each of them out.
pub type Units = Vec<(Spec, Arc<dyn Backend>)>;

/// Why the supervisor cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The units are no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// There is no thread or no descriptor left, or `/proc` cannot be read.
    #[error("the supervisor cannot start: {0}")]
    System(#[from] io::Error),
}

/// Brings up units and keeps them up.
#[derive(Debug)]
pub struct Supervisor;

impl Supervisor {
    /// Adopts what runs already and starts the rest, but for what the operator has stopped since the machine booted.
    /// What is known of units is kept in `state_dir`, which must exist.
    ///
    /// When the last handle is dropped the supervisor ends; what it started runs on.
    ///
    /// # Errors
    /// If the units are no graph, or there is no thread or no descriptor left.
    pub fn start(units: Units, state_dir: &Path) -> Result<(Handle, Events), StartError> {
        let (graph, backends) = plan(units)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("supervisor-slow")
            .build()?;
        let (requests, incoming) = mpsc::unbounded_channel();
        let (tell, events) = mpsc::unbounded_channel();
        let routine = Routine::new(graph, backends, state_dir, tell)?;
        let snapshot = routine.snapshots();
        std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || {
            runtime.block_on(routine.run(incoming));
            // Calls that hang are left behind.
            runtime.shutdown_background();
        })?;
        Ok((Handle::new(requests, snapshot), events))
    }
}

type Backends = BTreeMap<Name, Arc<dyn Backend>>;

fn plan(units: Units) -> Result<(Graph, Backends), GraphError> {
    let graph = Graph::new(units.iter().map(|(spec, _)| spec.clone()).collect())?;
    Ok((graph, units.into_iter().map(|(spec, backend)| (spec.name, backend)).collect()))
}
