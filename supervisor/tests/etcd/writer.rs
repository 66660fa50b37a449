//! A client that writes all the time, and knows which of its writes were acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervisor::etcd::rpc::Access;
use supervisor::etcd::rpc::messages::RangeRequest;
use tokio::task::JoinHandle;

use super::rig::Rig;

const KEYS: &str = "/writer/";

/// Writes until it is stopped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<u64>>,
    access: Access,
}

impl Writer {
    /// Begins to write to all masters of a rig in turn.
    pub fn start(rig: &Rig) -> Self {
        let settings: Vec<_> = rig.masters.iter().map(|it| it.etcd.settings().clone()).collect();
        let urls: Vec<String> = settings.iter().map(|it| it.me.client_url()).collect();
        let access = settings[0].access();
        let stop = Arc::new(AtomicBool::new(false));
        let (until, patient) = (stop.clone(), access.clone().with_patience(Duration::from_secs(3)));
        let task = tokio::spawn(async move {
            let mut clients = Vec::new();
            for url in &urls {
                clients.push(patient.client(url).await.unwrap());
            }
            let mut acknowledged = Vec::new();
            for number in 0_u64.. {
                if until.load(Ordering::Relaxed) {
                    break;
                }
                let key = format!("{KEYS}{number:08}");
                let client = &clients[usize::try_from(number).unwrap() % clients.len()];
                if client.put(key.as_bytes(), b"written").await.is_ok() {
                    acknowledged.push(number);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            acknowledged
        });
        Self { stop, task, access }
    }

    /// Stops, and looks for each acknowledged write at `url`; how many there were.
    pub async fn lost_nothing(self, url: &str) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let acknowledged = self.task.await.unwrap();
        let client = self.access.client(url).await.unwrap();
        let all = RangeRequest {
            key: KEYS.into(),
            range_end: "/writer0".into(),
            ..RangeRequest::default()
        };
        let found = client.range(all).await.unwrap();
        let keys: std::collections::HashSet<Vec<u8>> =
            found.kvs.into_iter().map(|pair| pair.key).collect();
        let lost: Vec<&u64> = acknowledged
            .iter()
            .filter(|number| !keys.contains(format!("{KEYS}{number:08}").as_bytes()))
            .collect();
        assert!(lost.is_empty(), "lost of {}: {lost:?}", acknowledged.len());
        acknowledged.len()
    }
}
