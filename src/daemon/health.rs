//! What the checks say, and who is told.

use vrrp::proto::RouterStatus;

use super::actor::Daemon;
use super::stop::Stopping;
use crate::events::Entry;
use crate::health::{News, Standing, Verdict};

impl Daemon {
    /// A check has something to say.
    pub(super) fn on_health(&mut self, news: News) {
        match news {
            News::Verdict(verdict) => self.on_verdict(verdict),
        }
    }

    fn on_verdict(&mut self, verdict: Verdict) {
        let Verdict { check, at, standing, reason, warning } = verdict;
        let routers = self.eligibilities.routers_of(&check);
        let detail = serde_json::json!({ "check": check, "virtual_routers": routers });
        let entry = |code, what| Entry { at, detail: detail.clone(), ..Entry::now(code, what) };
        if self.eligibilities.judge(&check, standing) {
            // Before what it leads to.
            match standing {
                Standing::Sick => {
                    let what = format!("the check {check} is sick");
                    self.note(entry("check_sick", what).because(reason));
                }
                Standing::Healthy => {
                    let what = format!("the check {check} is healthy");
                    self.note(entry("check_healthy", what).because(reason));
                }
                Standing::Unknown => {}
            }
        }
        if let Some(warning) = warning {
            let what = format!("the check {check} is healthy, with a warning");
            self.note(entry("check_warning", what).because(warning));
        }
        self.tell_eligibilities();
    }

    /// Tells the VRRP process what it does not know yet of the virtual routers' eligibility, or
    /// would forget.
    pub(super) fn tell_eligibilities(&mut self) {
        if self.vrrp.is_attached() {
            for request in self.eligibilities.due(tokio::time::Instant::now()) {
                self.vrrp.send(&request);
            }
        }
    }

    /// Which virtual routers are drained may have changed.
    pub(super) fn set_drained(&mut self) {
        let all = matches!(self.stopping, Stopping::Draining(_));
        for (name, terms) in &self.plan.terms {
            let is_drained = self.draining.is_drained(name) || (all && terms.hands_over());
            self.eligibilities.set_drained(name, is_drained);
        }
    }

    /// The VRRP process has said in which states its virtual routers are.
    pub(super) fn on_states(&mut self) {
        let routers = &self.known.routers;
        let eligibility = |it: &RouterStatus| it.eligibility;
        self.eligibilities.inherit(|name| routers.get(name).map(eligibility));
        self.health.set_holder(self.eligibilities.checks_of(&self.known.active()));
        self.observe_holders();
        self.go_on_stopping();
        self.tell_eligibilities();
    }
}
