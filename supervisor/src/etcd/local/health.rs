//! What the state of this node's member means for the VIP.

use tokio::task::JoinSet;

use super::{Member, PATIENCE};
use crate::etcd::health::{Health, Local};

impl Member {
    /// What the member's state means for the VIP. Others are asked only where this one has no leader.
    pub async fn health(&self) -> Health {
        self.judge(&self.local().await).await
    }

    pub(super) async fn local(&self) -> Local {
        match self.ask().await {
            Ok(status) => Local::from(&status),
            Err(why) => Local::Silent(why.to_string()),
        }
    }

    pub(super) async fn judge(&self, local: &Local) -> Health {
        let lost = matches!(local, Local::Answers { learner: false, has_leader: false, .. });
        let elsewhere = if lost { self.leader_elsewhere().await } else { None };
        Health::judge(local, elsewhere.as_deref())
    }

    async fn leader_elsewhere(&self) -> Option<String> {
        let access = self.settings.access().with_patience(PATIENCE);
        let mut asked = JoinSet::new();
        for node in &self.settings.others {
            let client = access.client(&node.client_url()).await.ok()?;
            let name = node.name.clone();
            asked.spawn(async move { (name, client.status().await) });
        }
        while let Some(answered) = asked.join_next().await {
            if let Ok((name, Ok(status))) = answered
                && status.leader != 0
            {
                return Some(name);
            }
        }
        None
    }
}
