//! How the daemon is configured.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use lab::Keep;

use super::Rig;
use super::variant::{VRID, Variant};

/// The configuration of the daemon's virtual router, and of the cable.
#[derive(Clone, Debug)]
pub struct Setup {
    pub variant: Variant,
    pub vrid: u8,
    pub priority: u8,
    /// Milliseconds, a multiple of 10.
    pub interval: u32,
    pub preempt: &'static str,
    pub on_degraded: &'static str,
    pub vips: Vec<IpAddr>,
    /// The node's addresses besides [`Variant::node`], for an address owner.
    pub owned: Vec<IpAddr>,
    /// Further lines of `[[virtual_router]]`.
    pub lines: String,
    /// Further sections.
    pub sections: String,
    pub mtu: u32,
    /// Which frames are kept.
    pub keep: Keep,
    /// Commands in the daemon's namespace before it starts.
    pub before: String,
}

impl Setup {
    pub fn new(variant: Variant) -> Self {
        Self {
            variant,
            vrid: VRID,
            priority: 200,
            interval: 100,
            preempt: "always",
            on_degraded: "release",
            vips: variant.vips(),
            owned: Vec::new(),
            lines: String::new(),
            sections: String::new(),
            mtu: 1500,
            keep: Keep::All,
            before: String::new(),
        }
    }

    /// A cable with the daemon at its end.
    pub fn start(self) -> Rig {
        let mut rig = self.cable();
        rig.start();
        rig
    }

    /// A cable without the daemon.
    pub fn cable(self) -> Rig {
        Rig::new(self)
    }

    /// Advertisement_Interval.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval.into())
    }

    /// Half of it, which an event may be late by.
    pub fn half(&self) -> Duration {
        self.interval() / 2
    }

    /// Skew_Time (RFC 9568, 6.1) where the Active advertises each `interval`.
    pub fn skew(&self, interval: Duration) -> Duration {
        interval * (256 - u32::from(self.priority)) / 256
    }

    /// Active_Down_Interval (RFC 9568, 6.1) where the Active advertises each `interval`.
    pub fn active_down(&self, interval: Duration) -> Duration {
        3 * interval + self.skew(interval)
    }

    /// The configuration file.
    pub fn toml(&self) -> String {
        let mut own = vec![self.variant.node()];
        if !self.variant.is_ipv4() {
            // By which unicast peers know it.
            own.push("fd51::50".parse().unwrap());
        }
        own.extend(&self.owned);
        let Self { vrid, priority, interval, preempt, on_degraded, lines, sections, .. } = self;
        let mut text = format!(
            "[cluster]\nname = \"conformance\"\napi_port = 6443\n\
             [[node]]\nname = \"n\"\nrole = \"master\"\naddresses = {}\n\
             [[virtual_router]]\nname = \"vr\"\nvrid = {vrid}\ninterface = \"eth0\"\n\
             addresses = {}\npriority = {{ n = {priority} }}\nadvert_interval = \"{interval}ms\"\n\
             preempt = \"{preempt}\"\non_degraded = \"{on_degraded}\"\n{lines}\n",
            list(&own),
            list(&self.vips),
        );
        if self.variant.is_virtual() {
            text.push_str("virtual_mac = true\n");
        }
        let _ = writeln!(text, "{sections}");
        text
    }
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", texts.join(", "))
}
