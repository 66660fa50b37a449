//! What a unit is called.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A unit's name: 1 to 63 lower-case letters, digits, `-`, `_` and `.`, the first one a letter or a digit. Cheap to
/// clone; safe as the name of a file, a cgroup or a container.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// A text that is no unit's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot name a unit: use 1 to 63 lower-case letters, digits, `-`, `_` and `.`, the first a letter or a digit"
)]
pub struct NameError(String);

impl Name {
    /// The longest name, in bytes.
    pub const LONGEST: usize = 63;

    /// # Errors
    /// If `text` is no unit's name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let fits = bytes.len() <= Self::LONGEST
            && bytes.first().is_some_and(|&byte| plain(byte))
            && bytes.iter().all(|&byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'));
        if fits { Ok(Self(text.into())) } else { Err(NameError(text.to_owned())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_as_a_file_and_as_a_cgroup() {
        for good in ["etcd", "kube-proxy", "0", "a.b_c", &"a".repeat(63)] {
            assert_eq!(Name::new(good).as_ref().map(Name::as_str), Ok(good));
        }
        for bad in ["", "-a", ".", "..", "Etcd", "a/b", "a b", "ä", &"a".repeat(64)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}
