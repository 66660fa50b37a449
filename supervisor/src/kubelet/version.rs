//! Which kubelet it is.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::backend::Fault;

/// How long a kubelet may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// A minor version of Kubernetes: 1.20 and later. Patches make no difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    minor: u16,
}

impl Version {
    /// The oldest that mainstay knows.
    pub const OLDEST: Self = Self { minor: 20 };

    /// The part after `1.`.
    pub fn minor(self) -> u16 {
        self.minor
    }

    /// Whether it is 1.`minor` or later.
    pub(super) fn is_at_least(self, minor: u16) -> bool {
        self.minor >= minor
    }

    /// The version of a kubelet that is installed, in its own words.
    ///
    /// # Errors
    /// If it is not there, does not run, or is older than [`OLDEST`](Self::OLDEST).
    pub async fn of(binary: &Path) -> Result<Self, Fault> {
        let shown = binary.display();
        let mut command = Command::new(binary);
        command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
        let output = match timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                return Err(Fault::passing(format!(
                    "{shown} cannot be run: {error}; install kubelet there"
                )));
            }
            Err(_) => {
                return Err(Fault::passing(format!(
                    "{shown} does not say its version within {} s",
                    PATIENCE.as_secs()
                )));
            }
        };
        // Kubernetes v1.20.2
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.trim().strip_prefix("Kubernetes ").unwrap_or_default();
        version.parse().map_err(|_| {
            let said: String = text.chars().take(80).collect();
            Fault::passing(format!("{shown} is no kubelet from 1.20 on: it calls itself {said:?}"))
        })
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let unknown = || UnknownVersion { text: text.to_owned() };
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        if parts.next() != Some("1") {
            return Err(unknown());
        }
        let minor = parts.next().unwrap_or_default().parse().map_err(|_| unknown())?;
        let version = Self { minor };
        if version < Self::OLDEST { Err(unknown()) } else { Ok(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

/// A text that names no version that mainstay knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no version of Kubernetes from v1.20 on, such as v1.33.4")]
pub struct UnknownVersion {
    /// The text.
    pub text: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_kubernetes_writes_them() {
        for text in ["v1.33.4", "1.33", "v1.33.0-rc.1", "v1.33.4+k3s1"] {
            assert_eq!(text.parse::<Version>().unwrap().minor(), 33, "{text}");
        }
        for text in ["", "1", "v2.0.0", "1.19.3", "1.x", "latest"] {
            text.parse::<Version>().unwrap_err();
        }
    }
}
