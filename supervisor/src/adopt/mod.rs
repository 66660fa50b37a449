//! What outlives mainstay, so that its successor adopts what runs instead of starting it again.
//!
//! The file is a help, not the truth: without it, backends find what runs by asking systemd, Docker and `/proc`.

mod record;
mod writer;

use std::fs;
use std::io;
use std::path::Path;

pub use record::{Loaded, Record, Remembered, load};
pub(crate) use writer::Writer;

/// The name of the file in the state directory.
pub const FILE: &str = "supervisor.json";

/// Which start of the machine this is; tells process ids of one from those of another.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    Ok(fs::read_to_string(path)?.trim().to_owned())
}
