//! What can go wrong, and what `mainstay explain` then says: the fault table.
//!
//! Each test does one harm to a lab of three routers with an apiserver each and compares the text
//! that an operator reads, on the router where the VIP is and on another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cluster;
mod handover;
mod nodes;
mod sick;
#[path = "../support/mod.rs"]
mod support;

/// Not a test: the apiservers of the others are this program.
#[test]
fn this_program_is_an_apiserver_when_it_is_started_as_one() {
    lab::apiserver::serve_if_asked().unwrap();
}
