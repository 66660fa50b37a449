//! Why certificates cannot be issued.

use std::io;
use std::path::PathBuf;

use super::InvalidName;

/// Why certificates cannot be issued; each says what to do. Except for [`Io`](Self::Io), nothing has been written then.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A master joins without the authorities of its cluster.
    #[error(
        "the cluster's own {} missing: copy {} from a master of the cluster to the same {}, with mode 0600, and try again. \
         Only the first master, with `mainstay certs issue --new-ca`, makes new ones",
        if .files.len() == 1 { "file is" } else { "files are" }, list(.files), if .files.len() == 1 { "path" } else { "paths" }
    )]
    NotCopied {
        /// What to copy.
        files: Vec<PathBuf>,
    },
    /// An authority is missing, but what it signed is there.
    #[error(
        "{} is missing, but {} is there, which it signed: copy it with its key from another master or a backup. \
         To begin a new cluster instead, move the folder away",
        .authority.display(), .signed.display()
    )]
    AuthorityGone {
        /// The authority's certificate.
        authority: PathBuf,
        /// What it signed.
        signed: PathBuf,
    },
    /// An authority that is kept elsewhere would have to sign.
    #[error(
        "{} is not there to sign {}: have {} signed where the key is kept and put {} in place, or copy the key here",
        .key.display(), list(.unsigned), if .unsigned.len() == 1 { "it" } else { "them" },
        if .unsigned.len() == 1 { "it" } else { "them" }
    )]
    AuthorityKeyElsewhere {
        /// The authority's key.
        key: PathBuf,
        /// The certificates that it would have to sign.
        unsigned: Vec<PathBuf>,
    },
    /// A certificate without its private key.
    #[error(
        "{} is there without its private key {}: restore the key, or move the certificate away, and try again",
        .certificate.display(), .key.display()
    )]
    KeyGone {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// A certificate and a private key that do not belong together.
    #[error(
        "{} is not the private key of {}: restore what belongs together from a backup, or move both away, and try again",
        .key.display(), .certificate.display()
    )]
    KeyOfAnother {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// What should sign may not.
    #[error("{} {why}: replace it, and what it signed, on all nodes", .authority.display())]
    NoAuthority {
        /// The authority's certificate.
        authority: PathBuf,
        /// Why it cannot sign.
        why: &'static str,
    },
    /// A file that is no certificate or key.
    #[error("{} {why}; restore it from a backup, or move it away, and try again", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A name that no certificate can hold.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A file or folder cannot be made.
    #[error("cannot write {}: {source}; make the disk writable and try again", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The library refuses to make a key or a certificate.
    #[error("cannot make {}: {why}", .path.display())]
    Sign {
        /// The file.
        path: PathBuf,
        /// What the library said.
        why: String,
    },
}

fn list(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
    names.join(", ")
}
