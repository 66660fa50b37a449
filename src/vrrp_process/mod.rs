//! The VRRP process as seen from outside: which process it is, how it is started and ended, and
//! how one talks to it.

mod greeting;
mod identity;
mod link;
mod process;
mod watch;

pub use greeting::{Greeting, Welcome, greet};
pub use identity::{Identity, ends, says_gone};
pub use link::{ConnectError, Link, LinkError};
pub use process::{End, VrrpProcess};
pub use watch::watch;
