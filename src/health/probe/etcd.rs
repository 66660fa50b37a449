//! etcd's member on this node: whether it takes part in a cluster that works.

use supervisor::etcd::Member;
use supervisor::etcd::health::{Health, Verdict};

use super::Progress;
use crate::config::EtcdMember;
use crate::health::sample::Sample;

pub struct Etcd {
    member: Member,
}

impl Etcd {
    pub fn new(member: &EtcdMember) -> Self {
        Self { member: Member::new(member.settings.clone(), member.state_dir.clone()) }
    }

    pub async fn attempt(&self, progress: &mut Progress) -> Result<Sample, Sample> {
        progress.enter("asking the member");
        let Health { verdict, warnings } = self.member.health().await;
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        match verdict {
            Verdict::Well => {
                let words = "the member has a vote and follows a leader";
                Ok(Sample { warning, ..Sample::pass(words) })
            }
            // The same on all masters: no other one would be a better place for the addresses.
            Verdict::NoQuorum(why) => {
                Ok(Sample { warning: Some(why), ..Sample::pass("it answers") })
            }
            // The kernel's own words, in whatever they are wrapped: nobody is there.
            Verdict::Degraded(why) if why.contains("Connection refused") => {
                Err(Sample::refused(why))
            }
            Verdict::Degraded(why) => Err(Sample::fail(why)),
        }
    }
}
