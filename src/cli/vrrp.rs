//! `mainstay vrrp`: the VRRP process.

use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::Context;
use rustix::net::sockopt::socket_acceptconn;

use super::{VERSION, log};
use crate::exit::{Exit, Failure};

/// Runs the VRRP process on the listening socket that is its standard input.
pub fn run(filter: &str) -> Result<Exit, Failure> {
    log::start(filter)?;
    let stdin = std::io::stdin();
    if !socket_acceptconn(&stdin).unwrap_or(false) {
        return Err(Failure::usage("`mainstay vrrp` is started by `mainstay run`"));
    }
    let listener = take_stdin().context("cannot take over the socket")?;
    // Shown by ps and top: the file's name may be that of a link.
    let _ = rustix::thread::set_name(c"mainstay-vrrp");
    vrrp::linux::run(listener, VERSION)
        .map_err(|error| Failure::new(Exit::Failed, format!("the VRRP process: {error}")))?;
    Ok(Exit::Ok)
}

/// The socket, with nothing in its place: it has to be closed for good when the process ends it.
fn take_stdin() -> std::io::Result<OwnedFd> {
    let listener = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(listener)
}
