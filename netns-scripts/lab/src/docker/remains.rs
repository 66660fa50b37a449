//! What a dockerd leaves behind when it is killed: processes, mounts, cgroups, files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{output, wait_until};

/// Removes what a dockerd left, of a test that was killed too: all that runs in `namespace` or is mounted below `directory`, the cgroups of that name, and the directory.
pub fn remove(namespace: &str, directory: &Path) {
    // A shim may be about to start another process.
    wait_until(|| {
        let pids = pids(namespace);
        for pid in &pids {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        pids.is_empty()
    });
    for point in mounts_below(directory) {
        let _ = output(Command::new("umount").args(["--lazy", &point]));
    }
    for controller in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        remove_cgroup(&controller.path().join(namespace));
    }
    remove_cgroup(&Path::new("/sys/fs/cgroup").join(namespace));
    let _ = fs::remove_dir_all(directory);
}

fn pids(namespace: &str) -> Vec<Pid> {
    let mut command = Command::new("ip");
    let pids = output(command.args(["netns", "pids", namespace]).stdin(Stdio::null()));
    let pids = pids.unwrap_or_default();
    pids.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

/// The latest, which may cover others, first.
fn mounts_below(directory: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let mut points: Vec<String> =
        points.filter(|point| Path::new(point).starts_with(directory)).map(str::to_owned).collect();
    points.reverse();
    points
}

fn remove_cgroup(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
