//! A kubelet's surroundings: a network namespace with a dockerd, an image, a folder for static pods, an authority.

use std::fs;
use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use lab::docker::{Dockerd, Setup};
use serde_json::json;
use supervisor::backend::exec::Place;
use supervisor::backend::{Backend, Readiness, Running};
use supervisor::certs::{self, Mode};
use supervisor::kubelet::{Carrier, CgroupDriver, Kubelet, Settings};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often it is looked.
const PACE: Duration = Duration::from_millis(100);
/// Holds a pod's namespaces, and does nothing as a container of its own.
const PAUSE: &str = "int pause(void); int main(void) { for (;;) pause(); }";

/// Everything is gone when it is dropped.
pub struct Rig {
    pub dockerd: Dockerd,
    directory: PathBuf,
    /// Goes last.
    namespace: Namespace,
}

/// A network namespace.
struct Namespace(String);

/// A kubelet 1.20 that was built from Debian's source, if there is one and a dockerd for it.
pub fn kubelet() -> Option<PathBuf> {
    let path = std::env::var_os("MAINSTAY_KUBELET")
        .map_or_else(|| PathBuf::from("/var/cache/mainstay-lab/kubelet"), PathBuf::from);
    let missing = if !rustix::process::geteuid().is_root() {
        "root".to_owned()
    } else if !lab::docker::is_installed() {
        "docker.io".to_owned()
    } else if !path.exists() {
        format!("{} (netns-scripts/kubelet.sh makes it)", path.display())
    } else {
        return Some(path);
    };
    // Not eprintln!, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: a real kubelet needs {missing}");
    None
}

impl Rig {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mainstay-kubelet{}-{count}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Namespace(name.clone());
        run("ip", &["-n", &name, "link", "set", "lo", "up"]);
        // Kubelet wants an address that is no loopback one.
        let veth = ["type", "veth", "peer", "name", "eth1"];
        run("ip", &[&["-n", &name, "link", "add", "eth0"][..], &veth].concat());
        run("ip", &["-n", &name, "address", "add", "10.99.0.1/24", "dev", "eth0"]);
        run("ip", &["-n", &name, "link", "set", "eth0", "up"]);
        let directory = std::env::temp_dir().join(&name);
        let mut dockerd = Dockerd::new(Setup::new(&name, &directory)).unwrap();
        dockerd.start().unwrap();
        let rig = Self { dockerd, directory, namespace };
        rig.make_image();
        // Kubelet makes the cgroups of pods, but not the one above them.
        for controller in fs::read_dir("/sys/fs/cgroup").unwrap().map(|it| it.unwrap().path()) {
            if controller.join("cgroup.procs").exists() {
                let _ = fs::create_dir(controller.join(&rig.namespace.0));
            }
        }
        rig
    }

    fn make_image(&self) {
        let root = self.path("image");
        fs::create_dir_all(&root).unwrap();
        let source = self.path("pause.c");
        fs::write(&source, PAUSE).unwrap();
        run("cc", &["-static", "-o", &shown(&root.join("pause")), &shown(&source)]);
        let archive = shown(&self.path("pause.tar"));
        run("tar", &["--create", "--file", &archive, "--directory", &shown(&root), "."]);
        let entry = "ENTRYPOINT [\"/pause\"]";
        self.dockerd.docker(&["import", "--change", entry, &archive, "pause:lab"]).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A kubelet that stands alone, with a certificate for its clients.
    pub fn settings(&self, binary: &Path) -> Settings {
        let addresses = vec!["10.99.0.1".parse().unwrap()];
        let mut settings = Settings::new("v1.20.2".parse().unwrap(), "m1", addresses.clone());
        settings.binary = binary.to_owned();
        settings.configuration = self.path("state/kubelet/config.json");
        settings.folder = self.path("kubelet");
        settings.static_pods = self.path("manifests");
        settings.client_ca = self.path("pki/ca.crt");
        settings.sockets.docker = self.dockerd.setup().socket();
        settings.cgroup_driver = CgroupDriver::Cgroupfs;
        settings.cni = false;
        settings.pause_image = Some("pause:lab".into());
        settings.fail_on_swap = false;
        settings.overrides = json!({
            "cgroupRoot": format!("/{}", self.namespace.0),
            "enforceNodeAllocatable": [],
            // Whatever the disk of this machine is like.
            "evictionHard": { "memory.available": "1Mi" },
        })
        .as_object()
        .unwrap()
        .clone();
        let shim = shown(&self.path("dockershim"));
        settings.flags.insert("experimental-dockershim-root-directory".into(), shim);
        if !settings.client_ca.exists() {
            let certificates = certs::Settings {
                folder: self.path("pki"),
                node: "m1".into(),
                addresses,
                api_names: Vec::new(),
                service_domain: "cluster.local".into(),
            };
            certs::issue(&certificates, Mode::First, SystemTime::now()).unwrap();
        }
        settings
    }

    /// Run by mainstay itself; each is what a successor of ours would have.
    pub fn exec(&self, settings: Settings) -> Kubelet {
        let place = Place { instance: self.path("state"), logs: self.path("logs") };
        Kubelet::new(settings, Carrier::Exec { unit: "kubelet".parse().unwrap(), place })
    }

    /// Names of the containers that run.
    pub fn containers(&self) -> String {
        self.dockerd.docker(&["ps", "--format", "{{.Names}} {{.ID}}"]).unwrap()
    }

    pub fn add_static_pod(&self) {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "idle", "namespace": "kube-system" },
            "spec": {
                "hostNetwork": true,
                "containers": [{ "name": "idle", "image": "pause:lab", "imagePullPolicy": "Never" }],
            },
        });
        fs::create_dir_all(self.path("manifests")).unwrap();
        fs::write(self.path("manifests/idle.yaml"), pod.to_string()).unwrap();
    }

    /// Does something in the namespace, also what it starts.
    pub fn within<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        lab::within(&self.namespace.0, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(work)
        })
        .unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("logs/kubelet.log")).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("---- kubelet's log, last line first\n{}", end.join("\n"));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).output();
    }
}

pub async fn ready(kubelet: &Kubelet, run: &Running) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while let Readiness::NotReady(why) = kubelet.readiness(&run.identity).await {
        assert!(tokio::time::Instant::now() < end, "kubelet is not ready: {why}");
        tokio::time::sleep(PACE).await;
    }
}

pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < end, "{what} did not come");
        tokio::time::sleep(PACE).await;
    }
}

#[track_caller]
pub fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
}

pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
