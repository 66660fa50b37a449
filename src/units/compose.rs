//! The units of a node: dockerd, images, etcd, kubelet on a master; the same without etcd on a worker.
//!
//! The virtual routers are none of them: they start before, and need nothing of this.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use supervisor::backend::exec::{Exec, ExecSpec, Place};
use supervisor::backend::hash::spec_hash;
use supervisor::backend::systemd::{Bus, Systemd};
use supervisor::backend::task::{Repeat, Task};
use supervisor::backend::{Backend, Fault};
use supervisor::certs::Entry;
use supervisor::docker::{Client, Dockerd, DockerdOptions, Images, Remains};
use supervisor::kubelet::{self, Carrier, CgroupDriver, Kubelet, RuntimeChoice};
use supervisor::readiness::{self, Probe};
use supervisor::unit::{Kind, Name, Spec};

use super::etcd::Etcd;
use super::plan::UnitsPlan;
use crate::config::{self, Docker, Service};

/// dockerd's unit.
pub const DOCKERD: &str = "dockerd";
/// The unit that loads images.
pub const IMAGES: &str = "images";
/// etcd's unit.
pub const ETCD: &str = "etcd";
/// kubelet's unit.
pub const KUBELET: &str = "kubelet";

/// The file that says which images were loaded.
const IMAGES_FILE: &str = "images.json";
/// dockerd stops its containers, each in ten seconds.
const DOCKERD_STOP: Duration = Duration::from_secs(60);
/// An image may be large and a disk slow.
const IMAGES_START: Duration = Duration::from_secs(1800);
/// dockerd, with all its containers, is the last to go when memory runs out.
const DOCKERD_OOM: i16 = -500;

/// The units of a node, and what the operations need of them.
pub struct Parts {
    units: Vec<(Spec, Arc<dyn Backend>)>,
    /// etcd's member; `None` where there is none.
    pub etcd: Option<Etcd>,
    /// Whom dockerd is asked by.
    pub client: Client,
    /// What they were made from.
    pub plan: UnitsPlan,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Parts {
    /// What the supervisor is to run.
    pub fn units(&self) -> Vec<(Spec, Arc<dyn Backend>)> {
        self.units.clone()
    }

    /// The units in the order of their start.
    pub fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.units.iter().map(|(spec, _)| spec)
    }
}

/// Makes the units of a configuration. Nothing is started, and nothing is written.
///
/// # Errors
/// In words.
pub fn parts(plan: &UnitsPlan, state_dir: &Path) -> Result<Parts, String> {
    let supervised = &plan.supervised;
    let place = Place { instance: state_dir.to_owned(), logs: supervised.log_dir.clone() };
    let client = Client::new(&supervised.docker.socket);
    let images =
        supervised.images.as_ref().map(|folder| Images::new(folder, state_dir.join(IMAGES_FILE)));
    let mut units = vec![dockerd(&supervised.docker, &client, &place)?];
    let mut below = DOCKERD;
    if let Some(images) = &images {
        units.push(load_images(images, &client)?);
        below = IMAGES;
    }
    let etcd = supervised.etcd.as_ref().map(|it| Etcd::new(plan, it, &client, images, state_dir));
    if let Some(etcd) = &etcd {
        let spec = Spec::new(unit(ETCD)?, Kind::Container).requires([unit(below)?]);
        let backend: Arc<dyn Backend> = etcd.backend.clone();
        units.push((Spec { stop_timeout: super::etcd::STOP, ..spec }, backend));
        below = ETCD;
    }
    if let Some(kubelet) = &supervised.kubelet {
        units.push(kubelet_unit(kubelet, below, plan, &place)?);
    }
    Ok(Parts { units, etcd, client, plan: plan.clone() })
}

fn unit(name: &str) -> Result<Name, String> {
    Name::new(name).map_err(|error| error.to_string())
}

type Unit = (Spec, Arc<dyn Backend>);

fn dockerd(docker: &Docker, client: &Client, place: &Place) -> Result<Unit, String> {
    let name = unit(DOCKERD)?;
    let (kind, dockerd) = match &docker.service {
        Service::Systemd { unit } => {
            let carrier = Arc::new(Systemd::new(Bus::system(), unit).ready_when(ping(docker)));
            (Kind::Systemd, Dockerd::new(client.clone(), carrier))
        }
        Service::Exec { program } => {
            let options = DockerdOptions {
                program: program.clone(),
                socket: docker.socket.clone(),
                live_restore: docker.live_restore,
                arguments: dockerd_arguments(docker),
            };
            let spec = ExecSpec { oom_score_adj: Some(DOCKERD_OOM), ..options.exec() };
            let remains = Remains::of(&spec.args);
            let carrier = Arc::new(Exec::new(name.clone(), spec, ping(docker), place.clone()));
            (Kind::Exec, Dockerd::new(client.clone(), carrier).clearing(remains))
        }
    };
    let spec = Spec { stop_timeout: DOCKERD_STOP, ..Spec::new(name, kind) };
    Ok((spec, Arc::new(dockerd)))
}

fn ping(docker: &Docker) -> Probe {
    let place = readiness::Place::Unix(docker.socket.clone());
    Probe::Http { place, path: "/_ping".to_owned() }
}

fn dockerd_arguments(docker: &Docker) -> Vec<String> {
    let Docker { socket, args, data_root, exec_root, .. } = docker;
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let mut all = vec![flag("pidfile", &socket.with_extension("pid"))];
    all.extend(data_root.iter().map(|it| flag("data-root", it)));
    all.extend(exec_root.iter().map(|it| flag("exec-root", it)));
    all.extend(args.iter().cloned());
    all
}

fn load_images(images: &Images, client: &Client) -> Result<Unit, String> {
    let hash = spec_hash(&images.folder().to_string_lossy());
    let (images, client) = (images.clone(), client.clone());
    let work = move || {
        let (images, client) = (images.clone(), client.clone());
        async move {
            let loaded = images.load(&client).await?;
            for image in &loaded.loaded {
                tracing::info!("loaded the image {image}");
            }
            match loaded.failed.as_slice() {
                [] => Ok(()),
                failed => {
                    let words =
                        failed.iter().map(|(path, why)| format!("{}: {why}", path.display()));
                    Err(Fault::passing(words.collect::<Vec<_>>().join("; ")))
                }
            }
        }
    };
    let backend = Task::new(hash, Repeat::EachStart, work);
    let spec = Spec::new(unit(IMAGES)?, Kind::Task).requires([unit(DOCKERD)?]);
    Ok((Spec { start_timeout: IMAGES_START, ..spec }, Arc::new(backend)))
}

fn kubelet_unit(
    kubelet: &config::Kubelet,
    below: &str,
    plan: &UnitsPlan,
    place: &Place,
) -> Result<Unit, String> {
    let name = unit(KUBELET)?;
    let (kind, carrier) = match &kubelet.service {
        Service::Systemd { unit } => {
            (Kind::Systemd, Carrier::Systemd(Systemd::new(Bus::system(), unit)))
        }
        Service::Exec { .. } => {
            (Kind::Exec, Carrier::Exec { unit: name.clone(), place: place.clone() })
        }
    };
    let backend = Kubelet::new(kubelet_settings(kubelet, plan)?, carrier);
    let spec = Spec::new(name, kind).requires([unit(below)?]);
    Ok((spec, Arc::new(backend)))
}

fn kubelet_settings(
    kubelet: &config::Kubelet,
    plan: &UnitsPlan,
) -> Result<kubelet::Settings, String> {
    let version = kubelet.version.to_string();
    let version = version.parse::<kubelet::Version>().map_err(|error| error.to_string())?;
    let addresses = plan.certs.addresses.clone();
    let usual = kubelet::Settings::new(version, &plan.node, addresses);
    let sockets = kubelet::Sockets {
        docker: plan.supervised.docker.socket.clone(),
        ..kubelet::Sockets::default()
    };
    Ok(kubelet::Settings {
        binary: match &kubelet.service {
            Service::Systemd { .. } => usual.binary.clone(),
            Service::Exec { program } => program.clone(),
        },
        configuration: kubelet.config.clone(),
        folder: kubelet.root_dir.clone(),
        static_pods: kubelet.manifests.clone(),
        kubeconfig: kubelet.kubeconfig.clone(),
        client_ca: plan.certs.certificate(Entry::Ca),
        runtime: match kubelet.runtime {
            config::Runtime::Auto => RuntimeChoice::Auto,
            config::Runtime::Dockershim => RuntimeChoice::Dockershim,
            config::Runtime::Containerd => RuntimeChoice::Containerd,
            config::Runtime::CriDockerd => RuntimeChoice::CriDockerd,
        },
        sockets,
        cgroup_driver: match kubelet.cgroup_driver {
            config::CgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
            config::CgroupDriver::Systemd => CgroupDriver::Systemd,
        },
        cni: kubelet.cni,
        pause_image: kubelet.pause_image.clone(),
        cluster_dns: kubelet.cluster_dns.clone(),
        fail_on_swap: kubelet.fail_on_swap,
        healthz_port: kubelet.healthz_port,
        port: kubelet.port,
        overrides: kubelet.overrides.clone(),
        flags: kubelet.flags.clone(),
        ..usual
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::Probe as CheckProbe;

    const FILE: &str = r#"
        [cluster]
        name = "c"
        [[node]]
        name = "m1"
        role = "master"
        addresses = ["10.0.0.11"]
        [[node]]
        name = "m2"
        role = "master"
        addresses = ["10.0.0.12"]
        [[node]]
        name = "w1"
        role = "worker"
        addresses = ["10.0.0.21"]
        [[virtual_router]]
        name = "api"
        vrid = 51
        interface = "eth0"
        addresses = ["10.0.0.10"]
        [supervisor]
        backend = "exec"
        [images]
        dir = "/images"
        [etcd]
        image = "etcd:3.5.21"
        data_dir = "/data/{node}"
        [kubernetes]
        version = "v1.33.4"
        [kubelet]
        flags = { cgroup-root = "/nodes/{node}" }
    "#;

    fn plan(text: &str, node: &str) -> UnitsPlan {
        let config = config::parse(text, "file").unwrap_or_else(|error| panic!("{error}"));
        UnitsPlan::of(&config, config.for_node(&node.parse().unwrap()).unwrap()).unwrap()
    }

    /// Each unit with what it needs.
    fn graph(text: &str, node: &str) -> Vec<String> {
        let parts = parts(&plan(text, node), Path::new("/state")).unwrap();
        let line = |spec: &Spec| {
            let needs: Vec<&str> = spec.requires.iter().map(Name::as_str).collect();
            format!("{} ({}): {}", spec.name, spec.kind.as_str(), needs.join(" "))
        };
        parts.specs().map(line).collect()
    }

    #[test]
    fn a_master_has_etcd_between_images_and_kubelet() {
        let expected = [
            "dockerd (exec): ",
            "images (task): dockerd",
            "etcd (container): images",
            "kubelet (exec): etcd",
        ];
        assert_eq!(graph(FILE, "m1"), expected);
    }

    #[test]
    fn a_worker_has_no_etcd() {
        let expected = ["dockerd (exec): ", "images (task): dockerd", "kubelet (exec): images"];
        assert_eq!(graph(FILE, "w1"), expected);
    }

    #[test]
    fn what_is_left_out_is_not_waited_for() {
        let file = FILE.replace("[images]\n        dir = \"/images\"", "");
        assert_eq!(graph(&file, "w1"), ["dockerd (exec): ", "kubelet (exec): dockerd"]);
    }

    #[test]
    fn systemd_carries_dockerd_and_kubelet_where_it_is_the_backend() {
        let file = FILE.replace("\"exec\"", "\"systemd\"");
        let kinds: Vec<String> = graph(&file, "w1");
        assert!(kinds[0].contains("systemd") && kinds[2].contains("systemd"), "{kinds:?}");
    }

    #[test]
    fn kubelet_is_told_what_the_configuration_says() {
        let plan = plan(FILE, "w1");
        let settings = kubelet_settings(plan.supervised.kubelet.as_ref().unwrap(), &plan).unwrap();
        assert_eq!(settings.flags["cgroup-root"], "/nodes/w1");
        assert_eq!(settings.cgroup_driver, CgroupDriver::Cgroupfs);
        assert_eq!(settings.client_ca.to_str(), Some("/etc/kubernetes/pki/ca.crt"));
    }

    #[test]
    fn the_check_of_etcd_asks_the_member_of_this_node() {
        let check = plan(FILE, "m2").etcd_check(Path::new("/state")).unwrap();
        let CheckProbe::Etcd(member) = &check.probe else { panic!("{check:?}") };
        assert_eq!(member.settings.me.name, "m2");
        assert_eq!(member.settings.others.len(), 1);
        assert_eq!(member.settings.data_dir.to_str(), Some("/data/m2"));
        assert_eq!(plan(FILE, "w1").etcd_check(Path::new("/state")), None);
        let none = FILE.replace("[etcd]", "[etcd]\n        degrades = []");
        assert_eq!(plan(&none, "m2").etcd_check(Path::new("/state")), None);
    }
}
