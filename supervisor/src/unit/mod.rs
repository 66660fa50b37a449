//! One unit: its name, its specification, and the pure state machine that carries it through its life.
//!
//! ```text
//!            +---------+ requires are met +---------+ nothing runs +----------+ started +---------+
//!   start -->| Blocked |----------------->|  look   |------------->| Starting |-------->| Running |<--+
//!            +---------+                  +---------+              +----------+         +---------+   | ready,
//!                 ^                        |   ^  |                     |                 |   |       | not ready
//!                 |                        |   |  +-- it runs already --|-----------------+   v       |
//!                 |                refused |   | each minute            | failed          +-------+   |
//!                 |                        v   |                        v           ended | Ready |---+
//!                 |                       Failed           Backoff, CrashLooping <--------+-------+
//!                 +-------------------------------------------- the pause is over
//! ```
//!
//! Each attempt looks first: what runs already is adopted, whoever started it.

mod backoff;
mod machine;
mod name;
mod phase;
mod spec;
mod state;

pub use backoff::{CRASH_LOOP, FIRST_PAUSE, HEALTHY, LONGEST_PAUSE};
pub(crate) use machine::{Circumstances, Unit};
pub use name::{Name, NameError};
pub use spec::{Kind, Restart, Spec};
pub use state::{State, Word};
