//! Metrics for Prometheus: the status in the OpenMetrics text format.
//!
//! Each scrape asks the daemon once, for one [`Status`], and everything is rendered from that: what
//! is scraped together belongs together. Names begin with `mainstay_`; they are a contract like
//! the status: metrics and labels are added, never renamed or removed.

mod checks;
mod encoder;
mod families;
mod server;
mod units;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

pub use self::server::Server;
use crate::status::Status;

/// What [`render`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a status.
pub fn render(status: Status) -> String {
    let mut registry = Registry::with_prefix("mainstay");
    registry.register_collector(Box::new(Snapshot(status)));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Snapshot(Status);

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        families::encode(&self.0, &mut encoder::Encoder::new(encoder))
    }
}

#[cfg(test)]
mod tests;
