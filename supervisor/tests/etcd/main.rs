//! etcd's operations on real etcd processes with TLS, on addresses of the loopback interface.
//!
//! They need `etcd` and `etcdctl`; `netns-scripts/test.sh` installs them. One of them mounts, which needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bootstrap;
mod disks;
mod endings;
mod health;
mod membership;
mod rig;
mod snapshots;
mod space;
mod writer;
