//! Runs kubelet: renders it for what the node is like at each start, and has it carried by systemd or as a process of ours.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use super::{Rendered, Settings, render, runtime, unit_file};
use crate::backend::exec::{Exec, ExecSpec, Place};
use crate::backend::hash::spec_hash;
use crate::backend::systemd::Systemd;
use crate::backend::{Backend, Ended, Fault, Identity, Logs, Pending, Readiness, Running};
use crate::readiness::{self, Probe};
use crate::unit::Name;

/// Tells in kubelet's environment which configuration file it was started with.
const CONFIGURATION: &str = "MAINSTAY_KUBELET_CONFIGURATION";

/// What runs kubelet.
#[derive(Clone)]
pub enum Carrier {
    /// systemd, as this unit: with a drop-in of ours if it is somebody else's, and else as a unit of ours.
    Systemd(Systemd),
    /// mainstay itself.
    Exec {
        /// The unit's name.
        unit: Name,
        /// Where its log goes.
        place: Place,
    },
}

/// The unit `kubelet`.
#[derive(Clone)]
pub struct Kubelet {
    settings: Settings,
    carried: Carried,
}

/// What runs kubelet, without what it is to run.
#[derive(Clone)]
enum Carried {
    Systemd(Systemd),
    Exec(Exec),
}

impl Kubelet {
    /// A kubelet that `carrier` runs.
    pub fn new(settings: Settings, carrier: Carrier) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.healthz_port));
        let place = readiness::Place::Tcp(address);
        let probe = Probe::Http { place, path: "/healthz".into() };
        let carried = match carrier {
            Carrier::Systemd(systemd) => Carried::Systemd(systemd.ready_when(probe)),
            Carrier::Exec { unit, place } => {
                Carried::Exec(Exec::new(unit, ExecSpec::new(&settings.binary), probe, place))
            }
        };
        Self { settings, carried }
    }

    async fn rendered(&self) -> Result<Rendered, Fault> {
        let Settings { version, runtime, sockets, .. } = &self.settings;
        let runtime = runtime::choose(*version, *runtime, sockets).await?;
        Ok(render(&self.settings, &runtime))
    }

    /// What carries a kubelet that was rendered so.
    async fn carried(&self, rendered: &Rendered) -> Result<Box<dyn Backend>, Fault> {
        let mut spec = ExecSpec::new(&self.settings.binary);
        spec.args.clone_from(&rendered.arguments);
        spec.env.insert(CONFIGURATION.into(), spec_hash(&rendered.configuration));
        match &self.carried {
            Carried::Systemd(systemd) => {
                let free = systemd.is_free().await?;
                let ours = if free { unit_file::unit(&spec) } else { unit_file::drop_in(&spec) };
                Ok(Box::new(systemd.clone().with_ours(ours)))
            }
            Carried::Exec(exec) => Ok(Box::new(exec.with_spec(spec))),
        }
    }

    /// For what does not depend on how kubelet is started.
    fn bare(&self) -> &dyn Backend {
        match &self.carried {
            Carried::Systemd(systemd) => systemd,
            Carried::Exec(exec) => exec,
        }
    }

    /// Makes what kubelet needs on the disk, on a thread for that, since disks hang.
    async fn prepare(&self, rendered: &Rendered) -> Result<(), Fault> {
        let (settings, configuration) = (self.settings.clone(), rendered.configuration.clone());
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&settings, &configuration)).await;
        prepared
            .map_err(|error| Fault::passing(format!("mainstay is short of threads: {error}")))?
    }
}

fn prepare(settings: &Settings, configuration: &str) -> Result<(), Fault> {
    if !settings.binary.exists() {
        return Err(Fault::passing(format!(
            "{} is not there: install kubelet {} (with backend = \"exec\", [kubelet] program may name another place)",
            settings.binary.display(),
            settings.version
        )));
    }
    if !settings.client_ca.exists() {
        return Err(Fault::passing(format!(
            "kubelet needs {}: run `mainstay certs issue` on the first master, copy the file to the others and to workers",
            settings.client_ca.display()
        )));
    }
    if let Some(kubeconfig) = settings.kubeconfig.as_ref().filter(|it| !it.exists()) {
        return Err(Fault::passing(format!(
            "kubelet needs {}: put the node's kubeconfig there, or take [kubelet] kubeconfig out to run static pods only",
            kubeconfig.display()
        )));
    }
    let failed = |path: &Path, error: &io::Error| {
        Fault::passing(format!("cannot write {}: {error}", path.display()))
    };
    for folder in [&settings.static_pods, &settings.folder] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
        made.map_err(|error| failed(folder, &error))?;
    }
    let path = &settings.configuration;
    write(path, configuration).map_err(|error| failed(path, &error))
}

/// Writes the file whole, in the place of the one that is there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(folder)?.sync_all()
}

impl Backend for Kubelet {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        Box::pin(async move {
            match self.rendered().await {
                Ok(rendered) => self.carried(&rendered).await?.adopt(known).await,
                // Without a container runtime just now: a kubelet that runs is adopted all the same, and not judged.
                Err(_) => {
                    let found = self.bare().adopt(known).await?;
                    Ok(found.map(|it| Running { drift: None, ..it }))
                }
            }
        })
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(async move {
            let rendered = self.rendered().await?;
            self.prepare(&rendered).await?;
            self.carried(&rendered).await?.start().await
        })
    }

    fn stop<'a>(
        &'a self,
        what: &'a Identity,
        patience: Duration,
    ) -> Pending<'a, Result<(), Fault>> {
        self.bare().stop(what, patience)
    }

    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended> {
        self.bare().ended(what)
    }

    fn readiness<'a>(&'a self, what: &'a Identity) -> Pending<'a, Readiness> {
        self.bare().readiness(what)
    }

    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        self.bare().logs(lines, follow)
    }
}
