//! dockerd: a client of its Engine API, what it says of itself, images without a registry, and dockerd as a unit.

mod client;
mod dockerd;
mod error;
mod images;
mod info;
mod record;
mod remains;

pub use client::{Client, DEFAULT_SOCKET};
pub use dockerd::{Dockerd, DockerdOptions};
pub use error::Error;
pub use images::{Images, Loaded, image_id};
pub use info::Info;
pub use remains::Remains;
