//! An explanation: what `GET /v1/explain` answers and `explain -o json` prints.
//!
//! A contract: fields are added, never renamed or removed; the sentences may change.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vrrp::router::State;

use crate::events::CauseLink;
use crate::timestamp::Timestamp;

/// Why the addresses are where they are, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The node that explains.
    pub node: String,
    /// When.
    pub at: Timestamp,
    /// Each virtual router.
    pub virtual_routers: Vec<RouterExplanation>,
    /// What is wrong with the node itself.
    pub wrong: Vec<Finding>,
}

/// One virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterExplanation {
    /// Its name in the configuration.
    pub name: String,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// This node's state; `null` if it is not known.
    pub state: Option<State>,
    /// Who has the addresses, as far as this node knows.
    pub holder: Option<Holder>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether `since` is when it got them, rather than when this node learned of it.
    pub is_since_exact: bool,
    /// Where the addresses are, in a sentence without `since`.
    pub place: String,
    /// Why they are there, in sentences.
    pub why: Vec<String>,
    /// How they came there; absent if this node has seen no move.
    pub last_move: Option<Move>,
    /// What would move them, and what would not, in sentences.
    pub would_move: Vec<String>,
    /// What is wrong now.
    pub wrong: Vec<Finding>,
}

/// Who has the addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The node's name, if the configuration tells.
    pub node: Option<String>,
    /// The address that it advertises from.
    pub address: Option<IpAddr>,
    /// What it advertises.
    pub priority: Option<u8>,
}

/// A move of the addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// When.
    pub at: Timestamp,
    /// From which node; absent if nobody had them, or it is not known who.
    pub from: Option<String>,
    /// To which node; absent if it is not known who has them since.
    pub to: Option<String>,
    /// Why, the nearest cause first.
    pub causes: Vec<CauseLink>,
    /// Where more is known.
    pub hint: Option<String>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    /// Something that is wrong, and what to do.
    pub fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: Some(help.into()) }
    }

    /// Something whose text says what to do.
    pub fn said(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None }
    }
}
