//! What is wrong now, and what to do.

use vrrp::router::State;

use super::model::Finding;
use super::view::{Fitness, View};
use crate::events::list;
use crate::status::Status;

/// What is wrong with one virtual router.
pub fn of_router(view: &View) -> Vec<Finding> {
    of_state(view).into_iter().collect()
}

/// What is wrong with the node.
pub fn of_node(status: &Status) -> Vec<Finding> {
    let mut found = Vec::new();
    if !status.vrrp.attached && !status.virtual_routers.is_empty() {
        let problem = status.vrrp.problem.as_deref().unwrap_or("it does not answer");
        let what = format!("the daemon has no VRRP process: {problem}");
        found.push(Finding::new(what, "see `mainstay events` and `journalctl -u mainstay`"));
    }
    if let Some(error) = &status.config.error {
        let error = error.lines().next().unwrap_or_default();
        let what = format!("the file was not taken, the older configuration is in force: {error}");
        found.push(Finding::new(what, "`mainstay check`, then `mainstay reload`"));
    }
    // What the virtual routers' own findings say, and the one above.
    let is_told = |warning: &&String| {
        let mut names = status.virtual_routers.iter().map(|it| format!("{}: ", it.name));
        names.any(|name| warning.starts_with(&name))
            || status.config.error.is_some() && warning.starts_with("the configuration file")
    };
    found.extend(status.warnings.iter().filter(|it| !is_told(it)).map(Finding::said));
    found
}

fn of_state(view: &View) -> Option<Finding> {
    let (own, router) = (view.node, view.router);
    let problem = router.problem.as_deref();
    match router.state {
        None => {
            let problem = problem.unwrap_or("the VRRP process has not answered yet");
            Some(Finding::said(format!("what {own} does is not known: {problem}")))
        }
        Some(State::Active) if router.installed == Some(false) => {
            let problem = problem.unwrap_or("the kernel has not confirmed it yet");
            let addresses = list(&router.addresses);
            let what = format!("{own} is Active without {addresses}: {problem}");
            Some(Finding::new(what, format!("`ip address show dev {}`", router.interface)))
        }
        Some(State::Initialize) if view.fitness() != Fitness::Released => {
            let problem = problem.unwrap_or("it has not started yet");
            Some(Finding::said(format!("{own} takes no part: {problem}")))
        }
        Some(State::Active | State::Backup | State::Initialize) => {
            problem.map(|problem| Finding::said(problem.to_owned()))
        }
    }
}
