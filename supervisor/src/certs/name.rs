//! What a certificate says its holder is called.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rcgen::SanType;
use serde::Serialize;

/// A name that clients may ask for: a SubjectAltName of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Name {
    /// An address.
    Ip(IpAddr),
    /// A name in DNS, in lower case; the first label may be `*`.
    Dns(String),
}

impl Name {
    /// As the library wants it.
    pub(super) fn to_san(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Ip(address) => SanType::IpAddress(*address),
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        })
    }
}

impl From<IpAddr> for Name {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let name = text.to_ascii_lowercase();
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        let sound = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
        };
        if name.len() <= 253 && labels.split('.').all(sound) {
            Ok(Self::Dns(name))
        } else {
            Err(InvalidName { name: text.to_owned() })
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Dns(name) => name.fmt(f),
        }
    }
}

/// A text that is neither an address nor a name in DNS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is neither an address nor a DNS name: letters, digits and hyphens, in labels of 63 at most"
)]
pub struct InvalidName {
    /// The text.
    pub name: String,
}
