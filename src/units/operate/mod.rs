//! Doing what the command line asks for.

mod down;
mod follow;
mod single;
mod up;

pub use down::shut_down;
pub use follow::follow;
pub use up::up;

use super::operation::{Operation, patience};
use super::progress::{End, Progress};
use super::{Units, etcd};

/// Does it, and says how it ended.
pub async fn perform(units: &Units, operation: Operation, progress: &Progress) -> End {
    let name = operation.name();
    let _turn = if operation.is_exclusive() {
        match units.0.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(_) => {
                return End::refused(format!(
                    "`mainstay {name}` has to wait: another command changes the units or the \
                     cluster; try again once it is done"
                ));
            }
        }
    } else {
        None
    };
    let end = match operation {
        Operation::Up { timeout_ms } => up(units, patience(timeout_ms), progress).await,
        Operation::Down { force, timeout_ms } => {
            down::down(units, force, patience(timeout_ms), progress).await
        }
        Operation::Apply { units: names, force, timeout_ms } => {
            single::apply(units, &names, force, patience(timeout_ms), progress).await
        }
        Operation::Unit { unit, order, force, timeout_ms } => {
            single::order(units, &unit, order, force, patience(timeout_ms), progress).await
        }
        other => etcd::perform(units, other, progress).await,
    };
    end.unwrap_or_else(|end| end)
}
