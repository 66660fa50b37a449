//! What [`check`](super::check()) found.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::Name;

/// The state of a folder of certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// Its certificates, authorities first, and the keys of the service accounts.
    pub items: Vec<Item>,
}

impl Report {
    /// Whether nothing is wrong; warnings are not.
    pub fn is_sound(&self) -> bool {
        self.items.iter().flat_map(|it| &it.problems).all(|it| it.severity() != Severity::Error)
    }

    /// When the first of the certificates expires, in seconds since 1970.
    pub fn first_expiry(&self) -> Option<i64> {
        self.items.iter().filter_map(|it| it.expires).min()
    }
}

/// One certificate and its private key, or the keys of the service accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is: `etcd/server`, `sa`.
    pub name: String,
    /// When the certificate expires, in seconds since 1970; absent if there is none that can be read.
    pub expires: Option<i64>,
    /// What its holder is called.
    pub names: Vec<Name>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Everything works as yet, or only some clients are refused.
    Warning,
    /// Something does not work.
    Error,
}

/// Something that is wrong with a certificate or its key. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Neither certificate nor key.
    #[error("is missing: run `mainstay certs issue`")]
    Missing,
    /// The private key alone is there, without the certificate or public key.
    #[error("is a private key only: run `mainstay certs issue`")]
    PrivateKeyOnly,
    /// The private key alone is missing.
    #[error("has no private key: restore {}, or move the certificate away and run `mainstay certs issue`", .0.display())]
    KeyMissing(PathBuf),
    /// An authority's private key is kept elsewhere.
    #[error("has no private key here: it cannot sign, but everything runs without it")]
    KeyElsewhere,
    /// A file cannot be read, or is something else.
    #[error("{} {why}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Certificate and private key do not belong together.
    #[error("has another one's private key: move both files away and run `mainstay certs issue`")]
    KeyOfAnother,
    /// Others may read the private key.
    #[error("lets others read {}: its mode is {mode:04o}, run `chmod 600` on it", .path.display())]
    KeyReadable {
        /// The key.
        path: PathBuf,
        /// The permissions.
        mode: u32,
    },
    /// It expired.
    #[error("expired {} ago: {}", days(*.seconds), renewal(.authority))]
    Expired {
        /// How long ago.
        seconds: i64,
        /// Whether it signs others.
        authority: bool,
    },
    /// It expires within thirty days.
    #[error("expires in {}: {}", days(*.seconds), renewal(.authority))]
    ExpiresSoon {
        /// When.
        seconds: i64,
        /// Whether it signs others.
        authority: bool,
    },
    /// It is not valid yet.
    #[error("is valid only in {}: set this node's clock, or wait", days(*.seconds))]
    NotYetValid {
        /// When.
        seconds: i64,
    },
    /// It is none of its authority's.
    #[error("is not signed by {}: move both files away and run `mainstay certs issue`", .authority.display())]
    NotSigned {
        /// The authority's certificate.
        authority: PathBuf,
    },
    /// An authority may not sign.
    #[error("may not sign certificates: it is no authority's")]
    NoAuthority,
    /// It may not be shown to those who connect.
    #[error("is not for servers: move both files away and run `mainstay certs issue`")]
    NotForServers,
    /// It may not be shown to what is connected to.
    #[error("is not for clients: move both files away and run `mainstay certs issue`")]
    NotForClients,
    /// It lacks a name that members or clients ask for.
    #[error("does not name {}: who asks for that is refused; move both files away and run `mainstay certs issue`", names(.0))]
    NameMissing(Vec<Name>),
    /// It lacks a name that some clients ask for.
    #[error("does not name {}: some clients may ask for that", names(.0))]
    UsefulNameMissing(Vec<Name>),
}

impl Problem {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::KeyElsewhere | Self::ExpiresSoon { .. } | Self::UsefulNameMissing(_) => {
                Severity::Warning
            }
            Self::Missing
            | Self::PrivateKeyOnly
            | Self::KeyMissing(_)
            | Self::Unusable { .. }
            | Self::KeyOfAnother
            | Self::KeyReadable { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::NotSigned { .. }
            | Self::NoAuthority
            | Self::NotForServers
            | Self::NotForClients
            | Self::NameMissing(_) => Severity::Error,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told {
            severity: Severity,
            text: String,
        }
        Told { severity: self.severity(), text: self.to_string() }.serialize(serializer)
    }
}

/// `3 days`, `5 hours`.
fn days(seconds: i64) -> impl fmt::Display {
    let (count, unit) = match seconds {
        86_400.. => (seconds / 86_400, "day"),
        3_600.. => (seconds / 3_600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn renewal(authority: &bool) -> &'static str {
    if *authority {
        "a new authority has to sign everything anew, on all nodes; plan that"
    } else {
        "move both files away, run `mainstay certs issue` and restart what uses them"
    }
}

fn names(names: &[Name]) -> String {
    let names: Vec<_> = names.iter().map(Name::to_string).collect();
    names.join(", ")
}
