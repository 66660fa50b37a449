//! Files of a PKI: read as PEM, and written so that they are there whole or not at all, and never in the place of another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use x509_parser::pem::Pem;

/// The mode of what only its owner may read.
pub(super) const PRIVATE: u32 = 0o600;
/// The mode of certificates and public keys, as kubeadm's.
pub(super) const PUBLIC: u32 = 0o644;

/// Why a file cannot be used, in words that follow its path.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is not PEM: {0}")]
    NotPem(String),
    #[error("has no block `{0}`")]
    NoBlock(&'static str),
    #[error("is encrypted; keys have to be there in plain text")]
    Encrypted,
    #[error(
        "is no private key that can be used (RSA from 2048 bits, ECDSA P-256 to P-521, Ed25519): {0}"
    )]
    Key(rcgen::Error),
    #[error("is no X.509 certificate: {0}")]
    Certificate(String),
}

fn blocks(path: &Path) -> Result<Vec<Pem>, Unusable> {
    let text = fs::read(path)?;
    Pem::iter_from_buffer(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| Unusable::NotPem(error.to_string()))
}

/// All certificates of a file, in order, at least one, as DER.
pub(super) fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, Unusable> {
    let of = |it: Pem| (it.label == "CERTIFICATE").then_some(it.contents);
    let all: Vec<_> = blocks(path)?.into_iter().filter_map(of).collect();
    if all.is_empty() { Err(Unusable::NoBlock("CERTIFICATE")) } else { Ok(all) }
}

/// The private key of a file: PKCS #8, or the older form of RSA's or EC's own.
pub(super) fn private_key(path: &Path) -> Result<KeyPair, Unusable> {
    let blocks = blocks(path)?;
    // Openssl writes `EC PARAMETERS` before the key.
    let key = blocks.iter().find(|it| it.label.ends_with("PRIVATE KEY"));
    let key = key.ok_or(Unusable::NoBlock("PRIVATE KEY"))?;
    if key.label.starts_with("ENCRYPTED") {
        return Err(Unusable::Encrypted);
    }
    KeyPair::try_from(key.contents.as_slice()).map_err(Unusable::Key)
}

/// The public key of a file: SubjectPublicKeyInfo, as DER.
pub(super) fn public_key(path: &Path) -> Result<Vec<u8>, Unusable> {
    let key = blocks(path)?.into_iter().find(|it| it.label == "PUBLIC KEY");
    key.map(|it| it.contents).ok_or(Unusable::NoBlock("PUBLIC KEY"))
}

/// Makes a folder and those above it, which all may enter.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Writes a file that is not there yet.
///
/// # Errors
/// `AlreadyExists` if it is there, even if it came in this moment: what is there stays.
pub(super) fn write_new(path: &Path, contents: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let temporary = beside(path);
    // Of an earlier process of the same id, which died here.
    let _ = fs::remove_file(&temporary);
    let made = make(&temporary, contents, mode)
        // Unlike a renamed file, a link never replaces anything.
        .and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    made?;
    removed?;
    File::open(folder)?.sync_all()
}

fn make(path: &Path, contents: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(contents.as_bytes())?;
    file.sync_all()
}

/// A name in the same folder that no other process uses.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}
