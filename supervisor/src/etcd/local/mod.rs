//! The member of this node: which one it is, and how it is asked. How it starts, how it is looked after and what operators
//! do with it are in the files below.

mod adoption;
mod health;
mod operations;
mod start;
mod tending;

pub use adoption::Adoption;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::data::DataDir;
use super::record::{Identity, Read, Record};
use super::restore::blocking;
use super::rpc::Client;
use super::rpc::messages::StatusResponse;
use super::settings::Settings;
use super::{Error, Mesh, Node};

/// A healthy member answers within milliseconds; a busy disk holds it up.
const PATIENCE: Duration = Duration::from_secs(2);

/// etcd's member on this node.
#[derive(Debug)]
pub struct Member {
    settings: Settings,
    state_dir: PathBuf,
    /// What is on the disk for certain, so that it is not read and written with every question.
    settled: Mutex<Option<Identity>>,
    /// Why another start would end as the last one did, until somebody has acted.
    hopeless: Mutex<Option<&'static str>>,
    /// A connection to the local member that has answered.
    client: Mutex<Option<Client>>,
}

impl Member {
    /// What is remembered lies in `state_dir`.
    pub fn new(settings: Settings, state_dir: PathBuf) -> Self {
        Self {
            settings,
            state_dir,
            settled: Mutex::new(None),
            hopeless: Mutex::new(None),
            client: Mutex::new(None),
        }
    }

    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The cluster as this node reaches it.
    pub fn mesh(&self) -> Mesh {
        Mesh::new(self.settings.access(), self.settings.client_urls())
    }

    async fn ask(&self) -> Result<StatusResponse, Error> {
        let kept = lock(&self.client).clone();
        if let Some(client) = kept
            && let Ok(status) = client.status().await
        {
            return Ok(status);
        }
        // A new one reads the certificates again.
        let access = self.settings.access().with_patience(PATIENCE);
        let client = access.client(&self.settings.local_url()).await?;
        let status = client.status().await;
        *lock(&self.client) = status.is_ok().then_some(client);
        status
    }

    async fn client(&self) -> Result<Client, Error> {
        self.settings.access().client(&self.settings.local_url()).await
    }

    /// The cluster without this node's member, which does not run or is to go.
    fn others(&self) -> Mesh {
        let urls = self.settings.others.iter().map(Node::client_url).collect();
        Mesh::new(self.settings.access(), urls)
    }

    async fn look_or_error(&self) -> Result<(DataDir, Read), Error> {
        let (settings, state_dir) = (self.settings.clone(), self.state_dir.clone());
        blocking(move || Ok((settings.data(), Record::load(&state_dir)?))).await
    }

    async fn remember(&self, record: Record) -> Result<(), Error> {
        let known = match &record {
            Record::Member(identity) => Some(identity.clone()),
            _ => None,
        };
        let state_dir = self.state_dir.clone();
        blocking(move || record.save(&state_dir)).await?;
        *lock(&self.hopeless) = None;
        self.know(known);
        Ok(())
    }

    fn known(&self) -> Option<Identity> {
        lock(&self.settled).clone()
    }

    fn know(&self, identity: Option<Identity>) {
        *lock(&self.settled) = identity;
    }
}

/// What is behind these locks is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
