//! etcd's gRPC API over TLS, with messages written by hand (decision "etcd is spoken to with messages of our own").

mod access;
mod client;
pub mod messages;

pub use access::{Access, TlsFiles};
pub use client::{Client, SnapshotStream};
