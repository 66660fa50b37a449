//! etcd: one member of a mesh over the masters, and what an operator does with the mesh.
//!
//! Pure: [`decision`] whether and how a member may start, [`guard`] what the mesh survives, [`health`] what a member's state
//! means for the VIP, `wal` what a data directory says of itself, [`schedule`]. Around them: [`rpc`] speaks to members,
//! [`Mesh`] does what is asked for, with a [`Progress`] to tell it by, [`Member`] is the local one.

pub mod alarms;
pub mod container;
pub mod data;
pub mod decision;
pub mod defrag;
pub mod ending;
mod error;
pub mod guard;
pub mod health;
mod ids;
pub mod leadership;
mod local;
pub mod members;
mod mesh;
mod progress;
pub mod record;
pub mod restore;
pub mod rpc;
pub mod schedule;
pub mod settings;
pub mod snapshot;
mod survey;
mod wal;

pub use error::Error;
pub use guard::Refusal;
pub use ids::{ClusterId, MemberId};
pub use local::{Adoption, Member};
pub use mesh::Mesh;
pub use progress::Progress;
pub use settings::{Node, Settings};
pub use survey::{Answer, MemberView, Survey};
