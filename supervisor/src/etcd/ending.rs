//! Why etcd ended, from its last words: what they mean, and what to do. Pure.

/// What etcd's last words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What has happened and what to do.
    pub words: &'static str,
    /// Whether another start ends the same way, until somebody has acted.
    pub lasting: bool,
}

/// etcd's words, of 3.4 to 3.6, in the order of how much they explain.
const ENDINGS: [(&[&str], Ending); 9] = [
    (
        &["permanently removed from the cluster", "has been removed from the cluster"],
        Ending {
            words: "this node's member was removed from the cluster, its data is of no use any more. To take part again: \
                    mainstay etcd replace",
            lasting: true,
        },
    ),
    (
        &["is out of range [lastIndex"],
        Ending {
            words: "its data is older than what this member has told the others: it is a copy, or the disk has lost writes. \
                    mainstay etcd replace",
            lasting: true,
        },
    ),
    (
        &[
            "crc mismatch",
            "proto: ",
            "max entry size limit exceeded",
            "file corruption detected",
            "invalid freelist page",
            "failed to get all reachable pages",
            "failed to recover v3 backend from snapshot",
            "failed to find database snapshot file",
            "invalid database",
            "database file is corrupted",
            "unexpected fault address",
        ],
        Ending {
            words: "its data is damaged. See the disk (dmesg). If other members live: mainstay etcd replace",
            lasting: false,
        },
    ),
    (
        &["no space left on device"],
        Ending {
            words: "the disk of its data directory is full: free space on it (df -h). mainstay tries again by itself",
            lasting: false,
        },
    ),
    (
        &["address already in use"],
        Ending {
            words: "another program has one of its ports, 2379 to 2381: find it (ss -ltnp) and end it",
            lasting: false,
        },
    ),
    (
        &[
            "member count is unequal",
            "error validating peerURLs",
            "unmatched member while checking",
        ],
        Ending {
            words: "the members have changed since this node was added: mainstay join, once more",
            lasting: false,
        },
    ),
    (
        &["has already been bootstrapped"],
        Ending {
            words: "the cluster knows this node from before, with data that is not here: mainstay etcd replace",
            lasting: false,
        },
    ),
    (
        &["cannot fetch cluster info from peer urls", "could not get cluster response"],
        Ending {
            words: "it reaches none of the other members: see that they run, and that the way to their port 2380 is open",
            lasting: false,
        },
    ),
    (
        &[".crt: no such file", ".key: no such file", "tls: ", "x509: "],
        Ending { words: "its certificates are not usable: mainstay certs check", lasting: false },
    ),
];

/// What etcd's last words mean; `None` if they say nothing known.
pub fn ending(last_words: &str) -> Option<Ending> {
    let said = |words: &&[&str]| words.iter().any(|it| last_words.contains(it));
    ENDINGS.iter().find(|(words, _)| said(words)).map(|(_, ending)| *ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_explains_more_comes_first() {
        let log = "rejected connection (error \"remote error: tls: bad certificate\")\n\
                   the member has been permanently removed from the cluster";
        assert!(ending(log).is_some_and(|it| it.lasting));
        assert_eq!(ending("received signal; shutting down"), None);
    }
}
