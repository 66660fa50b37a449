//! What an operator may ask for.

use crate::core::{Core, Input, Order};
use crate::graph::{Graph, GraphError};
use crate::unit::Name;

/// Something that the operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// All units are to run.
    Up,
    /// All units are to stop, each after what depends on it. They stay so until they are started or the machine boots.
    Down,
    /// This one is to run.
    Start(Name),
    /// This one is to stop; what depends on it runs on.
    Stop(Name),
    /// This one is to stop and start again.
    Restart(Name),
    /// What is not as the specification asks for is to stop and start again: this one, or each, one after the other.
    Apply(Option<Name>),
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such unit.
    #[error("there is no unit {unit} on this node: name one of {known}")]
    NoUnit {
        /// What was asked for.
        unit: Name,
        /// What there is.
        known: String,
    },
    /// The unit is not ours to run.
    #[error("unit {0} is disabled: enable it in the configuration and reload")]
    Disabled(Name),
    /// The unit would stop, and not start again.
    #[error(
        "unit {unit} was left running: it could not start again, since it waits for {missing}; get that ready first, \
         or stop it with `mainstay unit stop {unit}`"
    )]
    WouldStayDown {
        /// The unit.
        unit: Name,
        /// What it waits for.
        missing: String,
    },
    /// The units are no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The unit's log cannot be read.
    #[error("{0}")]
    Logs(String),
    /// The supervisor has ended.
    #[error("the supervisor is not running: start mainstay, or see its journal for why it stopped")]
    Ended,
}

impl Command {
    /// Whether this makes units run; otherwise it stops them.
    pub(super) fn is_start(&self) -> bool {
        !matches!(self, Self::Down | Self::Stop(_))
    }

    /// Whom it is about.
    pub(super) fn scope(&self, graph: &Graph) -> Vec<Name> {
        match self {
            Self::Start(unit)
            | Self::Stop(unit)
            | Self::Restart(unit)
            | Self::Apply(Some(unit)) => {
                vec![unit.clone()]
            }
            Self::Up | Self::Down | Self::Apply(None) => {
                graph.specs().iter().map(|it| it.name.clone()).collect()
            }
        }
    }

    /// Refuses what would take a unit down for longer than was asked for.
    pub(super) fn check(&self, core: &Core) -> Result<(), CommandError> {
        let unit = match self {
            Self::Restart(unit) => unit,
            Self::Apply(Some(unit)) if core.is_drifted(unit) => unit,
            _ => return Ok(()),
        };
        let missing = core.missing(unit);
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<&str> = missing.iter().map(Name::as_str).collect();
        Err(CommandError::WouldStayDown { unit: unit.clone(), missing: missing.join(", ") })
    }

    /// What the core has to hear.
    pub(super) fn inputs(&self, graph: &Graph) -> Result<Vec<Input>, CommandError> {
        let one = |unit: &Name, order| {
            let spec = graph.specs().iter().find(|it| it.name == *unit);
            match spec {
                Some(spec) if spec.enabled => {
                    Ok(vec![Input::Command { unit: unit.clone(), order }])
                }
                Some(spec) => Err(CommandError::Disabled(spec.name.clone())),
                None => {
                    let names: Vec<&str> =
                        graph.specs().iter().map(|it| it.name.as_str()).collect();
                    Err(CommandError::NoUnit { unit: unit.clone(), known: names.join(", ") })
                }
            }
        };
        match self {
            Self::Up => Ok(vec![Input::Start]),
            Self::Down => Ok(vec![Input::Stop]),
            Self::Start(unit) => one(unit, Order::Start),
            Self::Stop(unit) => one(unit, Order::Stop),
            Self::Restart(unit) => one(unit, Order::Restart),
            Self::Apply(Some(unit)) => one(unit, Order::Apply),
            Self::Apply(None) => Ok(vec![Input::Apply]),
        }
    }
}
