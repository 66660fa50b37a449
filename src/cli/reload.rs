//! `mainstay reload`

use super::args::Instance;
use super::client::{Client, block_on};
use super::output;
use crate::daemon::Reloaded;
use crate::exit::{Exit, Failure};

/// Has the daemon read its configuration again, and says what changed.
pub fn run(instance: &Instance) -> Result<Exit, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    let Reloaded { changes } = block_on(client.post("/v1/reload", Exit::Usage))?;
    let text = match changes.as_slice() {
        [] => "nothing has changed\n".to_owned(),
        _ => changes.iter().map(|change| format!("{change}\n")).collect(),
    };
    output::write(text.as_bytes())
}
