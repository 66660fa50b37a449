//! On what was measured.

use std::fs;
use std::process::{Command, Stdio};

use crate::{Kind, Lab, LabError};

/// The machine and the versions, for the head of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The day, as 2026-11-23.
    pub date: String,
    /// Cores and their model.
    pub processor: String,
    /// The kernel's release.
    pub kernel: String,
    /// The daemons' names and versions.
    pub daemons: Vec<String>,
}

impl Host {
    /// This machine, with these daemons. `commit` says from which commit mainstay was built.
    ///
    /// # Errors
    /// If a daemon does not tell its version.
    pub fn this(kinds: &[Kind], commit: Option<&str>) -> Result<Self, LabError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = model(&info).unwrap_or("unknown processor");
        let mut daemons = Lab::versions()?;
        daemons.retain(|version| kinds.iter().any(|kind| version.starts_with(&kind.to_string())));
        let ours = daemons.iter_mut().find(|version| version.starts_with("mainstay"));
        if let (Some(commit), Some(mainstay)) = (commit, ours) {
            mainstay.push_str(&format!(" ({commit})"));
        }
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            date: today()?,
            processor: format!("{cores} cores of {model}"),
            kernel: kernel.trim().to_owned(),
            daemons,
        })
    }
}

fn model(info: &str) -> Option<&str> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}

fn today() -> Result<String, LabError> {
    let output = Command::new("date")
        .args(["--utc", "+%F"])
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::instrument("asking for the date"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nmodel\t: 6\n";
        assert_eq!(model(info), Some("Some CPU @ 2.00GHz"));
        assert_eq!(model(""), None);
    }
}
