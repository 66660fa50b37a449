//! Settings of the kernel that the VRRP process relies on but, without a file system, cannot make.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use vrrp::proto::RouterSpec;

/// Lets an interface keep its own addresses when a stale virtual address is removed that is the
/// first of their subnet, as another program may have left it: without this the kernel would
/// remove them all.
pub fn promote_secondaries(routers: &[RouterSpec]) {
    let interfaces: BTreeSet<&str> =
        routers.iter().map(|router| router.interface.as_str()).collect();
    for interface in interfaces {
        // Interface names have no slash: the configuration sees to that.
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/promote_secondaries");
        match std::fs::write(&path, "1\n") {
            Ok(()) => {}
            // It may appear later; then there is no stale address on it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("cannot write {path}: {error}"),
        }
    }
}
