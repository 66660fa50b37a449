//! A unit in a container of dockerd.
//!
//! The container carries labels: which unit of which cluster it is, and what it was made from. By them a restarted mainstay
//! finds it again and knows whether it is still what is asked for. A stopped container that is started from the same
//! specification and image with no arguments for once is started again, so that its output stays readable.

mod fixed;
mod logs;
mod request;
mod run_once;
mod spec;
mod state;

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::ContainerWaitResponse;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
    WaitContainerOptions,
};
use futures_util::StreamExt;

use crate::backend::{Ended, Fault, Identity, Running};
use crate::docker::{Client, Error, Images};

pub use fixed::ContainerBackend;
pub use run_once::Output;
pub use spec::{BindMount, ContainerSpec, LogLimit, Ulimit};
pub use state::Found;

/// Label: the unit's name.
pub const UNIT: &str = "io.mainstay.unit";
/// Label: the cluster's name.
pub const CLUSTER: &str = "io.mainstay.cluster";
/// Label: the hash of the specification that the container was made from.
pub const SPEC_HASH: &str = "io.mainstay.spec-hash";
/// Label: that specification itself, as JSON, to say what has changed.
const SPEC: &str = "io.mainstay.spec";
/// Label: arguments that were for one start alone.
const ONCE: &str = "io.mainstay.once";

/// An answer of dockerd's to "wait" that never comes is not waited for longer than this.
const RECHECK: Duration = Duration::from_secs(30);
/// How often a dockerd that is away is looked for.
const AWAY: Duration = Duration::from_millis(250);

/// Whose container it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The unit's name.
    pub unit: String,
    /// The cluster's name.
    pub cluster: String,
}

/// The container of one unit, whatever it is made from at a time: for backends that have guards and decide at each start.
/// [`ContainerBackend`] is for those that do not.
#[derive(Clone, Debug)]
pub struct Container {
    client: Client,
    labels: Labels,
    images: Option<Images>,
}

impl Container {
    /// The container of a unit. What is missing is looked for in `images`, if there is such a folder.
    pub fn new(client: Client, labels: Labels, images: Option<Images>) -> Self {
        Self { client, labels, images }
    }

    /// What dockerd is asked by.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it is called: `mainstay-etcd`.
    pub fn name(&self) -> String {
        format!("mainstay-{}", self.labels.unit)
    }

    /// Looks for it by its labels; if there are several, for the one that is `known`, or that runs.
    ///
    /// # Errors
    /// If dockerd does not answer.
    pub async fn find(&self, known: Option<&Identity>) -> Result<Option<Found>, Fault> {
        self.look(known).await.map_err(|error| error.while_doing("cannot list containers"))
    }

    async fn look(&self, known: Option<&Identity>) -> Result<Option<Found>, Error> {
        let labels = [(UNIT, &self.labels.unit), (CLUSTER, &self.labels.cluster)];
        let labels = labels.map(|(label, value)| format!("{label}={value}")).to_vec();
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&HashMap::from([("label", labels)]))
            .build();
        let list = self.client.ask(async |docker| docker.list_containers(Some(options)).await);
        let mut best: Option<Found> = None;
        // Newest first.
        for id in list.await?.into_iter().filter_map(|container| container.id) {
            let Some(found) = self.inspect(&id).await? else { continue };
            if matches!(known, Some(Identity::Container { id, .. }) if *id == found.id) {
                return Ok(Some(found));
            }
            let better = best.as_ref().is_none_or(|best| found.is_running() && !best.is_running());
            if better {
                best = Some(found);
            }
        }
        Ok(best)
    }

    /// Looks at one container by its id; `None` if there is none.
    ///
    /// # Errors
    /// If dockerd does not answer.
    pub async fn inspect(&self, id: &str) -> Result<Option<Found>, Error> {
        let options = None::<InspectContainerOptions>;
        let answer = self.client.ask(async |docker| docker.inspect_container(id, options).await);
        match answer.await {
            Ok(inspected) => Ok(Some(Found::new(inspected))),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What runs already, of whatever specification; `spec` tells whether it has drifted.
    ///
    /// # Errors
    /// If dockerd does not answer.
    pub async fn adopt(
        &self,
        known: Option<&Identity>,
        spec: &ContainerSpec,
    ) -> Result<Option<Running>, Fault> {
        let Some(found) = self.find(known).await?.filter(Found::is_running) else {
            return Ok(None);
        };
        let image_id = self.image_id(spec).await.ok().flatten();
        Ok(Some(found.running(spec, image_id.as_deref())))
    }

    async fn image_id(&self, spec: &ContainerSpec) -> Result<Option<String>, Error> {
        crate::docker::image_id(&self.client, &spec.image).await
    }

    /// Starts it, with `once` after the command for this start alone; the hash does not cover them. What runs already is
    /// taken as it is.
    ///
    /// # Errors
    /// If dockerd does not answer or refuses. A refusal that lasts, where the image or what is to be bound is missing or
    /// the name is taken by a stranger.
    pub async fn start(&self, spec: &ContainerSpec, once: &[String]) -> Result<Running, Fault> {
        if let Some(missing) = spec.mounts.iter().find(|mount| !mount.source.exists()) {
            return Err(Fault::refused(format!(
                "{} is not there for {} to use: mount its disk, or make it",
                missing.source.display(),
                self.labels.unit
            )));
        }
        let image_id = self.image(spec).await?;
        if let Some(found) = self.find(None).await? {
            if found.is_running() {
                return Ok(found.running(spec, Some(&image_id)));
            }
            let same = once.is_empty()
                && !found.has_arguments_for_once()
                && found.drift(spec, Some(&image_id)).is_none();
            if same {
                return self.set_off(&found.id, spec, &image_id).await;
            }
            self.remove_container(&found.id).await?;
        }
        let id = self.create(spec, once).await?;
        match self.set_off(&id, spec, &image_id).await {
            Err(fault) if refuses_oom_score_adj(spec, &fault) => {
                tracing::warn!(
                    unit = self.labels.unit,
                    "this machine refuses an oom_score_adj of {}: the container runs without",
                    spec.oom_score_adj.unwrap_or_default()
                );
                self.remove_container(&id).await?;
                let id = self.create_without_oom_score_adj(spec, once).await?;
                self.set_off(&id, spec, &image_id).await
            }
            result => result,
        }
    }

    /// The image's id; loads it from the folder if it is missing.
    async fn image(&self, spec: &ContainerSpec) -> Result<String, Fault> {
        let fault = |error: Error| error.while_doing("cannot look for the image");
        if let Some(id) = self.image_id(spec).await.map_err(fault)? {
            return Ok(id);
        }
        let mut problems = String::new();
        if let Some(images) = &self.images {
            for (file, problem) in images.load(&self.client).await?.failed {
                problems.push_str(&format!(" ({}: {problem})", file.display()));
            }
            if let Some(id) = self.image_id(spec).await.map_err(fault)? {
                return Ok(id);
            }
        }
        let image = &spec.image;
        Err(Fault::refused(match &self.images {
            Some(images) => format!(
                "image {image} is not on this node: put its tarball, made with `docker save {image}`, \
                 into {}, or run `docker pull {image}`{problems}",
                images.folder().display()
            ),
            None => format!("image {image} is not on this node: run `docker pull {image}`"),
        }))
    }

    async fn create(&self, spec: &ContainerSpec, once: &[String]) -> Result<String, Fault> {
        let labels = request::labels(&self.labels, spec, once);
        self.create_from(request::body(spec, labels, once), &self.name()).await
    }

    /// With the labels of `spec` as it is, so that only the missing value is drift.
    async fn create_without_oom_score_adj(
        &self,
        spec: &ContainerSpec,
        once: &[String],
    ) -> Result<String, Fault> {
        let labels = request::labels(&self.labels, spec, once);
        let spec = ContainerSpec { oom_score_adj: None, ..spec.clone() };
        self.create_from(request::body(&spec, labels, once), &self.name()).await
    }

    async fn create_from(
        &self,
        body: bollard::models::ContainerCreateBody,
        name: &str,
    ) -> Result<String, Fault> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let made = self
            .client
            .ask(async |docker| docker.create_container(Some(options), body).await)
            .await;
        match made {
            Ok(made) => {
                for warning in &made.warnings {
                    tracing::warn!(unit = self.labels.unit, "docker: {warning}");
                }
                Ok(made.id)
            }
            Err(Error::Answered { status: 409, .. }) => Err(Fault::refused(format!(
                "there is a container {name} that is not mainstay's: rename or remove it \
                 (docker rename {name} ..., docker rm {name})"
            ))),
            Err(error) => Err(error.while_doing("cannot create the container")),
        }
    }

    async fn set_off(
        &self,
        id: &str,
        spec: &ContainerSpec,
        image_id: &str,
    ) -> Result<Running, Fault> {
        let options = None::<StartContainerOptions>;
        let started = self.client.ask(async |docker| docker.start_container(id, options).await);
        started.await.map_err(|error| error.while_doing("cannot start the container"))?;
        match self.inspect(id).await {
            Ok(Some(found)) => Ok(found.running(spec, Some(image_id))),
            Ok(None) => Err(Fault::passing("the container was removed while it started")),
            Err(error) => Err(error.while_doing("cannot look at the container")),
        }
    }

    /// Stops it: its stop signal, and SIGKILL once `patience` is over. One that is gone is stopped.
    ///
    /// # Errors
    /// If dockerd does not answer or refuses.
    pub async fn stop(&self, id: &str, patience: Duration) -> Result<(), Fault> {
        let seconds = i32::try_from(patience.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let stopped = self
            .client
            .ask_patiently(patience, async |docker| docker.stop_container(id, Some(options)).await);
        match stopped.await {
            Err(error) if !error.is_absent() => Err(error.while_doing("cannot stop the container")),
            _ => Ok(()),
        }
    }

    /// Removes it, with its output, running or not. What it has written to folders of the host stays.
    ///
    /// # Errors
    /// If dockerd does not answer or refuses.
    pub async fn remove(&self) -> Result<(), Fault> {
        while let Some(found) = self.find(None).await? {
            self.remove_container(&found.id).await?;
        }
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<(), Fault> {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed =
            self.client.ask(async |docker| docker.remove_container(id, Some(options)).await);
        match removed.await {
            Err(error) if !error.is_absent() => {
                Err(error.while_doing("cannot remove the container"))
            }
            _ => Ok(()),
        }
    }

    /// Waits until it has ended. dockerd may be restarted meanwhile: what outlived that has not ended.
    pub async fn ended(&self, id: &str) -> Ended {
        let mut interrupted = false;
        loop {
            match self.inspect(id).await {
                Ok(None) => {
                    let reason = "the container was removed".to_owned();
                    return Ended { reason, success: false };
                }
                Ok(Some(found)) if !found.is_running() => {
                    let with_dockerd = interrupted && !self.outlive_dockerd().await;
                    return found.ended(with_dockerd);
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    interrupted |= matches!(error, Error::Away { .. });
                    tokio::time::sleep(AWAY).await;
                    continue;
                }
            }
            // Ended, or no answer: either way it is looked at again.
            if let Ok(Err(error)) = tokio::time::timeout(RECHECK, self.wait(id)).await {
                interrupted |= matches!(error, Error::Away { .. });
                tokio::time::sleep(AWAY).await;
            }
        }
    }

    async fn outlive_dockerd(&self) -> bool {
        self.client.info().await.is_ok_and(|info| info.live_restore)
    }

    /// Waits for dockerd to say that it does not run.
    async fn wait(&self, id: &str) -> Result<(), Error> {
        let ask = async |docker: &bollard::Docker| {
            let mut answers =
                std::pin::pin!(docker.wait_container(id, None::<WaitContainerOptions>));
            match answers.next().await {
                Some(Ok(ContainerWaitResponse { .. })) => Ok(()),
                // bollard's way to say that it did not end with 0.
                Some(Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
                Some(Err(error)) => Err(error),
                None => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            }
        };
        self.client.ask_patiently(RECHECK, ask).await
    }
}

/// runc says so where the machine lacks CAP_SYS_RESOURCE: its child cannot write the value and dies, or says why.
fn refuses_oom_score_adj(spec: &ContainerSpec, fault: &Fault) -> bool {
    let negative = spec.oom_score_adj.is_some_and(|value| value < 0);
    let words = ["oom_score_adj", "can't get final child's PID from pipe"];
    negative && words.iter().any(|words| fault.reason.contains(words))
}
