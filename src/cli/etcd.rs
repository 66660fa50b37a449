//! `mainstay etcd`: what it shows comes in words and as data from the daemon.

use std::path::Path;

use super::args::{
    AdoptArgs, DefragArgs, EtcdCommand, Instance, RemoveArgs, ReplaceArgs, RestoreArgs,
    SnapshotArgs,
};
use super::units::{millis, operate};
use crate::exit::{Exit, Failure};
use crate::units::Operation;

/// Does what is asked for.
pub fn run(instance: &Instance, command: &EtcdCommand) -> Result<Exit, Failure> {
    let (operation, output) = match command {
        EtcdCommand::Members(output) => (Operation::EtcdMembers, output),
        EtcdCommand::Status(output) => (Operation::EtcdStatus, output),
        EtcdCommand::Snapshot(SnapshotArgs { output }) => (Operation::EtcdSnapshot, output),
        EtcdCommand::Restore(RestoreArgs { file, force, output }) => {
            absolute(file)?;
            (Operation::EtcdRestore { file: file.clone(), force: *force }, output)
        }
        EtcdCommand::Replace(ReplaceArgs { member, force, up }) => {
            let (member, timeout_ms) = (member.clone(), millis(up.timeout));
            (Operation::EtcdReplace { member, force: *force, timeout_ms }, &up.output)
        }
        EtcdCommand::Remove(RemoveArgs { member, force, output }) => {
            (Operation::EtcdRemove { member: member.clone(), force: *force }, output)
        }
        EtcdCommand::Adopt(AdoptArgs { yes, output }) => {
            (Operation::EtcdAdopt { yes: *yes }, output)
        }
        EtcdCommand::Defrag(DefragArgs { force, output }) => {
            (Operation::EtcdDefrag { force: *force }, output)
        }
    };
    operate(instance, &operation, output.output)
}

/// The daemon has another working directory.
fn absolute(file: &Path) -> Result<(), Failure> {
    if file.is_absolute() {
        return Ok(());
    }
    let error = format!("`{}` is not an absolute path: start it with /", file.display());
    Err(Failure::new(Exit::Usage, error))
}
