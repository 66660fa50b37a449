//! What a unit wrote, from systemd's journal.
//!
//! The files of the journal are for systemd's own library alone; its program reads them for us.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::backend::{Fault, Logs};

/// So many pieces wait for a reader that is slow.
const QUEUE: usize = 16;
/// How much is read at once, in bytes.
const PIECE: usize = 16 * 1024;

/// The last lines of a unit, and then, with `follow`, what comes.
pub(super) fn read(unit: &str, root: &Path, lines: usize, follow: bool) -> Result<Logs, Fault> {
    let mut command = Command::new("journalctl");
    command.args(["--unit", unit, "--lines", &lines.to_string(), "--no-pager", "--quiet"]);
    command.args(["--output", "short-iso"]);
    if root != Path::new("/") {
        command.arg("--root").arg(root);
    }
    if follow {
        command.arg("--follow");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut journal = command.spawn().map_err(|error| {
        Fault::passing(format!(
            "the journal cannot be read: journalctl: {error}; install systemd's tools"
        ))
    })?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let Some(mut output) = journal.stdout.take() else { return Ok(receiver) };
    tokio::spawn(async move {
        let mut piece = vec![0; PIECE];
        loop {
            let read = tokio::select! {
                read = output.read(&mut piece) => read,
                () = sender.closed() => break,
            };
            match read {
                Ok(length) if length > 0 => {
                    let piece = piece.get(..length).unwrap_or_default().to_vec();
                    if sender.send(piece).await.is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        // Nobody reads on, or there is no more.
        let _ = journal.kill().await;
    });
    Ok(receiver)
}
