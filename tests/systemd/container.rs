//! A machine with mainstay and its unit installed, in the namespace of the rig's node.

use std::path::Path;

use lab::machine::Machine;

use crate::rig::Rig;
use crate::{BINARY, UNIT};

const CONFIGURATION: &str = "/etc/mainstay/mainstay.toml";

/// Gone when dropped, with all that runs in it.
pub struct Container(Machine);

impl Container {
    /// Boots `root`, of which nothing is changed.
    pub fn boot(root: &Path, rig: &Rig) -> Self {
        // The node's name in the configuration.
        let machine = Machine::new(root, &format!("unit-{}", std::process::id()), "n").unwrap();
        let mut machine = machine.in_namespace(&rig.namespaces.of("node"));
        machine.bind_read_only(Path::new(BINARY), "/usr/bin/mainstay");
        machine.write("/etc/systemd/system/mainstay.service", UNIT).unwrap();
        // Sooner than in production.
        let sooner = "[Service]\nWatchdogSec=2s\n";
        machine.write("/etc/systemd/system/mainstay.service.d/watchdog.conf", sooner).unwrap();
        machine.write(CONFIGURATION, &rig.setup.toml()).unwrap();
        machine.boot().unwrap();
        Self(machine)
    }

    /// Runs a shell command in it; what it prints. If it fails, also as an error.
    pub fn try_run(&self, command: &str) -> Result<String, String> {
        self.0.run(command).map_err(|error| error.to_string())
    }

    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        self.0.run(command).unwrap()
    }

    pub fn try_systemctl(&self, arguments: &str) -> Result<String, String> {
        self.try_run(&format!("systemctl {arguments}"))
    }

    #[track_caller]
    pub fn systemctl(&self, arguments: &str) -> String {
        self.run(&format!("systemctl {arguments}"))
    }

    /// Rewrites the configuration.
    pub fn configure(&self, text: &str) {
        self.0.write(CONFIGURATION, text).unwrap();
    }

    /// The daemon's process id in the container; 0 while there is none.
    pub fn main_pid(&self) -> String {
        self.0.show("mainstay", "MainPID").unwrap()
    }

    /// The VRRP process's id in the container.
    pub fn vrrp_pid(&self) -> String {
        let text = self.run("cat /run/mainstay/vrrp.pid");
        let identity: serde_json::Value = serde_json::from_str(&text).unwrap();
        identity["pid"].to_string()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.try_run("journalctl --no-pager -u mainstay");
            eprintln!("---- the unit\n{}", journal.unwrap_or_else(|error| error));
        }
    }
}
