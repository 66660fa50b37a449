//! The daemon's processes, signalled at an exact moment.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{LabError, Stamp};

/// A part of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The process that was started.
    Parent,
    /// Its VRRP process.
    Child,
    /// Both, the parent first, so that it cannot act for the child.
    Both,
}

/// The processes of the daemon on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pids {
    /// The process that was started.
    pub parent: Option<Pid>,
    /// Its VRRP process.
    pub child: Option<Pid>,
}

impl Pids {
    /// Reads `parent PID child PID`, with `-` for none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let pid = |word: &str| word.parse().ok().map(Pid::from_raw);
        match words[..] {
            ["parent", parent, "child", child] => {
                Some(Self { parent: pid(parent), child: pid(child) })
            }
            _ => None,
        }
    }

    /// The VRRP process.
    ///
    /// # Errors
    /// If it does not run.
    pub fn vrrp(&self) -> Result<Pid, LabError> {
        self.child.ok_or_else(|| LabError::Invalid("the VRRP process does not run".into()))
    }

    /// Signals a part of the daemon and returns the moment before.
    ///
    /// # Errors
    /// If that part does not run.
    pub fn signal(&self, part: Part, signal: Signal) -> Result<Stamp, LabError> {
        let targets = match part {
            Part::Parent => vec![self.parent],
            Part::Child => vec![self.child],
            Part::Both => vec![self.parent, self.child],
        };
        let at = Stamp::now();
        let mut results = Vec::new();
        for target in targets {
            results.push(target.map_or(Err(Errno::ESRCH), |pid| kill(pid, signal)));
        }
        let done: nix::Result<()> = results.into_iter().collect();
        done.map(|()| at).map_err(LabError::instrument("signalling a daemon"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pids_are_read_as_lab_sh_prints_them() {
        let pids = Pids::parse("parent 17 child -\n").unwrap();
        assert_eq!(pids, Pids { parent: Some(Pid::from_raw(17)), child: None });
        assert_eq!(Pids::parse("17 18"), None);
    }
}
