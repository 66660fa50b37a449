//! The root that machines are made from.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// To make one takes a minute or two; where the mirror does not answer, longer.
const PATIENCE_SECONDS: &str = "400";

/// The root that machines are made from: that of `MAINSTAY_SYSTEMD_ROOT`, or the one that
/// `netns-scripts/systemd-root.sh` has made, or makes now.
///
/// # Errors
/// In words: what is missing.
pub fn root() -> Result<PathBuf, String> {
    static ROOT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    ROOT.get_or_init(find).clone()
}

fn find() -> Result<PathBuf, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("a machine needs root".to_owned());
    }
    if let Some(root) = env::var_os("MAINSTAY_SYSTEMD_ROOT") {
        return Ok(root.into());
    }
    // The tests install nothing on this machine.
    for program in ["/usr/sbin/debootstrap", "/usr/bin/systemd-nspawn"] {
        if !Path::new(program).exists() {
            return Err(format!(
                "a machine needs {program}: run netns-scripts/systemd-root.sh once"
            ));
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("systemd-root.sh");
    let mut making = Command::new("timeout");
    making.arg(PATIENCE_SECONDS).arg(&script).stdin(Stdio::null());
    let output = making.output().map_err(|error| error.to_string())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(said(&output.stdout).into());
    }
    let last = said(&output.stderr);
    let last = last.lines().last().unwrap_or_default();
    Err(format!("{} fails ({}): {last}", script.display(), output.status))
}
