//! The events in systemd's journal, each with its fields, so that `journalctl
//! MAINSTAY_ROUTER=apiserver MAINSTAY_EVENT=transition` finds them.
//!
//! By the journal's own protocol: one datagram per event, sent without waiting.

use std::io;
use std::os::linux::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Record;

const SOCKET: &str = "/run/systemd/journal/socket";
/// Priorities as syslog has them.
const WARNING: &str = "4";
const INFORMATIONAL: &str = "6";

/// The journal.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// The journal, if standard error goes there: whoever runs the daemon at a terminal wants to
    /// see the events there.
    pub fn of_this_service() -> Option<Self> {
        let stream = std::env::var("JOURNAL_STREAM").ok()?;
        let stderr = std::fs::metadata("/proc/self/fd/2").ok()?;
        let own = format!("{}:{}", stderr.st_dev(), stderr.st_ino());
        (stream == own).then(|| Self::at(Path::new(SOCKET)).ok()).flatten()
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Hands over an event.
    ///
    /// # Errors
    /// If the journal does not take it at once.
    pub fn send(&self, record: &Record, is_alarming: bool) -> io::Result<()> {
        self.socket.send_to(&datagram(record, is_alarming), &self.path).map(drop)
    }
}

fn datagram(record: &Record, is_alarming: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut field = |name: &str, value: &str| {
        bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            let length = u64::try_from(value.len()).unwrap_or_default();
            bytes.push(b'\n');
            bytes.extend_from_slice(&length.to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    };
    field("MESSAGE", &record.sentence());
    field("PRIORITY", if is_alarming { WARNING } else { INFORMATIONAL });
    field("SYSLOG_IDENTIFIER", "mainstay");
    field("MAINSTAY_EVENT", &record.code);
    field("MAINSTAY_SEQ", &record.seq.to_string());
    field("MAINSTAY_AT", &record.at.to_string());
    if let Some(router) = &record.router {
        field("MAINSTAY_ROUTER", router);
    }
    let told = [
        ("MAINSTAY_CAUSE", "cause_code"),
        ("MAINSTAY_FROM", "from"),
        ("MAINSTAY_TO", "to"),
        ("MAINSTAY_CHECK", "check"),
        ("MAINSTAY_UNIT", "unit"),
        ("MAINSTAY_CONFLICT", "conflict"),
        ("MAINSTAY_SOURCE", "source"),
        ("MAINSTAY_MAC", "mac"),
    ];
    for (name, key) in told {
        match record.detail.get(key) {
            Some(Value::String(value)) => field(name, value),
            Some(Value::Number(value)) => field(name, &value.to_string()),
            _ => {}
        }
    }
    if let Some(why) = &record.why {
        field("MAINSTAY_WHY", why);
    }
    // The journal takes a field more than once: the nearest cause first.
    for link in &record.causes {
        field("MAINSTAY_BECAUSE", &format!("{} {}", link.at, link.what));
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::events::{CauseLink, Entry, Log};
    use crate::timestamp::Timestamp;

    fn record() -> Record {
        let log = Log::new(Timestamp::from_unix_nanos(0));
        let detail = serde_json::json!({
            "from": "Active", "to": "Backup", "cause_code": "higher_priority",
        });
        log.push(Entry::now("transition", "Active -> Backup").of("api").because("m2").with(detail));
        let at = Timestamp::from_unix_nanos(1_700_000_000_123_000_000);
        let causes = vec![CauseLink { at, what: "first\nsecond".to_owned() }];
        Record { at, causes, ..log.after(0).pop().unwrap() }
    }

    #[test]
    fn each_event_has_its_fields() {
        let text = [
            "MESSAGE=api: Active -> Backup: m2",
            "PRIORITY=6",
            "SYSLOG_IDENTIFIER=mainstay",
            "MAINSTAY_EVENT=transition",
            "MAINSTAY_SEQ=1",
            "MAINSTAY_AT=2023-11-14T22:13:20.123Z",
            "MAINSTAY_ROUTER=api",
            "MAINSTAY_CAUSE=higher_priority",
            "MAINSTAY_FROM=Active",
            "MAINSTAY_TO=Backup",
            "MAINSTAY_WHY=m2",
            "MAINSTAY_BECAUSE\n",
        ];
        let cause = "2023-11-14T22:13:20.123Z first\nsecond";
        let mut expected = text.join("\n").into_bytes();
        expected.extend_from_slice(&(cause.len() as u64).to_le_bytes());
        expected.extend_from_slice(cause.as_bytes());
        expected.push(b'\n');
        let sent = datagram(&record(), false);
        assert_eq!(String::from_utf8_lossy(&sent), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn a_journal_that_hangs_stops_nobody() {
        let path = std::env::temp_dir().join(format!("mainstay-journal-{}", std::process::id()));
        let reader = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(&path).unwrap();
        let refused = (0..100_000).find_map(|_| journal.send(&record(), true).err());
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::WouldBlock);
        let mut buffer = [0; 4096];
        let length = reader.recv(&mut buffer).unwrap();
        assert!(buffer[..length].starts_with(b"MESSAGE=api: Active -> Backup: m2\nPRIORITY=4\n"));
        journal.send(&record(), true).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
