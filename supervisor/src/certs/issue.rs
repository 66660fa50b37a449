//! Makes what is missing of a master's certificates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use time::OffsetDateTime;

use super::files::{self, PRIVATE, PUBLIC, Unusable};
use super::{Entry, IssueError, Settings, service_account_keys, x509};

/// How long an authority is valid, as kubeadm's.
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// How long what it signs is valid, as kubeadm's.
const LIFE: Duration = Duration::from_hours(365 * 24);
/// How far another node's clock may be behind this one's.
const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// Whether authorities may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On the first master of a cluster: they are made if they are missing.
    First,
    /// On one that joins a cluster: it needs those of the cluster.
    Joining,
}

/// What [`issue`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    /// The files that it wrote, in order.
    pub written: Vec<PathBuf>,
    /// The certificates that were there.
    pub kept: Vec<PathBuf>,
}

/// Makes what is missing of a master's certificates and keys. What is there stays as it is.
///
/// Keys are ECDSA P-256, but RSA for the tokens of service accounts, which are verified by strangers. It is made sure that
/// everything can be made before anything is written; a run that was interrupted is completed by the next one.
///
/// # Errors
/// See [`IssueError`]; each says what to do.
pub fn issue(settings: &Settings, mode: Mode, now: SystemTime) -> Result<Issued, IssueError> {
    let folder = Folder { settings, now };
    folder.authorities_are_complete(mode)?;
    folder.keys_are_there()?;
    let mut done = Issued::default();
    let mut authorities = folder.authorities()?;
    for entry in Entry::ALL.into_iter().filter(|it| it.authority().is_none()) {
        if settings.certificate(entry).exists() {
            done.kept.push(settings.certificate(entry));
        } else {
            authorities.insert(entry, folder.make_authority(entry, &mut done)?);
        }
    }
    folder.make_service_account_keys(&mut done)?;
    for entry in Entry::ALL {
        let Some(authority) = entry.authority() else { continue };
        if settings.certificate(entry).exists() {
            done.kept.push(settings.certificate(entry));
        } else if let Some(authority) = authorities.get(&authority) {
            folder.make(entry, authority, &mut done)?;
        }
    }
    Ok(done)
}

/// An authority that can sign.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    not_after: OffsetDateTime,
}

struct Folder<'a> {
    settings: &'a Settings,
    now: SystemTime,
}

impl Folder<'_> {
    /// Those that `authority` has to sign.
    fn unsigned(&self, authority: Entry) -> Vec<PathBuf> {
        let of = |it: &Entry| it.authority() == Some(authority);
        let paths = Entry::ALL.into_iter().filter(of).map(|it| self.settings.certificate(it));
        paths.filter(|it| !it.exists()).collect()
    }

    fn authorities_are_complete(&self, mode: Mode) -> Result<(), IssueError> {
        let mut missing = Vec::new();
        for entry in Entry::ALL.into_iter().filter(|it| it.authority().is_none()) {
            let (certificate, key) = (self.settings.certificate(entry), self.settings.key(entry));
            let unsigned = self.unsigned(entry);
            if certificate.exists() {
                if key.exists() || unsigned.is_empty() {
                    continue;
                }
                match mode {
                    Mode::Joining => missing.push(key),
                    Mode::First => {
                        return Err(IssueError::AuthorityKeyElsewhere { key, unsigned });
                    }
                }
                continue;
            }
            let signed = Entry::ALL.into_iter().filter(|it| it.authority() == Some(entry));
            let signed = signed.map(|it| self.settings.certificate(it)).find(|it| it.exists());
            match (mode, signed) {
                (Mode::Joining, _) => {
                    missing.push(certificate);
                    missing.extend((!key.exists()).then_some(key));
                }
                (Mode::First, Some(signed)) => {
                    return Err(IssueError::AuthorityGone { authority: certificate, signed });
                }
                (Mode::First, None) => {}
            }
        }
        let (private, public) = service_account_keys(&self.settings.folder);
        if mode == Mode::Joining && !private.exists() {
            missing.push(private);
        } else if !private.exists() && public.exists() {
            return Err(IssueError::KeyGone { certificate: public, key: private });
        }
        if missing.is_empty() { Ok(()) } else { Err(IssueError::NotCopied { files: missing }) }
    }

    /// No certificate but an authority's is without its key, and every key that will be used can be.
    fn keys_are_there(&self) -> Result<(), IssueError> {
        for entry in Entry::ALL {
            let (certificate, key) = (self.settings.certificate(entry), self.settings.key(entry));
            if certificate.exists() && !key.exists() && entry.authority().is_some() {
                return Err(IssueError::KeyGone { certificate, key });
            }
            if key.exists() && !certificate.exists() {
                files::private_key(&key).map_err(|why| unusable(&key, &why))?;
            }
            entry.names(self.settings)?;
        }
        let (private, _) = service_account_keys(&self.settings.folder);
        if private.exists() {
            files::private_key(&private).map_err(|why| unusable(&private, &why))?;
        }
        Ok(())
    }

    /// The authorities that are there and have something to sign.
    fn authorities(&self) -> Result<BTreeMap<Entry, Authority>, IssueError> {
        let mut all = BTreeMap::new();
        for entry in Entry::ALL.into_iter().filter(|it| it.authority().is_none()) {
            if self.settings.certificate(entry).exists() && !self.unsigned(entry).is_empty() {
                all.insert(entry, self.authority(entry)?);
            }
        }
        Ok(all)
    }

    fn authority(&self, entry: Entry) -> Result<Authority, IssueError> {
        let (path, key_path) = (self.settings.certificate(entry), self.settings.key(entry));
        let key = files::private_key(&key_path).map_err(|why| unusable(&key_path, &why))?;
        // There may be several, while one is being replaced by another.
        for der in files::certificates(&path).map_err(|why| unusable(&path, &why))? {
            let facts = x509::facts(&der).map_err(|why| unusable(&path, &why))?;
            if facts.public_key != key.public_key_raw() {
                continue;
            }
            let not_after = at(facts.not_after);
            let why = if !facts.authority {
                "may not sign certificates"
            } else if not_after <= at(seconds(self.now)) {
                "has expired"
            } else {
                let issuer = Issuer::from_ca_cert_der(&der.into(), key);
                let issuer = issuer.map_err(|error| sign(&path, &error))?;
                return Ok(Authority { issuer, not_after });
            };
            return Err(IssueError::NoAuthority { authority: path, why });
        }
        Err(IssueError::KeyOfAnother { certificate: path, key: key_path })
    }

    fn make_authority(&self, entry: Entry, done: &mut Issued) -> Result<Authority, IssueError> {
        let path = self.settings.certificate(entry);
        let key = self.make_key(entry, done)?;
        let mut wanted = self.parameters(entry);
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wanted.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        wanted.not_after = at(seconds(self.now + AUTHORITY_LIFE));
        let not_after = wanted.not_after;
        let certificate = wanted.self_signed(&key).map_err(|error| sign(&path, &error))?;
        write(&path, &certificate.pem(), PUBLIC, done)?;
        Ok(Authority { issuer: Issuer::new(wanted, key), not_after })
    }

    fn make(
        &self,
        entry: Entry,
        authority: &Authority,
        done: &mut Issued,
    ) -> Result<(), IssueError> {
        let path = self.settings.certificate(entry);
        let mut wanted = self.parameters(entry);
        wanted.use_authority_key_identifier_extension = true;
        wanted.is_ca = IsCa::ExplicitNoCa;
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if entry.serves() {
            wanted.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if entry.connects() {
            wanted.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        wanted.not_after = at(seconds(self.now + LIFE)).min(authority.not_after);
        for (name, _) in entry.names(self.settings)? {
            wanted.subject_alt_names.push(name.to_san().map_err(|error| sign(&path, &error))?);
        }
        let key = self.make_key(entry, done)?;
        let certificate = wanted.signed_by(&key, &authority.issuer);
        let certificate = certificate.map_err(|error| sign(&path, &error))?;
        write(&path, &certificate.pem(), PUBLIC, done)
    }

    /// What all have in common.
    fn parameters(&self, entry: Entry) -> CertificateParams {
        let mut wanted = CertificateParams::default();
        wanted.distinguished_name = DistinguishedName::new();
        if let Some(group) = entry.organization() {
            wanted.distinguished_name.push(DnType::OrganizationName, group);
        }
        wanted.distinguished_name.push(DnType::CommonName, entry.common_name(self.settings));
        wanted.not_before = at(seconds(self.now) - seconds(UNIX_EPOCH + CLOCK_SKEW));
        wanted
    }

    /// The key of an entry without a certificate: a new one, unless an earlier run came as far as that.
    fn make_key(&self, entry: Entry, done: &mut Issued) -> Result<KeyPair, IssueError> {
        let path = self.settings.key(entry);
        if path.exists() {
            return files::private_key(&path).map_err(|why| unusable(&path, &why));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        let key = key.map_err(|error| sign(&path, &error))?;
        write(&path, &key.serialize_pem(), PRIVATE, done)?;
        Ok(key)
    }

    fn make_service_account_keys(&self, done: &mut Issued) -> Result<(), IssueError> {
        let (path, public) = service_account_keys(&self.settings.folder);
        let key = if path.exists() {
            files::private_key(&path).map_err(|why| unusable(&path, &why))?
        } else {
            let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
            let key = key.map_err(|error| sign(&path, &error))?;
            write(&path, &key.serialize_pem(), PRIVATE, done)?;
            key
        };
        if public.exists() {
            return Ok(());
        }
        write(&public, &key.public_key_pem(), PUBLIC, done)
    }
}

fn write(path: &Path, contents: &str, mode: u32, done: &mut Issued) -> Result<(), IssueError> {
    let failed = |source| IssueError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        files::make_folder(folder).map_err(failed)?;
    }
    files::write_new(path, contents, mode).map_err(failed)?;
    done.written.push(path.to_owned());
    Ok(())
}

fn unusable(path: &Path, why: &Unusable) -> IssueError {
    IssueError::Unusable { path: path.to_owned(), why: why.to_string() }
}

fn sign(path: &Path, error: &rcgen::Error) -> IssueError {
    IssueError::Sign { path: path.to_owned(), why: error.to_string() }
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A time in the range of years that a certificate can hold.
fn at(seconds: i64) -> OffsetDateTime {
    // The last second of the year 9999.
    OffsetDateTime::from_unix_timestamp(seconds.clamp(0, 253_402_300_799))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
