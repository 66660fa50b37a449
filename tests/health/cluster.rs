//! Three routers, an apiserver on each, and what mainstay says of them.

use std::ops::Deref;

use lab::{Apiservers, Checked, Daemon, Interval, Launcher, Node};

use crate::support::steady::{says, steady, without_machine};
use crate::support::{M1, Net, mainstay};

/// The apiservers' side of this program.
const SERVER: &str = "this_program_is_an_apiserver_when_it_is_started_as_one";

/// A lab with an apiserver on each router, which the daemon follows.
pub struct Cluster {
    pub servers: Apiservers,
    // Dropped last.
    net: Net,
}

/// The daemon of these tests: it asks the apiserver each 100 ms.
pub fn checking() -> Daemon {
    Daemon { checked: Checked::Each(Interval::from_millis(100)), ..mainstay() }
}

impl Cluster {
    /// All is well, and m1 has the VIP. `None`, after saying so, without root.
    pub fn settled(routers: u8) -> Option<Self> {
        let net = Net::up(routers)?;
        let launcher = Launcher::this(&[SERVER, "--exact", "--nocapture"]).expect("this program");
        let servers = Apiservers::start(net.lab(), launcher).expect("apiservers");
        let cluster = Self { servers, net };
        cluster.start(&[M1], &checking());
        cluster.owned_by(M1);
        cluster.start(&cluster.lab().nodes()[1..], &checking());
        for &node in cluster.lab().nodes() {
            cluster.healthy(node);
        }
        for &node in &cluster.lab().nodes()[1..] {
            cluster.backup_of(node, M1);
        }
        Some(cluster)
    }

    /// Waits until `node` counts itself as healthy.
    #[track_caller]
    pub fn healthy(&self, node: Node) {
        self.router_until(node, "healthy", |it| it["effective_priority"] == it["priority"]);
    }

    /// Waits until `node` counts itself as degraded.
    #[track_caller]
    pub fn degraded(&self, node: Node) {
        self.router_until(node, "degraded", |it| {
            it["effective_priority"].is_u64() && it["effective_priority"] != it["priority"]
        });
    }

    /// What `explain` says on `node`, without what differs from run to run.
    pub fn explained(&self, node: Node) -> String {
        without_machine(&steady(&self.mainstay(node, &["explain"]).stdout))
    }

    /// What `status` says of the check on `node`, without what differs from run to run.
    pub fn checked(&self, node: Node) -> String {
        let status = steady(&self.mainstay(node, &["status"]).stdout);
        let check = status.lines().find_map(|line| line.trim().strip_prefix("check "));
        check.unwrap_or_default().trim().to_owned()
    }
}

impl Deref for Cluster {
    type Target = Net;

    fn deref(&self) -> &Net {
        &self.net
    }
}

impl Cluster {
    /// Waits until `explain` on `node` says this: it may need a moment to know.
    #[track_caller]
    pub fn explains(&self, node: Node, expected: &str) {
        says(node, expected, || self.explained(node));
    }

    /// Waits until `status` on `node` says this of its check.
    #[track_caller]
    pub fn checks(&self, node: Node, expected: &str) {
        says(node, expected, || self.checked(node));
    }
}

#[test]
fn what_differs_from_run_to_run_is_not_compared() {
    let text = "api  10.0.0.10 is here, on m1, for 4m12s (since 2026-01-31T12:00:00.000Z)\n  \
                last move   m2 -> m1, 0.4s ago\n  12:00:00.000Z  m2 is degraded, for 47 ms\n\
                process 4711, within 2s: removed in 1.2ms, told\n";
    let expected = "api  10.0.0.10 is here, on m1, for SPAN (since TIME)\n  \
                    last move   m2 -> m1, SPAN ago\n  TIME  m2 is degraded, for 47 ms\n\
                    process PID, within 2s: removed in SPAN, told\n";
    assert_eq!(steady(text), expected);
}

#[test]
fn what_the_machine_refuses_is_not_compared() {
    let api = "api  10.0.0.10 is here\n  wrong       nothing\n";
    let refused = "memory could not be locked; set LimitMEMLOCK=infinity";
    let text = format!("{api}\nm1\n  WRONG       {refused}\n");
    assert_eq!(without_machine(&text), api);
    let other = "the unit etcd has failed\n              -> act\n";
    let text = format!("{api}\nm1\n  WRONG       {refused}\n              {other}");
    assert_eq!(without_machine(&text), format!("{api}\nm1\n  WRONG       {other}"));
}
