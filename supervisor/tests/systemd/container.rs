//! A machine with unit files of the tests', seen from outside.

use std::fs;
use std::path::{Path, PathBuf};

use lab::machine::Machine;

/// Gone when dropped, with all that runs in it.
pub struct Container {
    machine: Machine,
    /// A folder that the container sees, too, under the same path.
    pub directory: PathBuf,
}

impl Container {
    /// Boots `root`, of which nothing is changed, with these unit files beside its own.
    pub fn boot(root: &Path, units: &[(&str, &str)]) -> Self {
        let id = format!("backend-{}", std::process::id());
        let directory = std::env::temp_dir().join(format!("mainstay-systemd-{id}"));
        fs::create_dir_all(&directory).unwrap();
        let mut machine = Machine::new(root, &id, "backend").unwrap().alone();
        machine.bind(&directory, &directory.display().to_string());
        for (unit, text) in units {
            machine.write(&format!("/usr/lib/systemd/system/{unit}"), text).unwrap();
        }
        let mut this = Self { machine, directory };
        this.machine.boot().unwrap();
        this
    }

    /// A path in the container, as the host sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.machine.path(path)
    }

    /// Its bus.
    pub fn bus(&self) -> String {
        format!("unix:path={}", self.path("/run/dbus/system_bus_socket").display())
    }

    /// Runs a shell command in it; what it prints.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        self.machine.run(command).unwrap()
    }

    /// A property of a unit.
    #[track_caller]
    pub fn show(&self, unit: &str, property: &str) -> String {
        self.machine.show(unit, property).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.machine.run("journalctl --no-pager | tail -60");
            eprintln!("---- the journal\n{}", journal.unwrap_or_else(|error| error.to_string()));
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
