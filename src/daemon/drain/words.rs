//! Drains in words.

use std::time::Duration;

use super::{Active, Mark};
use crate::daemon::plan::Keeps;

pub const OWNER: &str = "it owns its addresses (priority 255), so nobody can take them over: stop \
                         mainstay, or the node, instead";
pub const CANCELLED: &str = "the drain was taken back by `mainstay vip undrain`";
pub const UNDRAINED: &str = "takes part again";
pub const NOT_DRAINED: &str = "was not drained";

pub fn waiting(patience: Duration) -> String {
    let patience = shown(patience);
    format!("advertising priority 1; waiting up to {patience} for another router to take over")
}

pub fn drained(active: Option<&Active>) -> String {
    match active {
        Some(active) => format!("drained; {} is Active", name(active)),
        None => "drained; it is not Active here".to_owned(),
    }
}

pub fn already(mark: &Mark) -> String {
    format!("drained already, since {} by {}", mark.since, mark.by)
}

pub fn handed_over(active: Option<&Active>, took: Duration) -> String {
    let took = shown(took);
    match active {
        Some(active) => format!("drained; {} is Active after {took}", name(active)),
        None => format!("drained; no longer Active here after {took}"),
    }
}

pub fn kept(keeps: Option<Keeps>, patience: Duration) -> String {
    let nobody = nobody(keeps, patience);
    format!("{nobody}: drained all the same; the VIP stays here until another router takes it")
}

pub fn refused(
    keeps: Option<Keeps>,
    was_active: bool,
    was_drained: bool,
    patience: Duration,
) -> String {
    let now = if was_drained { "it stays drained as it was" } else { "the drain is undone" };
    if keeps == Some(Keeps::NeverPreempted) {
        let nobody = nobody(keeps, patience);
        return format!("{nobody}: {now}; stop mainstay on this node instead, or use --force");
    }
    if !was_active {
        return format!("the VRRP process has not answered: {now}; see `mainstay status`");
    }
    let nobody = nobody(keeps, patience);
    format!(
        "{nobody}: the VIP stays here and {now}; see `mainstay status` on the other masters, or use \
         --force"
    )
}

fn nobody(keeps: Option<Keeps>, patience: Duration) -> String {
    match keeps {
        Some(Keeps::NeverPreempted) => {
            "with preempt = \"never\" no router takes over from one that lives".to_owned()
        }
        _ => format!("no other router has taken over within {}", shown(patience)),
    }
}

fn name(active: &Active) -> String {
    let Active { source, node, priority } = active;
    let name = node.clone().unwrap_or_else(|| source.to_string());
    match priority {
        Some(priority) => format!("{name} (priority {priority})"),
        None => name,
    }
}

/// In whole milliseconds.
fn shown(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    format!("{:?}", Duration::from_millis(millis))
}
