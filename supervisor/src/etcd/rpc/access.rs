//! With which certificates etcd is spoken to, and how long an answer may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::Client;
use crate::etcd::Error;

/// How long a connection may take: a node that is switched off does not answer at all.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take. etcd itself gives up a proposal after 7 s at its default election timeout.
const ANSWER: Duration = Duration::from_secs(8);
/// A connection on which nothing comes back for this long, not even an answer to a ping, is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A client's certificate, its key, and the authority that etcd's certificates are checked against, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority of etcd's server certificates.
    pub ca: PathBuf,
    /// The client's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files of kubeadm's layout for whoever asks whether etcd is well; `pki` is the folder that holds etcd's `ca.crt`,
    /// `/etc/kubernetes/pki/etcd` by default.
    pub fn healthcheck_client(pki: &Path) -> Self {
        Self {
            ca: pki.join("ca.crt"),
            certificate: pki.join("healthcheck-client.crt"),
            key: pki.join("healthcheck-client.key"),
        }
    }
}

/// How to reach members of an etcd cluster.
#[derive(Clone, Debug)]
pub struct Access {
    tls: Option<TlsFiles>,
    connect: Duration,
    answer: Duration,
}

impl Access {
    /// With TLS and a client certificate, or in clear text where `tls` is `None`.
    pub fn new(tls: Option<TlsFiles>) -> Self {
        Self { tls, connect: CONNECT, answer: ANSWER }
    }

    /// The same, but nobody is waited for longer than `patience`.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.connect = self.connect.min(patience);
        self.answer = self.answer.min(patience);
        self
    }

    /// A client of the member at `url`, such as `https://10.0.0.11:2379`. It connects with its first call. The files are
    /// read each time, so that renewed certificates are used.
    ///
    /// # Errors
    /// If the URL or a certificate cannot be read.
    pub async fn client(&self, url: &str) -> Result<Client, Error> {
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|why| Error::Url { url: url.to_owned(), why: why.to_string() })?
            .connect_timeout(self.connect)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        if let Some(files) = &self.tls {
            let ca = Certificate::from_pem(read(&files.ca).await?);
            let identity =
                Identity::from_pem(read(&files.certificate).await?, read(&files.key).await?);
            let tls = ClientTlsConfig::new().ca_certificate(ca).identity(identity);
            endpoint = endpoint.tls_config(tls).map_err(|why| Error::Certificates {
                files: format!(
                    "{}, {} or {}",
                    files.ca.display(),
                    files.certificate.display(),
                    files.key.display()
                ),
                why: super::client::chain(&why),
            })?;
        }
        Ok(Client::new(url.to_owned(), endpoint.connect_lazy(), self.answer))
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|source| Error::Certificates {
        files: path.display().to_string(),
        why: source.to_string(),
    })
}
