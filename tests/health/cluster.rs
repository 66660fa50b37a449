//! Three routers, an apiserver on each, and what mainstay says of them.

use std::ops::Deref;
use std::time::Duration;

use lab::{Apiservers, Checked, Daemon, Interval, Launcher, Node, Stamp};

use crate::support::{M1, Net, PATIENCE, mainstay};

const POLL: Duration = Duration::from_millis(100);
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

#[track_caller]
fn says(node: Node, expected: &str, look: impl Fn() -> String) {
    let deadline = Stamp::now() + PATIENCE;
    let mut said = look();
    while said != expected && Stamp::now() < deadline {
        std::thread::sleep(POLL);
        said = look();
    }
    assert_eq!(said, expected, "on {node}:\n{said}");
}

/// Without moments, spans that were measured, counts and process ids; spans that the configuration
/// gives stay.
fn steady(text: &str) -> String {
    let line = |line: &str| {
        let mut before = "";
        let words = line.split(' ').map(|word| {
            let core = word.trim_matches(['(', ')', ',', ':', ';']);
            let steady = match before {
                "process" if core.parse::<u32>().is_ok() => "PID",
                "mainstay" if core == env!("CARGO_PKG_VERSION") => "VERSION",
                // Limits, which the configuration sets.
                "within" | "to" => core,
                _ if is_moment(core) => "TIME",
                _ if is_span(core) || core.contains('.') && core.parse::<f64>().is_ok() => "SPAN",
                _ if core.split(':').count() == 6 => "MAC",
                _ if core.ends_with("/pki/ca.crt") => "CA",
                _ => core,
            };
            before = word;
            word.replacen(core, steady, 1)
        });
        uncounted(refused(words.collect::<Vec<_>>().join(" "))) + "\n"
    };
    text.lines().map(line).collect()
}

/// Who is killed is found dead or gone, whichever is known first.
fn refused(line: String) -> String {
    const DEAD: [&str; 2] = ["the server's process PID (", ") has died"];
    let [Some(start), Some(end)] = DEAD.map(|words| line.find(words)) else { return line };
    let gone = "connection refused by 127.0.0.1:6443";
    format!("{}{gone}{}", &line[..start], &line[end + DEAD[1].len()..])
}

/// Failures go on: `, 7 times in a row` is said of the first as of the last.
fn uncounted(line: String) -> String {
    let Some(end) = line.find(" times in a row") else { return line };
    let start = line[..end].rfind(' ').map_or(0, |blank| blank + 1);
    format!("{}N{}", &line[..start], &line[end..])
}

/// Without what the machine refuses the daemon.
fn without_machine(text: &str) -> String {
    let is_refusal = |line: &str| line.contains("LimitMEMLOCK") || line.contains("LimitRTPRIO");
    let is_told = |block: &&str| !block.lines().skip(1).all(is_refusal);
    let blocks: Vec<&str> = text.trim_end().split("\n\n").filter(is_told).collect();
    blocks.join("\n\n") + "\n"
}

/// `2026-01-31T12:00:00.000Z` or its second half.
fn is_moment(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    word.ends_with('Z') && digits >= 9 && word.matches(':').count() == 2
}

/// `0.4s`, `12s`, `3m12s`, `60ms`, `1.23µs`; but `60 ms` is none.
fn is_span(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || ".dhmsµn".contains(c);
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(['d', 'h', 'm', 's'])
        && word.chars().all(is_part)
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
