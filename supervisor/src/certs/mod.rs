//! The certificates of a master, in kubeadm's folder layout: [`issue()`] makes what is missing, [`check()`] looks at what is there.
//!
//! Nothing that is there is ever overwritten: a PKI of kubeadm's or of an operator's is taken as it is. Each master makes its own
//! certificates; the authorities and the key of the service accounts are made once, by the first master, and copied.

mod check;
mod entry;
mod error;
mod files;
mod issue;
mod name;
mod report;
mod x509;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub use check::check;
pub use entry::Entry;
pub use error::IssueError;
pub use issue::{Issued, Mode, issue};
pub use name::{InvalidName, Name};
pub use report::{Item, Problem, Report, Severity};

/// kubeadm's folder.
pub const DEFAULT_FOLDER: &str = "/etc/kubernetes/pki";

/// Whose certificates they are, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where they are: [`DEFAULT_FOLDER`].
    pub folder: PathBuf,
    /// The node's name: what etcd calls its member.
    pub node: String,
    /// The node's own addresses, without virtual ones.
    pub addresses: Vec<IpAddr>,
    /// What else the API server is called by: the virtual addresses, the first address of the services, names in DNS.
    pub api_names: Vec<Name>,
    /// The domain of the cluster's services: `cluster.local`.
    pub service_domain: String,
}

impl Settings {
    /// Where an entry's certificate is.
    pub fn certificate(&self, entry: Entry) -> PathBuf {
        certificate(&self.folder, entry)
    }

    /// Where an entry's private key is.
    pub fn key(&self, entry: Entry) -> PathBuf {
        key(&self.folder, entry)
    }
}

/// Where an entry's certificate is in a folder of kubeadm's layout.
pub fn certificate(folder: &Path, entry: Entry) -> PathBuf {
    folder.join(format!("{}.crt", entry.stem()))
}

/// Where an entry's private key is in a folder of kubeadm's layout.
pub fn key(folder: &Path, entry: Entry) -> PathBuf {
    folder.join(format!("{}.key", entry.stem()))
}

/// Where the pair of keys is that the service accounts' tokens are signed and verified with: private, public.
pub fn service_account_keys(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("sa.key"), folder.join("sa.pub"))
}
