//! A dockerd in a network namespace, and the container of a unit.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lab::docker::{BinaryImage, Dockerd, Setup};
use supervisor::backend::container::{
    BindMount, Container, ContainerBackend, ContainerSpec, Labels,
};
use supervisor::backend::{Identity, Running};
use supervisor::docker::{Client, Images};
use supervisor::readiness::Probe;

/// Begins the names of all that the tests make.
const PREFIX: &str = "mainstay-docker";
/// The image that every test has.
pub const IMAGE: &str = "etcd:lab";
/// For what happens at once on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A dockerd with an image of etcd. Everything is gone when it is dropped.
pub struct Rig {
    pub dockerd: Dockerd,
    pub client: Client,
    _namespace: Namespace,
}

/// A network namespace, deleted when dropped.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        run("ip", &["netns", "add", &name]);
        run("ip", &["-n", &name, "link", "set", "lo", "up"]);
        Self { name }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

fn delete(namespace: &str) {
    let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
}

fn directory(namespace: &str) -> PathBuf {
    std::env::temp_dir().join(namespace)
}

/// Deletes what test processes that were killed left behind.
fn sweep() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')?.0.parse().ok());
        if pid.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists()) {
            lab::docker::remove_remains(&name, &directory(&name));
            delete(&name);
        }
    }
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
}

/// Whether the tests can run here; says so if not.
pub fn allowed() -> bool {
    let missing = if !rustix::process::geteuid().is_root() {
        "root"
    } else if !lab::docker::is_installed() {
        "docker.io"
    } else if !Path::new("/usr/bin/etcd").exists() {
        "etcd-server"
    } else {
        return true;
    };
    // Not eprintln!, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: a real dockerd needs {missing}");
    false
}

impl Rig {
    /// A dockerd that does not run yet.
    pub fn stopped() -> Option<Self> {
        Self::with(|_| {})
    }

    /// The same, set up in another way.
    pub fn with(change: impl FnOnce(&mut Setup)) -> Option<Self> {
        if !allowed() {
            return None;
        }
        let namespace = Namespace::new();
        let mut setup = Setup::new(&namespace.name, directory(&namespace.name));
        change(&mut setup);
        let client = Client::new(setup.socket());
        let dockerd = Dockerd::new(setup).unwrap();
        Some(Self { dockerd, client, _namespace: namespace })
    }

    /// A dockerd that runs and has the image.
    pub fn running() -> Option<Self> {
        Some(Self::stopped()?.started())
    }

    /// Starts dockerd and gives it the image.
    pub fn started(mut self) -> Self {
        self.dockerd.start().unwrap();
        self.dockerd.import(&BinaryImage::etcd(IMAGE)).unwrap();
        self
    }

    /// A folder or file of the test's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dockerd.setup().directory.join(name)
    }

    /// The folder for tarballs and what is recorded of it.
    pub fn images(&self) -> Images {
        Images::new(self.path("images"), self.path("images.json"))
    }

    /// The container of the unit `etcd`.
    pub fn container(&self) -> Container {
        let labels = Labels { unit: "etcd".to_owned(), cluster: "prod".to_owned() };
        Container::new(self.client.clone(), labels, Some(self.images()))
    }

    /// The unit `etcd`, made from `spec`.
    pub fn unit(&self, spec: ContainerSpec) -> ContainerBackend {
        ContainerBackend::new(self.container(), spec, Probe::Runs)
    }

    /// An etcd that stores below the test's folder.
    pub fn etcd(&self) -> ContainerSpec {
        let data = self.path("etcd");
        std::fs::create_dir_all(&data).unwrap();
        ContainerSpec {
            image: IMAGE.to_owned(),
            command: ["/usr/bin/etcd", "--data-dir", "/data"].map(str::to_owned).to_vec(),
            mounts: vec![BindMount { source: data, target: "/data".into(), read_only: false }],
            ..ContainerSpec::default()
        }
    }

    /// docker's own command line.
    #[track_caller]
    pub fn docker(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        self.dockerd.docker(&arguments).unwrap()
    }
}

/// The id of a container.
#[track_caller]
pub fn id(running: &Running) -> &str {
    let Identity::Container { id, .. } = &running.identity else { panic!("{running:?}") };
    id
}

/// What happens in time.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it did not happen in time")
}
