//! A client that writes to etcd all the time, knows which of its writes were acknowledged, and looks
//! for them afterwards.
//!
//! It speaks to etcd's JSON gateway, and not by mainstay's own client, which is being tested.

mod base64;
mod connection;
mod writer;
mod written;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

pub use self::writer::Writer;
pub use self::written::{Acknowledged, Found, Written};

use crate::https::Call;
use crate::{Lab, LabError, Node};

/// etcd's port for clients.
const PORT: u16 = 2379;
/// etcd itself gives up after seven seconds; whoever writes then does not know what has come of it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How the members of a lab's etcd are spoken to.
#[derive(Clone, Debug)]
pub struct Access {
    config: Arc<ClientConfig>,
    namespace: String,
}

impl Access {
    /// With a client's certificate that mainstay made on `node`, from the lab's client.
    ///
    /// # Errors
    /// If it is not there.
    pub fn new(lab: &Lab, node: Node) -> Result<Self, LabError> {
        let config = client(&lab.directory(node).join("pki/etcd"))
            .map_err(LabError::instrument("reading etcd's certificates"))?;
        Ok(Self { config, namespace: lab.namespace("client") })
    }

    fn call(&self, node: Node) -> Call {
        Call::new(SocketAddr::from((node.address(), PORT)), Arc::clone(&self.config), TIMEOUT)
    }
}

/// What a client needs that has a certificate, from kubeadm's folder of etcd.
fn client(folder: &Path) -> io::Result<Arc<ClientConfig>> {
    let other = io::Error::other;
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(folder.join("ca.crt")).map_err(io::Error::other)?;
    roots.add(ca).map_err(io::Error::other)?;
    let own = folder.join("healthcheck-client.crt");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&own).map_err(other)?.collect();
    let key = PrivateKeyDer::from_pem_file(own.with_extension("key")).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.map_err(io::Error::other)?, key)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}
