//! etcd's operations on real etcd processes with TLS, on addresses of the loopback interface.
//!
//! They need `etcd`, `etcdctl` and root, for mounts; `netns-scripts/test.sh` installs what is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bootstrap;
mod disks;
mod endings;
mod health;
mod membership;
mod rig;
mod snapshots;
mod space;
mod unit;
mod writer;
