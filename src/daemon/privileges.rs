//! What the daemon needs to be allowed.

use rustix::thread::{CapabilitySet, capabilities};

/// The capabilities that nothing works without, and what for.
const NEEDED: [(CapabilitySet, &str); 2] = [
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN, to put the virtual addresses on the interface"),
    (CapabilitySet::NET_RAW, "CAP_NET_RAW, to send and receive VRRP"),
];

/// Capabilities are missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mainstay needs {}: run it as root or grant it", .0.join(", and "))]
pub struct Missing(Vec<&'static str>);

/// Checks that this process has the capabilities it needs.
///
/// # Errors
/// [`Missing`] names those that it has not.
pub fn check() -> Result<(), Missing> {
    let effective = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    require(effective)
}

fn require(effective: CapabilitySet) -> Result<(), Missing> {
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|(capability, _)| !effective.contains(*capability))
        .map(|(_, purpose)| purpose)
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_capability_is_named() {
        assert_eq!(require(CapabilitySet::all()), Ok(()));
        let error = require(CapabilitySet::NET_RAW).map_err(|missing| missing.to_string());
        assert!(error.is_err_and(|text| text.contains("CAP_NET_ADMIN") && !text.contains("RAW")));
        let error = require(CapabilitySet::empty()).map_err(|missing| missing.to_string());
        assert!(error.is_err_and(|text| text.contains("ADMIN") && text.contains("CAP_NET_RAW")));
    }
}
