//! kubelet: its flags and configuration file by its version, its container runtime, and how it is run.

mod backend;
mod cri;
mod render;
mod runtime;
mod settings;
mod unit_file;
mod version;

#[cfg(test)]
mod tests;

pub use backend::{Carrier, Kubelet};
pub use cri::{Cri, ask as ask_cri};
pub use render::{Rendered, render};
pub use runtime::{Runtime, RuntimeChoice};
pub use settings::{CgroupDriver, HEALTHZ_PORT, PORT, Settings, Sockets};
pub use version::{UnknownVersion, Version};
