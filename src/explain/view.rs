//! One virtual router as its explanation looks at it.

use vrrp::config::Preempt;
use vrrp::router::Eligibility;

use super::setup::{Rules, Setup};
use crate::status::{Status, VirtualRouterStatus};
use crate::timestamp::Timestamp;

/// One virtual router, and what decides about it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// This node's name.
    pub node: &'a str,
    /// The status of the node.
    pub status: &'a Status,
    /// The status of the virtual router.
    pub router: &'a VirtualRouterStatus,
    /// The configuration.
    pub setup: &'a Setup,
    /// What it says about the virtual router.
    pub rules: Option<&'a Rules>,
    /// The time.
    pub now: Timestamp,
}

/// How fit a node is to have the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// The addresses are its own.
    Owner,
    /// As configured.
    Healthy,
    /// Its checks fail.
    Degraded,
    /// The operator wants it to have nothing.
    Drained,
    /// Its checks fail, and it takes no part meanwhile.
    Released,
}

impl<'a> View<'a> {
    /// One of the virtual routers of a status.
    pub fn new(
        status: &'a Status,
        router: &'a VirtualRouterStatus,
        setup: &'a Setup,
        now: Timestamp,
    ) -> Self {
        let rules = setup.rules(&router.name);
        Self { node: &status.node, status, router, setup, rules, now }
    }

    /// How fit this node is.
    pub fn fitness(&self) -> Fitness {
        let configured = self.router.priority;
        match (self.router.effective_priority, self.router.eligibility) {
            _ if configured == 255 => Fitness::Owner,
            (_, Some(Eligibility::Drained)) => Fitness::Drained,
            (None, _) => Fitness::Released,
            (_, Some(Eligibility::Healthy)) => Fitness::Healthy,
            (_, Some(Eligibility::Degraded)) => Fitness::Degraded,
            // Before the VRRP process has said it.
            (Some(effective), None) if effective == configured => Fitness::Healthy,
            (Some(_), None) => Fitness::Degraded,
        }
    }

    /// Whom this node would take over from.
    pub fn preempt(&self) -> Preempt {
        self.rules.map_or_else(Preempt::default, |rules| rules.preempt)
    }

    /// Whether a priority tells that its router is degraded: it does in health bands alone.
    pub fn is_degraded(&self, priority: u8) -> bool {
        self.preempt() == Preempt::DegradedOnly && priority < vrrp::Priority::LOWEST_HEALTHY
    }

    /// Skew_Time of a router with this priority, in milliseconds (RFC 9568, 6.1).
    pub fn skew(&self, priority: u8) -> f64 {
        f64::from(256 - u16::from(priority)) / 256.0 * self.interval()
    }

    /// Active_Down_Interval of a router with this priority, in milliseconds (RFC 9568, 6.1).
    pub fn down(&self, priority: u8) -> f64 {
        3.0 * self.interval() + self.skew(priority)
    }

    fn interval(&self) -> f64 {
        // 40,950 at most.
        u16::try_from(self.router.interval_ms).map_or(f64::MAX, f64::from)
    }
}

/// A time in milliseconds, in words.
pub fn time(millis: f64) -> String {
    if millis < 1000.0 {
        format!("{:.0} ms", millis.ceil())
    } else {
        format!("{:.2} s", millis / 1000.0)
    }
}
