//! The certificates of the lab's apiservers, made anew for each lab.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::{Family, LabError, Node};

/// Who signed an apiserver's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The one that clients and checks trust.
    Trusted,
    /// One of the same name that nobody trusts.
    Other,
}

impl Authority {
    const fn stem(self) -> &'static str {
        match self {
            Self::Trusted => "server",
            Self::Other => "other",
        }
    }
}

/// A folder with `ca.crt`, `server.crt` and `server.key`, and `other.crt` and `other.key`, which
/// another authority of the same name signed. One server certificate is good for all routers.
#[derive(Clone, Debug)]
pub struct Pki(PathBuf);

impl Pki {
    /// The one in `folder`; made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn ensure(folder: &Path) -> Result<Self, LabError> {
        let pki = Self(folder.to_owned());
        if !pki.ca().exists() {
            pki.make().map_err(LabError::instrument("making certificates"))?;
        }
        Ok(pki)
    }

    /// The one in `folder`, which is there.
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The file of the authority that clients trust.
    pub fn ca(&self) -> PathBuf {
        self.0.join("ca.crt")
    }

    fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let trusted = self.sign(Authority::Trusted)?;
        self.sign(Authority::Other)?;
        // Last: it says that all is there.
        fs::write(self.ca(), trusted)
    }

    /// Makes an authority, and a server's certificate by it; returns the authority's.
    fn sign(&self, authority: Authority) -> io::Result<String> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        let own = params.self_signed(&key).map_err(io::Error::other)?;
        let issuer = Issuer::new(params, key);

        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(names()).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        let server = params.signed_by(&key, &issuer).map_err(io::Error::other)?;
        fs::write(self.0.join(authority.stem()).with_extension("crt"), server.pem())?;
        fs::write(self.0.join(authority.stem()).with_extension("key"), key.serialize_pem())?;
        Ok(own.pem())
    }

    /// What a server needs that shows the certificate which `authority` signed.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub fn server(&self, authority: Authority) -> io::Result<Arc<ServerConfig>> {
        let stem = self.0.join(authority.stem());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(stem.with_extension("crt"))
            .map_err(io::Error::other)?
            .collect();
        let key =
            PrivateKeyDer::from_pem_file(stem.with_extension("key")).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain.map_err(io::Error::other)?, key)
            .map_err(io::Error::other)?;
        Ok(Arc::new(config))
    }

    /// What a client needs that trusts this authority alone. Each connection begins anew: sessions
    /// are not resumed.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub fn client(&self) -> io::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.ca()).map_err(io::Error::other)?;
        roots.add(ca).map_err(io::Error::other)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// By what names a server may be asked for.
fn names() -> Vec<String> {
    let nodes = (1..=12).filter_map(Node::new);
    let own = nodes.flat_map(|node| [IpAddr::V4(node.address()), IpAddr::V6(node.address6())]);
    let vips = [Family::Ipv4, Family::Ipv6].map(Family::vip);
    let loopback =
        ["localhost", "127.0.0.1", "::1", "kubernetes", "apiserver.lab"].map(str::to_owned);
    loopback.into_iter().chain(own.chain(vips).map(|address| address.to_string())).collect()
}
