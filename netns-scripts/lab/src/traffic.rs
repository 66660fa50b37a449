//! How many packets a router sends, as the kernel counts them at the bridge's ports: that costs
//! nothing.

use std::fs;

use crate::{Lab, LabError, Node, within};

/// The packets that came in from `node` on all its links since the lab was made.
///
/// # Errors
/// If the lab is gone.
pub fn sent_by(lab: &Lab, node: Node) -> Result<u64, LabError> {
    // /proc/net is the thread's, /sys/class/net is not.
    let read = || fs::read_to_string("/proc/thread-self/net/dev");
    let text = within(&lab.namespace("bridge"), read)?
        .map_err(LabError::instrument("reading the ports' counters"))?;
    Ok(received(&text, &node.to_string()))
}

/// Sums the packets received at `port` and at `port-1`, `port-2`, ...
fn received(text: &str, port: &str) -> u64 {
    let of_port = |name: &str| match name.strip_prefix(port) {
        Some(rest) => rest.is_empty() || rest.starts_with('-'),
        None => false,
    };
    let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    let lines = lines.filter(|(name, _)| of_port(name));
    // Bytes, then packets.
    lines.filter_map(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_one_router_are_summed() {
        let text = "Inter-|   Receive\n face |bytes    packets errs\n\
                    \x20   m1: 1000      10    0\n  m1-1: 200       2    0\n\
                    \x20  m10: 9999      99    0\n";
        assert_eq!(received(text, "m1"), 12);
        assert_eq!(received(text, "m2"), 0);
    }
}
