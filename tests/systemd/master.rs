//! A master: a machine with mainstay's unit, docker.service and a kubelet, in the namespace of the lab's m1.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::Stamp;
use lab::docker::{self, BinaryImage};
use lab::machine::Machine;
use serde_json::{Value, json};

use crate::support::{M1, M2, Net, poll};
use crate::{BINARY, UNIT};

/// Where there is no real one: says that it is well.
const KUBELET: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1:10248", ReuseAddr => 1) or die $!;
while (my $client = $listener->accept) {
  while (<$client>) { last if /^\r?$/ }
  print $client "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
}
"#;

/// Makes a tarball of etcd's image, for a machine without a registry.
const MAKE_IMAGE: &str = "set -e
systemctl start docker
tar --create --directory /opt/etcd . | docker import --change 'ENV PATH=/usr/bin:/bin' - etcd:lab
mkdir -p /var/lib/images
docker save --output /var/lib/images/etcd.tar etcd:lab
docker rmi etcd:lab
systemctl stop docker.service docker.socket containerd.service
rm -r /opt/etcd
test ! -e /var/lib/etcd -a ! -e /var/lib/kubelet -a ! -e /etc/kubernetes";

/// Gone when dropped, with all that runs in it.
pub struct Master {
    pub machine: Machine,
}

/// What runs beneath the VIP: each run of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Children {
    /// The process of docker.service.
    pub dockerd: String,
    /// The container's id.
    pub container: String,
    /// Its process, and when that was started.
    pub etcd: String,
    /// The process of kubelet.service.
    pub kubelet: String,
}

impl Master {
    /// Boots a machine where all is installed and nothing has run yet.
    pub fn boot(root: &Path, net: &Net) -> Self {
        let id = format!("master-{}", std::process::id());
        let machine = Machine::new(root, &id, &M1.to_string()).unwrap();
        let mut machine = machine.in_namespace(&net.lab().namespace(M1));
        machine.bind_read_only(Path::new(BINARY), "/usr/bin/mainstay");
        machine.bind(Path::new("/dev/kmsg"), "/dev/kmsg");
        install_kubelet(&mut machine);
        let image = machine.path("/opt/etcd");
        fs::create_dir_all(&image).unwrap();
        BinaryImage::etcd("etcd:lab").fill(&image).unwrap();
        docker::Setup::new("", machine.path("/opt/docker")).prepare().unwrap();
        let (docker, own) = (docker_settings(true), configuration(net));
        for (path, text) in [
            ("/etc/systemd/system/mainstay.service", UNIT),
            // Sooner than in production.
            ("/etc/systemd/system/mainstay.service.d/sooner.conf", "[Service]\nWatchdogSec=2s\n"),
            // It is looked at after the next boot.
            ("/etc/systemd/journald.conf.d/keep.conf", "[Journal]\nStorage=persistent\n"),
            ("/etc/docker/daemon.json", docker.as_str()),
            ("/etc/mainstay/mainstay.toml", own.as_str()),
        ] {
            machine.write(path, text).unwrap();
        }
        machine.boot().unwrap();
        let this = Self { machine };
        this.run(MAKE_IMAGE);
        this
    }

    /// Runs a shell command in it; what it prints.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        self.machine.run(command).unwrap()
    }

    /// Whether containers are to outlive docker, from now on.
    pub fn set_live_restore(&self, live_restore: bool) {
        let text = docker_settings(live_restore);
        self.machine.write("/etc/docker/daemon.json", &text).unwrap();
        // Its own reload needs a program that a small Debian lacks.
        self.run("systemctl kill --kill-who=main --signal=HUP docker");
        let asked = "docker info --format '{{.LiveRestoreEnabled}}'";
        poll("docker to have read its settings", || {
            (self.run(asked).trim() == live_restore.to_string()).then_some(())
        });
    }

    /// What `mainstay status` says; null while there is no daemon.
    pub fn status(&self) -> Value {
        let text = self.run("mainstay status -o json || true");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// One unit of the status.
    pub fn unit(&self, name: &str) -> Value {
        let status = self.status();
        let units = status["units"].as_array().cloned().unwrap_or_default();
        units.into_iter().find(|unit| unit["name"] == name).unwrap_or_default()
    }

    /// Waits until all units are ready and the virtual router is healthy.
    #[track_caller]
    pub fn is_well(&self) -> Children {
        patiently("all units to be ready", || {
            let status = self.status();
            let units = status["units"].as_array().cloned().unwrap_or_default();
            let ready = units.len() == 4 && units.iter().all(|unit| unit["state"] == "ready");
            ready && status["virtual_routers"][0]["effective_priority"] == 254
        });
        self.children()
    }

    /// The events that its daemons have written, the oldest first.
    pub fn events(&self) -> Vec<Value> {
        let text = self.run("mainstay events -o json");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for an event of a unit with this code, whose reason has these words.
    #[track_caller]
    pub fn tells(&self, code: &str, unit: &str, why: &str) {
        poll(&format!("{code} of {unit}: {why}"), || {
            let of_unit = |it: &Value| it["code"] == code && it["detail"]["unit"] == unit;
            let says = |it: &Value| it["why"].as_str().is_some_and(|it| it.contains(why));
            self.events().iter().any(|it| of_unit(it) && says(it)).then_some(())
        });
    }

    /// What runs beneath the VIP now.
    #[track_caller]
    pub fn children(&self) -> Children {
        let process = |unit: &str| {
            let pid = self.machine.show(unit, "MainPID").unwrap();
            assert_ne!(pid, "0", "{unit} does not run");
            pid
        };
        let text = self.run(
            "docker ps --no-trunc --quiet | xargs -r docker inspect \
             --format '{{.Id}} {{.State.Pid}} {{.State.StartedAt}}'",
        );
        assert_eq!(text.lines().count(), 1, "{text}");
        let (container, etcd) = text.trim().split_once(' ').unwrap();
        Children {
            dockerd: process("docker"),
            container: container.to_owned(),
            etcd: etcd.to_owned(),
            kubelet: process("kubelet"),
        }
    }

    /// Has the other master hand the VIP over.
    pub fn takes_the_vip_back(&self, net: &Net) {
        for (command, owner) in [("drain", M1), ("undrain", M1)] {
            let ran = net.mainstay(M2, &["vip", command]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            net.owned_by(owner);
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let words = self.machine.run(
                "mainstay status; docker ps -a; journalctl --no-pager -p warning | tail -40
                 journalctl --no-pager -u mainstay -u kubelet | tail -100",
            );
            eprintln!("---- the machine\n{}", words.unwrap_or_else(|error| error.to_string()));
        }
    }
}

/// Waits for what takes several steps.
#[track_caller]
fn patiently(what: &str, mut found: impl FnMut() -> bool) {
    let deadline = Stamp::now() + Duration::from_secs(60);
    while !found() {
        assert!(Stamp::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A real one, where `netns-scripts/kubelet.sh` has made it.
fn install_kubelet(machine: &mut Machine) {
    let real = std::env::var_os("MAINSTAY_KUBELET")
        .map_or_else(|| PathBuf::from("/var/cache/mainstay-lab/kubelet"), PathBuf::from);
    if real.exists() {
        return machine.bind_read_only(&real, "/usr/bin/kubelet");
    }
    machine.write("/usr/bin/kubelet", KUBELET).unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(machine.path("/usr/bin/kubelet"), executable).unwrap();
}

fn docker_settings(live_restore: bool) -> String {
    let runtime = json!({ "lab": { "path": "/opt/docker/runtime" } });
    json!({
        "live-restore": live_restore,
        "exec-opts": ["native.cgroupdriver=systemd"],
        "iptables": false,
        "bridge": "none",
        "runtimes": runtime,
        "default-runtime": "lab",
    })
    .to_string()
}

fn configuration(net: &Net) -> String {
    format!(
        r#"
[cluster]
name = "{cluster}"
[[node]]
name = "m1"
role = "master"
addresses = ["{m1}"]
[[node]]
name = "m2"
role = "master"
addresses = ["{m2}"]
[[virtual_router]]
name = "apiserver"
vrid = {vrid}
interface = "eth0"
addresses = ["{vip}"]
advert_interval = "200ms"
[supervisor]
[images]
dir = "/var/lib/images"
[etcd]
image = "etcd:lab"
[kubernetes]
version = "v1.20.2"
[kubelet]
cni = false
fail_on_swap = false
overrides = {{ enforceNodeAllocatable = [], evictionHard = {{ "memory.available" = "1Mi" }} }}
"#,
        cluster = net.lab().name(),
        m1 = M1.address(),
        m2 = M2.address(),
        vrid = lab::VRID,
        vip = lab::VIP,
    )
}
