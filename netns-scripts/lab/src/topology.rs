//! The lab: network namespaces, daemons and links, made and broken by `lab.sh`.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;

use crate::{Daemon, Family, LabError, Node, Part, Pids, Pki, Port, Stamp};

/// What a command printed, and its exit code.
#[derive(Clone, Debug)]
pub struct Said {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A lab of routers, a client and a bridge. Torn down when dropped, if it was made here.
#[derive(Debug)]
pub struct Lab {
    name: String,
    nodes: Vec<Node>,
    script: PathBuf,
    ours: bool,
}

impl Lab {
    /// Makes a lab named `name`, the prefix of its namespaces, with routers m1 to m`routers`.
    /// What an earlier lab of that name left behind is removed first.
    ///
    /// # Errors
    /// If not root, or `lab.sh` fails.
    pub fn up(name: &str, routers: u8) -> Result<Self, LabError> {
        Self::with_links(name, routers, 1)
    }

    /// [`Lab::up`] with several links between the routers, 1 to 16: eth0, eth1, ... The client, the
    /// stranger and the instruments are on the first.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn with_links(name: &str, routers: u8, links: u8) -> Result<Self, LabError> {
        let nodes = (1..=routers).filter_map(Node::new).collect();
        let lab = Self { name: name.to_owned(), nodes, script: script(), ours: true };
        lab.run(&["down"])?;
        lab.run(&["up", &routers.to_string(), "--links", &links.to_string()])?;
        Ok(lab)
    }

    /// A lab that is up already, and stays so when this is dropped.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn attach(name: &str) -> Result<Self, LabError> {
        let mut lab =
            Self { name: name.to_owned(), nodes: Vec::new(), script: script(), ours: false };
        let nodes = lab.run(&["nodes"])?;
        lab.nodes = nodes.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(lab)
    }

    /// The daemons there are, mainstay first, as "keepalived 2.2.7".
    ///
    /// # Errors
    /// If there is no mainstay.
    pub fn versions() -> Result<Vec<String>, LabError> {
        let none = Self { name: "lab".into(), nodes: Vec::new(), script: script(), ours: false };
        Ok(none.run(&["versions"])?.lines().map(str::to_owned).collect())
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The routers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The ports of the first link's bridge: the routers', the client's and the stranger's.
    pub fn ports(&self) -> Vec<Port> {
        let others = [Port::Client, Port::Stranger];
        self.nodes.iter().copied().map(Port::Node).chain(others).collect()
    }

    /// The network namespace of a router, of `client`, of `stranger` or of `bridge`.
    pub fn namespace(&self, member: impl Display) -> String {
        format!("{}-{member}", self.name)
    }

    /// Where a router's files are: `run` and `state` (mainstay's directories), `log`,
    /// `mainstay.toml`, `keepalived.conf` or `vrrpd.conf`; for FRR also the sockets of vtysh.
    pub fn directory(&self, node: Node) -> PathBuf {
        self.run_directory().join(node.to_string())
    }

    fn run_directory(&self) -> PathBuf {
        let base = env::var_os("LAB_RUN_DIR").unwrap_or_else(|| "/run/mainstay-lab".into());
        Path::new(&base).join(&self.name)
    }

    /// The certificates of the lab's apiservers, made when they are first asked for.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn pki(&self) -> Result<Pki, LabError> {
        Pki::ensure(&self.run_directory().join("pki"))
    }

    /// Runs `mainstay` with these arguments for the daemon that was started on `node`.
    ///
    /// # Errors
    /// If it cannot be run at all.
    pub fn mainstay(&self, node: Node, arguments: &[&str]) -> Result<Said, LabError> {
        let node = node.to_string();
        let output = self.output(&[&["mainstay", &node], arguments].concat())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }

    /// Starts the daemon on some routers and waits until its processes are there.
    ///
    /// # Errors
    /// If one does not start; the text ends with its log.
    pub fn start(&self, nodes: &[Node], daemon: &Daemon) -> Result<(), LabError> {
        self.with_options("start", nodes, daemon)
    }

    /// Gives a daemon that runs the configuration of `daemon`, and has it put in force.
    ///
    /// # Errors
    /// If it does not run.
    pub fn configure(&self, nodes: &[Node], daemon: &Daemon) -> Result<(), LabError> {
        self.with_options("configure", nodes, daemon)
    }

    fn with_options(&self, verb: &str, nodes: &[Node], daemon: &Daemon) -> Result<(), LabError> {
        let options = daemon.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        for node in nodes {
            let node = node.to_string();
            self.run(&[&[verb, &node], &options[..]].concat())?;
        }
        Ok(())
    }

    /// Starts the daemon on all routers.
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub fn start_all(&self, daemon: &Daemon) -> Result<(), LabError> {
        self.start(&self.nodes, daemon)
    }

    /// Stops a router's daemon in an orderly way and waits for its end.
    ///
    /// # Errors
    /// If it had to be killed.
    pub fn stop(&self, node: Node) -> Result<(), LabError> {
        self.run(&["stop", &node.to_string()]).map(drop)
    }

    /// Stops all daemons.
    ///
    /// # Errors
    /// If one had to be killed.
    pub fn stop_all(&self) -> Result<(), LabError> {
        self.run(&["stop", "all"]).map(drop)
    }

    /// Kills whatever daemons still run, removes a VIP that they left, and heals all links.
    ///
    /// # Errors
    /// If `lab.sh` fails.
    pub fn clear(&self) -> Result<(), LabError> {
        self.run(&["clear"]).map(drop)
    }

    /// Makes a router's daemon read its configuration again.
    ///
    /// # Errors
    /// If it does not run.
    pub fn reload(&self, node: Node) -> Result<Stamp, LabError> {
        self.signal(node, Part::Parent, Signal::SIGHUP)
    }

    /// SIGKILL; returns the moment before.
    ///
    /// # Errors
    /// If that part does not run.
    pub fn kill(&self, node: Node, part: Part) -> Result<Stamp, LabError> {
        self.signal(node, part, Signal::SIGKILL)
    }

    /// SIGSTOP; returns the moment before.
    ///
    /// # Errors
    /// If that part does not run.
    pub fn freeze(&self, node: Node, part: Part) -> Result<Stamp, LabError> {
        self.signal(node, part, Signal::SIGSTOP)
    }

    /// SIGCONT; returns the moment before.
    ///
    /// # Errors
    /// If that part does not run.
    pub fn thaw(&self, node: Node, part: Part) -> Result<Stamp, LabError> {
        self.signal(node, part, Signal::SIGCONT)
    }

    fn signal(&self, node: Node, part: Part, signal: Signal) -> Result<Stamp, LabError> {
        self.pids(node)?.signal(part, signal)
    }

    /// The daemon's processes on a router.
    ///
    /// # Errors
    /// If the lab is not up.
    pub fn pids(&self, node: Node) -> Result<Pids, LabError> {
        let text = self.run(&["pids", &node.to_string()])?;
        Pids::parse(&text)
            .ok_or_else(|| LabError::Command { command: "pids".into(), message: text })
    }

    /// Kills all that runs on a router, units included: its power is gone. Its disk stays.
    ///
    /// # Errors
    /// If something does not end.
    pub fn power_off(&self, node: Node) -> Result<(), LabError> {
        self.run(&["units", "power-off", &node.to_string()]).map(drop)
    }

    /// The same, and its disk is lost: what is started there next is a new machine.
    ///
    /// # Errors
    /// If something does not end.
    pub fn lose(&self, node: Node) -> Result<(), LabError> {
        self.run(&["units", "lose", &node.to_string()]).map(drop)
    }

    /// Runs docker's command line for the dockerd of a router; what it prints.
    ///
    /// # Errors
    /// If it fails.
    pub fn docker(&self, node: Node, arguments: &[&str]) -> Result<String, LabError> {
        let node = node.to_string();
        let text = self.run(&[&["units", "docker", &node], arguments].concat())?;
        Ok(text.trim_end().to_owned())
    }

    /// Takes the bridge's port of a router down: the router loses its carrier.
    ///
    /// # Errors
    /// If `lab.sh` fails.
    pub fn cut(&self, node: Node) -> Result<Stamp, LabError> {
        self.timed(&["cut", &node.to_string()])
    }

    /// Drops a router's frames both ways; its carrier stays.
    ///
    /// # Errors
    /// If `lab.sh` fails.
    pub fn cut_silently(&self, node: Node) -> Result<Stamp, LabError> {
        self.timed(&["cut", &node.to_string(), "--drop"])
    }

    /// Drops what a router would hear.
    ///
    /// # Errors
    /// If `lab.sh` fails.
    pub fn deafen(&self, node: Node) -> Result<Stamp, LabError> {
        self.timed(&["oneway", &node.to_string(), "in"])
    }

    /// Drops what a router sends.
    ///
    /// # Errors
    /// If `lab.sh` fails.
    pub fn mute(&self, node: Node) -> Result<Stamp, LabError> {
        self.timed(&["oneway", &node.to_string(), "out"])
    }

    /// Parts the members into groups such as `m1,client` and `m2,m3`.
    ///
    /// # Errors
    /// If `lab.sh` fails.
    pub fn partition(&self, groups: &[&str]) -> Result<Stamp, LabError> {
        self.timed(&[&["partition"], groups].concat())
    }

    /// Undoes all cuts, one-way losses and partitions.
    ///
    /// # Errors
    /// If `lab.sh` fails.
    pub fn heal(&self) -> Result<Stamp, LabError> {
        self.timed(&["heal"])
    }

    /// The routers that have the VIP of `family` now.
    ///
    /// # Errors
    /// If the lab is not up.
    pub fn owners(&self, family: Family) -> Result<Vec<Node>, LabError> {
        let text = self.run(&["owners", family.name()])?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Runs a command in the namespace of a router, of `client`, of `stranger` or of `bridge`; its
    /// output.
    ///
    /// # Errors
    /// If it fails.
    pub fn exec(&self, member: impl Display, command: &[&str]) -> Result<String, LabError> {
        self.run(&[&["exec", &member.to_string()], command].concat())
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, LabError> {
        Command::new(&self.script)
            .args(["--lab", &self.name])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| LabError::Script {
                script: self.script.display().to_string(),
                source,
            })
    }

    fn run(&self, arguments: &[&str]) -> Result<String, LabError> {
        let output = self.output(arguments)?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(LabError::Command {
                command: arguments.join(" "),
                message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            })
        }
    }

    /// Runs a command that ends its output with the time of its effect.
    fn timed(&self, arguments: &[&str]) -> Result<Stamp, LabError> {
        let text = self.run(arguments)?;
        stamp(&text)
            .ok_or_else(|| LabError::Command { command: arguments.join(" "), message: text })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = self.run(&["down"])
        {
            eprintln!("{error}");
        }
    }
}

/// Reads `... at SECONDS.MICROSECONDS`, as bash prints its EPOCHREALTIME.
fn stamp(text: &str) -> Option<Stamp> {
    let (seconds, micros) = text.trim().rsplit_once(" at ")?.1.split_once(['.', ','])?;
    Some(Stamp::from_realtime(seconds.parse().ok()?, micros.parse::<i64>().ok()? * 1000))
}

fn script() -> PathBuf {
    env::var_os("LAB_SCRIPT").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("lab.sh"),
        PathBuf::from,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_time_of_an_effect_is_read() {
        let early = stamp("m1 cut at 100.000001\n").unwrap();
        let late = stamp("healed all at 100.250001\n").unwrap();
        assert!((late.millis_since(early) - 250.0).abs() < 1.0);
        assert_eq!(stamp("m1 cut"), None);
    }
}
