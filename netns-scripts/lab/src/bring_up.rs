//! How long masters take from nothing to all units ready, and what of that is the supervisor's own.

mod moments;

use std::fmt;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use self::moments::{end_of_tick, millis, now};
use crate::{Lab, LabError, Node, Stamp, sleep_until};

/// The most that may pass between a unit's readiness and the start of the next one.
pub const OWN_PART: Duration = Duration::from_millis(50);
/// For the VIP to know that all is well.
const PATIENCE: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_millis(100);

/// One unit, in milliseconds since the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// When it began: the process as the kernel has it, to 10 ms, the container as dockerd has it. What
    /// mainstay does itself, as mainstay has it.
    pub started: i64,
    /// When it was ready.
    pub ready: i64,
}

/// One master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BringUp {
    /// Which.
    pub node: Node,
    /// Its units, in the order of their readiness.
    pub units: Vec<Unit>,
    /// When it was a healthy place for the VIP, in milliseconds since the command.
    pub eligible: i64,
}

/// Brings up all masters of a lab at the same time: `init` founds the etcd cluster.
///
/// # Errors
/// If one does not come up; with what it says.
pub fn bring_up(lab: &Lab, command: &str) -> Result<Vec<BringUp>, LabError> {
    thread::scope(|scope| {
        let masters: Vec<_> =
            lab.nodes().iter().map(|&node| scope.spawn(move || one(lab, node, command))).collect();
        let joined = masters.into_iter().map(|it| {
            it.join().unwrap_or_else(|_| Err(LabError::Invalid("a thread panicked".to_owned())))
        });
        joined.collect()
    })
}

fn one(lab: &Lab, node: Node, command: &str) -> Result<BringUp, LabError> {
    let begun = now();
    let said = lab.mainstay(node, &[command, "-o", "json"])?;
    if said.code != Some(0) {
        let message = format!("on {node}: {}", said.stderr.trim());
        return Err(LabError::Command { command: format!("mainstay {command}"), message });
    }
    let document: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
    let steps = document["steps"].as_array().cloned().unwrap_or_default();
    let mut units = units(&steps, begun);
    let running = lab.mainstay(node, &["unit", "list", "-o", "json"])?;
    let running: Value = serde_json::from_str(&running.stdout).unwrap_or_default();
    for status in running.as_array().into_iter().flatten() {
        let unit = units.iter_mut().find(|it| status["name"] == *it.name);
        if let (Some(unit), Some(at)) = (unit, began(lab, node, &status["identity"])?) {
            unit.started = at - begun;
        }
    }
    Ok(BringUp { node, units, eligible: eligible(lab, node)? - begun })
}

/// When a process or container began, whatever mainstay says.
fn began(lab: &Lab, node: Node, identity: &Value) -> Result<Option<i64>, LabError> {
    if let Some(ticks) = identity["start_time"].as_u64() {
        return Ok(end_of_tick(ticks));
    }
    let Some(id) = identity["id"].as_str() else { return Ok(None) };
    Ok(millis(&lab.docker(node, &["inspect", "--format", "{{.Created}}", id])?))
}

/// When the node's own priority came into force.
fn eligible(lab: &Lab, node: Node) -> Result<i64, LabError> {
    let end = Stamp::now() + PATIENCE;
    loop {
        let said = lab.mainstay(node, &["events", "-o", "json", "--code", "priority"])?;
        let event: Value = said
            .stdout
            .lines()
            .last()
            .and_then(|it| serde_json::from_str(it).ok())
            .unwrap_or_default();
        let at = event["at"].as_str().and_then(millis);
        if let (Some(at), true) = (at, event["detail"]["to"] == node.priority()) {
            return Ok(at);
        }
        if Stamp::now() > end {
            return Err(LabError::Deadline(format!("{node} to be healthy; last: {event}")));
        }
        sleep_until(Stamp::now() + PACE);
    }
}

/// The steps tell when a unit is being started and when it is ready.
fn units(steps: &[Value], begun: i64) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for step in steps {
        let (Some(name), Some(at)) = (step["unit"].as_str(), step["at"].as_str().and_then(millis))
        else {
            continue;
        };
        let state = step["text"].as_str().unwrap_or_default().split(':').next().unwrap_or_default();
        let known = units.iter().position(|it| it.name == name);
        match (state, known) {
            ("starting" | "running" | "ready", None) => {
                let at = at - begun;
                units.push(Unit { name: name.to_owned(), started: at, ready: at });
            }
            // It was looked for what runs already; it is not being started yet.
            ("blocked", Some(index)) => drop(units.remove(index)),
            (_, Some(index)) => units[index].ready = at - begun,
            (_, None) => {}
        }
    }
    units.sort_by_key(|unit| unit.ready);
    units
}

impl BringUp {
    /// From the readiness of each unit to the start of the next one.
    pub fn own_parts(&self) -> Vec<Duration> {
        let pairs = self.units.windows(2);
        let gaps = pairs.map(|pair| u64::try_from(pair[1].started - pair[0].ready).unwrap_or(0));
        gaps.map(Duration::from_millis).collect()
    }
}

impl fmt::Display for BringUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own_parts();
        for (index, Unit { name, started, ready }) in self.units.iter().enumerate() {
            let node = if index == 0 { self.node.to_string() } else { String::new() };
            let took = seconds(ready - started);
            write!(
                f,
                "{node:<8}{name:<10}{:>9}{took:>9}{:>9}",
                seconds(*started),
                seconds(*ready)
            )?;
            match index.checked_sub(1).and_then(|before| own.get(before)) {
                Some(gap) => writeln!(f, "{:>8} ms", gap.as_millis())?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "{:<8}{:<10}{:>27}", "", "VIP", seconds(self.eligible))
    }
}

/// The table of all masters, with what is wanted.
pub fn table(masters: &[BringUp]) -> String {
    let mut text = format!(
        "{:<8}{:<10}{:>9}{:>9}{:>9}{:>11}\n",
        "master", "unit", "start", "took", "ready", "own part"
    );
    masters.iter().for_each(|master| text += &master.to_string());
    let largest = masters.iter().flat_map(BringUp::own_parts).max().unwrap_or_default();
    text + &format!(
        "own part: from one unit's readiness to the next one's process; at most {} ms (wanted: {} ms)\n\
         VIP: a healthy place for it, with its full priority\n",
        largest.as_millis(),
        OWN_PART.as_millis()
    )
}

fn seconds(millis: i64) -> String {
    format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_unit_is_ready_when_its_last_step_says_so() {
        let step = |at: &str, unit: &str, text: &str| json!({ "at": format!("1970-01-01T00:00:0{at}Z"), "unit": unit, "text": text });
        let steps = [
            json!({ "at": "1970-01-01T00:00:00.000Z", "text": "etcd becomes ready once ..." }),
            step("0.100", "dockerd", "starting"),
            step("0.100", "etcd", "starting"),
            step("0.200", "etcd", "blocked: waits for dockerd"),
            step("1.000", "dockerd", "running: does not answer yet"),
            step("2.000", "dockerd", "ready"),
            step("2.003", "etcd", "starting"),
            step("5.000", "etcd", "ready"),
        ];
        let units = units(&steps, 100);
        let unit = |name: &str, started, ready| Unit { name: name.to_owned(), started, ready };
        assert_eq!(units, [unit("dockerd", 0, 1900), unit("etcd", 1903, 4900)]);
        let master = BringUp { node: Node::new(1).unwrap(), units, eligible: 6000 };
        assert_eq!(master.own_parts(), [Duration::from_millis(3)]);
        assert!(table(&[master]).contains("at most 3 ms (wanted: 50 ms)"));
    }
}
