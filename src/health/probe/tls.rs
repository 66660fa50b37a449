//! Who is believed, and who we are: read from files that may be renewed at any time.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self};
use tokio_rustls::rustls::{CertificateError, ClientConfig, RootCertStore};

use super::connect::is_hang_up;
use crate::config::{Identity, Tls};
use crate::health::sample::{Outcome, Sample};
use crate::health::slow::Kept;
use crate::health::words::shown;

/// Where distributions keep the certificates of the system.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// No file of certificates is larger, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Of the names in a certificate so many are told.
const MAX_NAMES: usize = 8;
const MAX_TOLD: usize = 200;

/// The files of a check, and what was last read from them.
pub struct TlsFiles {
    tls: Tls,
    kept: Kept<Loaded>,
}

/// What was read, and from which files.
#[derive(Clone)]
struct Loaded {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

/// Tells whether a file is still the one that was read.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl TlsFiles {
    pub fn new(tls: &Tls) -> Self {
        Self { tls: tls.clone(), kept: Kept::default() }
    }

    /// The name that the server's certificate has to be for.
    pub fn server_name(&self) -> ServerName<'static> {
        self.tls.server_name.clone()
    }

    /// What the files say now. While they cannot be read, as in the middle of their renewal, what
    /// they said before, with a warning.
    pub async fn config(&mut self) -> Result<(Arc<ClientConfig>, Option<String>), Sample> {
        let (tls, last) = (self.tls.clone(), self.kept.last().cloned());
        match self.kept.get(move || load(&tls, last)).await {
            Ok(have) => {
                let warning = have.stale.map(|why| format!("{why}; what was read before is used"));
                Ok((Arc::clone(&have.value.config), warning))
            }
            Err(error) => Err(Sample::fail(error.to_string())),
        }
    }

    /// The files whose certificates are believed, in words.
    fn authorities(&self) -> String {
        match &self.tls.ca {
            Some(ca) => ca.display().to_string(),
            None => "the system's certificates".to_owned(),
        }
    }
}

/// Reads the files, unless they are those of `last`.
fn load(tls: &Tls, last: Option<Loaded>) -> io::Result<Loaded> {
    let ca = tls.ca.clone().map_or_else(system, Ok)?;
    let mut files = vec![ca.as_path()];
    if let Some(Identity { cert, key }) = &tls.identity {
        files.extend([cert.as_path(), key.as_path()]);
    }
    let stamps = files.iter().map(|file| stamp(file)).collect::<io::Result<Vec<_>>>()?;
    if let Some(last) = last.filter(|last| last.stamps == stamps) {
        return Ok(last);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots(&ca)?);
    let mut config = match &tls.identity {
        None => config.with_no_client_auth(),
        Some(Identity { cert, key }) => {
            let chain = certificates(cert)?;
            let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
                .map_err(|error| refuse(key, &no_pem(&error)))?;
            config.with_client_auth_cert(chain, secret).map_err(|error| {
                refuse(key, &format!("does not fit {}: {error}", cert.display()))
            })?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed connection would not look at the certificate again.
    config.resumption = Resumption::disabled();
    Ok(Loaded { stamps, config: Arc::new(config) })
}

fn system() -> io::Result<PathBuf> {
    SYSTEM.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
        io::Error::other("the system has no file of certificates: set `ca` to the cluster's")
    })
}

fn stamp(file: &Path) -> io::Result<Stamp> {
    let it = std::fs::metadata(file).map_err(|error| refuse(file, &error.to_string()))?;
    Ok(Stamp {
        inode: (it.dev(), it.ino()),
        length: it.len(),
        modified: (it.mtime(), it.mtime_nsec()),
        changed: (it.ctime(), it.ctime_nsec()),
    })
}

fn roots(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(file)?);
    if added == 0 {
        return Err(refuse(file, "has no certificate that can sign others"));
    }
    Ok(roots)
}

/// The certificates of a file, at least one.
fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let bytes = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(refuse(file, "has no certificate in PEM")),
        Err(error) => Err(refuse(file, &no_pem(&error))),
    }
}

fn no_pem(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "has no private key in PEM".to_owned(),
        other => format!("is no PEM: {other:?}"),
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|it| it.take(MAX_FILE).read_to_end(&mut bytes));
    opened.map_err(|error| refuse(file, &error.to_string()))?;
    Ok(bytes)
}

fn refuse(file: &Path, why: &str) -> io::Error {
    io::Error::other(format!("the file {} cannot be used: {why}", file.display()))
}

/// Why there is no TLS.
pub fn no_agreement(error: &io::Error, files: &TlsFiles) -> Sample {
    let Some(error) = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>()) else {
        return if is_hang_up(error) {
            Sample::new(Outcome::Broken, "it hung up before it agreed on TLS")
        } else {
            Sample::fail(format!("no TLS: {error}"))
        };
    };
    match error {
        // Two clusters' authorities mostly have the same name: then only the signature differs.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => Sample::fail(format!(
            "its certificate is signed by nobody in {}: is that the cluster's CA?",
            files.authorities()
        )),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName,
        ) => {
            let name = files.tls.server_name.to_str();
            Sample::fail(format!("its certificate is not for {name}{}", presented(error)))
        }
        other => Sample::fail(in_words(other)),
    }
}

/// The names that the certificate is for, and what to do with them.
fn presented(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
        presented,
        ..
    }) = error
    else {
        return ": set server_name to a name that it has".to_owned();
    };
    let names: Vec<_> = presented.iter().take(MAX_NAMES).map(|name| bare(name)).collect();
    if names.is_empty() {
        return ", and for no other name".to_owned();
    }
    format!(" but for {}: set server_name to one of them", shown(&names.join(", "), MAX_TOLD))
}

/// `DnsName("m1")` without what is around it.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// What an error of TLS means.
pub fn in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate has expired: renew it, or set this node's clock".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet: is this node's clock right?".to_owned(),
        rustls::Error::InvalidCertificate(why) => {
            format!("its certificate is refused: {}", shown(&why.to_string(), MAX_TOLD))
        }
        rustls::Error::AlertReceived(alert) => {
            format!("it refuses TLS with us: {alert:?}; does it want a client certificate?")
        }
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => format!("no TLS: {}", shown(&other.to_string(), MAX_TOLD)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_people_write_them() {
        assert_eq!(bare("DnsName(\"kubernetes\")"), "kubernetes");
        assert_eq!(bare("IpAddress(10.96.0.1)"), "10.96.0.1");
        assert_eq!(bare("other"), "other");
    }
}
