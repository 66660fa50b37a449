#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mainstay-log-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(millis: u64) -> Timestamp {
    Timestamp::from_unix_nanos(millis * 1_000_000)
}

fn takeover() -> Entry {
    let detail = json!({ "from": "Backup", "to": "Active" });
    Entry::now("transition", "Backup -> Active").of("api").because("silence").with(detail)
}

#[test]
fn the_log_keeps_the_newest_and_numbers_all() {
    let log = Log::new(start(5));
    for n in 0..KEPT + 10 {
        log.push(Entry::now("test", n.to_string()));
    }
    let kept = log.after(0);
    assert_eq!(kept.len(), KEPT);
    assert_eq!(kept.first().unwrap().seq, 16);
    assert_eq!(kept.last().unwrap().what, (KEPT + 9).to_string());
    assert_eq!(log.after(kept.last().unwrap().seq), []);
    assert_eq!(*log.subscribe().borrow(), kept.last().unwrap().seq);
}

#[test]
fn the_next_daemon_goes_on_where_the_last_one_ended() {
    let scratch = Scratch::new("next");
    let log = Log::open(&scratch.0, start(1000)).unwrap();
    log.push(takeover());
    log.push(Entry::now("left", "the daemon exits"));
    log.finish();
    let next = Log::open(&scratch.0, start(500)).unwrap();
    next.push(Entry::now("daemon_started", "mainstay starts"));
    let numbers: Vec<u64> = next.after(0).iter().map(|it| it.seq).collect();
    assert_eq!(numbers, [1001, 1002, 1003], "the clock was set back, the numbers still rise");
    assert_eq!(next.after(0)[..2], log.after(0));
    next.finish();
    assert_eq!(Log::read(&scratch.0).after(0), next.after(0));
    assert_eq!(next.problem(), None);
}

#[test]
fn where_the_address_went_last_is_known_however_much_has_happened_since() {
    let scratch = Scratch::new("landmarks");
    let log = Log::open(&scratch.0, start(0)).unwrap();
    log.push(takeover());
    for n in 0..KEPT * 2 {
        log.push(Entry::now("dropped", n.to_string()));
        if n % 500 == 0 {
            log.finish();
        }
    }
    assert_eq!(log.after(0).len(), KEPT);
    assert_eq!(log.history().len(), KEPT + 1);
    assert_eq!(log.history().first().unwrap().causes.first().unwrap().what, "silence");
    log.finish();
    let next = Log::open(&scratch.0, start(0)).unwrap();
    assert_eq!(next.history(), log.history());
}

#[test]
fn what_comes_late_from_the_disk_stands_before_what_has_happened() {
    let log = Log::new(start(1000));
    log.push(Entry::now("daemon_started", "mainstay starts"));
    let old = |seq| Record { seq, what: "old".to_owned(), ..log.after(0).pop().unwrap() };
    let earlier = Earlier { records: vec![old(8), old(7), old(2000)], damaged: 2 };
    lock(&log.ring).prepend(earlier);
    let seqs: Vec<u64> = log.after(0).iter().map(|it| it.seq).collect();
    assert_eq!(seqs, [7, 8, 1001, 1002]);
    assert_eq!(log.after(1001)[0].code, "events_damaged");
}
