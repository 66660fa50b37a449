//! Whether etcd may start, and how: the data directory against what is remembered. Pure.
//!
//! | data directory \ record | nothing | bootstrap | join | member |
//! |---|---|---|---|---|
//! | missing or empty | refuse: nobody asked | bootstrap | join | refuse: the data is gone, or its disk is not mounted |
//! | no log | refuse | bootstrap | join | refuse: the data is damaged |
//! | a member's | adopt | restart | restart if it is the one that was added | restart if it is this member, on the same disk |
//! | unusable | refuse | refuse | refuse | refuse |
//!
//! A new cluster is never guessed: a node that lost its data and made one of its own would answer with another truth.

use std::path::Path;

use super::data::{Content, DataDir, Place, SameDisk};
use super::record::{Identity, Joining, Record};
use super::{ClusterId, MemberId};

/// How etcd starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// As a founding member of a new cluster.
    Bootstrap,
    /// For the first time, into a cluster that knows this node already.
    Join(Joining),
    /// On the data that is there.
    Restart {
        /// Something that the operator should know.
        note: Option<String>,
    },
}

/// Why etcd must not start, and what to do: `Display` says both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("etcd is not started: {why}. {remedy}")]
pub struct NoStart {
    /// Which case it is.
    pub case: Case,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// Why etcd must not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// There is nothing, and nobody said what should be.
    NotAsked,
    /// This node is a member, and its data is gone.
    DataGone,
    /// This node is a member, and another disk is where its data was.
    OtherDisk,
    /// The data is another member's.
    OtherMember,
    /// The data is not usable.
    Unusable,
}

/// Decides how etcd starts on `data_dir`.
///
/// # Errors
/// Why it must not.
pub fn decide(data_dir: &Path, data: &DataDir, record: &Record) -> Result<Start, NoStart> {
    let refuse = |case, why: String, remedy: String| Err(NoStart { case, why, remedy });
    let dir = data_dir.display();
    match (&data.content, record) {
        (Content::Unusable(why), _) => refuse(
            Case::Unusable,
            format!("{dir} is not usable: {why}"),
            format!(
                "If another program's files are in it, correct `data_dir`. If the data is damaged, move it away (mv {dir}/member \
                 {dir}/set-aside-member), and where other members live: mainstay etcd replace"
            ),
        ),
        (Content::Missing | Content::Empty, Record::Nothing) => refuse(
            Case::NotAsked,
            format!("{dir} holds no data, and nobody has said how this node takes part"),
            "For a new cluster of all masters in the configuration: mainstay init, on each of them. To take part in a cluster that \
             exists: mainstay join. If there was data, mount its disk first"
                .to_owned(),
        ),
        (Content::NoLog, Record::Nothing) => refuse(
            Case::Unusable,
            format!("{dir}/member has no write-ahead log, so it is no member's data"),
            format!(
                "If nothing of it is needed, move it away (mv {dir}/member {dir}/set-aside-member), then mainstay init or mainstay join"
            ),
        ),
        (Content::Missing | Content::Empty | Content::NoLog, Record::Bootstrap) => {
            Ok(Start::Bootstrap)
        }
        (Content::Missing | Content::Empty | Content::NoLog, Record::Join(joining)) => {
            Ok(Start::Join(joining.clone()))
        }
        (Content::Missing | Content::Empty | Content::NoLog, Record::Member(identity)) => {
            Err(gone(&dir.to_string(), data, identity))
        }
        (Content::Member { member, .. }, Record::Nothing) => Ok(Start::Restart {
            note: Some(format!(
                "{dir} holds the data of member {member}, which mainstay did not know: adopted"
            )),
        }),
        (Content::Member { .. }, Record::Bootstrap) => Ok(Start::Restart { note: None }),
        (Content::Member { cluster, member }, Record::Join(joining)) => {
            is_it(&dir.to_string(), (*cluster, *member), (joining.cluster, joining.member))?;
            Ok(Start::Restart { note: None })
        }
        (Content::Member { cluster, member }, Record::Member(identity)) => {
            is_it(&dir.to_string(), (*cluster, *member), (identity.cluster, identity.member))?;
            same_disk(&dir.to_string(), data, identity)
        }
    }
}

fn is_it(
    dir: &str,
    found: (ClusterId, MemberId),
    expected: (ClusterId, MemberId),
) -> Result<(), NoStart> {
    if found == expected {
        return Ok(());
    }
    Err(NoStart {
        case: Case::OtherMember,
        why: format!(
            "{dir} holds the data of member {} of cluster {}, but this node is member {} of cluster {}",
            found.1, found.0, expected.1, expected.0
        ),
        remedy: format!(
            "Put this node's data back, or mount its disk. If the data found is to be used from now on: mainstay etcd adopt. If \
             it is not needed, move it away: mv {dir}/member {dir}/set-aside-member"
        ),
    })
}

fn same_disk(dir: &str, data: &DataDir, identity: &Identity) -> Result<Start, NoStart> {
    let moved = moved(data, identity);
    let Some((now, before)) = moved else { return Ok(Start::Restart { note: None }) };
    Err(NoStart {
        case: Case::OtherDisk,
        why: format!(
            "{dir} is on another file system ({}) than this member's data was ({}); an old copy of it would undo what the \
             member has promised to the others",
            now.words(),
            before.words()
        ),
        remedy: "Mount the disk with the data. If you have moved the data there yourself, while etcd stood still: mainstay \
                 etcd adopt"
            .to_owned(),
    })
}

fn gone(dir: &str, data: &DataDir, identity: &Identity) -> NoStart {
    let member = format!("member {} of cluster {}", identity.member, identity.cluster);
    if let Some((now, before)) = moved(data, identity) {
        return NoStart {
            case: Case::OtherDisk,
            why: format!(
                "this node is {member}, but {dir} is on another file system ({}) than its data was ({})",
                now.words(),
                before.words()
            ),
            remedy: "Mount the disk with the data. If it is lost for good: mainstay etcd replace"
                .to_owned(),
        };
    }
    let what = match (&data.content, &data.place, &identity.place) {
        (Content::Missing, ..) => "does not exist any more",
        (Content::NoLog, ..) => "has lost its write-ahead log",
        (_, Some(now), Some(before)) if now.inode != before.inode => "is a new, empty folder",
        _ => "has been emptied",
    };
    NoStart {
        case: Case::DataGone,
        why: format!("this node is {member}, but {dir} {what}"),
        remedy: "Put the data back, or mount its disk. If it is lost for good: mainstay etcd replace. Where too few other \
                 members live for that, it says how to begin anew with what is left"
            .to_owned(),
    }
}

/// The place now and the one before, if they are known to be on different file systems.
fn moved<'a>(data: &'a DataDir, identity: &'a Identity) -> Option<(&'a Place, &'a Place)> {
    let (now, before) = (data.place.as_ref()?, identity.place.as_ref()?);
    (before.same_disk(now) == SameDisk::No).then_some((now, before))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId(0xc1);
    const ME: MemberId = MemberId(0x3e);

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Outcome {
        Bootstrap,
        Join,
        Restart,
        Adopt,
        Refuse(Case),
    }

    fn place(uuid: &str) -> Option<Place> {
        let mount_point = "/var/lib/etcd".to_owned();
        Some(Place {
            uuid: Some(uuid.into()),
            fsid: None,
            kind: "ext4".into(),
            mount_point,
            inode: 2,
        })
    }

    fn outcome(content: Content, disk: Option<Place>, record: &Record) -> Outcome {
        let data = DataDir { content, place: disk };
        match decide(Path::new("/var/lib/etcd"), &data, record) {
            Ok(Start::Bootstrap) => Outcome::Bootstrap,
            Ok(Start::Join(_)) => Outcome::Join,
            Ok(Start::Restart { note: None }) => Outcome::Restart,
            Ok(Start::Restart { note: Some(_) }) => Outcome::Adopt,
            Err(no) => {
                assert!(no.to_string().contains("mainstay "), "no command to type: {no}");
                assert!(no.to_string().contains("/var/lib/etcd"), "does not say where: {no}");
                Outcome::Refuse(no.case)
            }
        }
    }

    #[test]
    fn every_content_on_every_disk_with_every_record_has_one_outcome() {
        use Outcome::{Adopt, Bootstrap, Join, Refuse, Restart};
        let mine = || Content::Member { cluster: CLUSTER, member: ME };
        let contents: [fn() -> Content; 7] = [
            || Content::Missing,
            || Content::Empty,
            || Content::NoLog,
            || Content::Member { cluster: CLUSTER, member: ME },
            || Content::Member { cluster: CLUSTER, member: MemberId(1) },
            || Content::Member { cluster: ClusterId(1), member: ME },
            || Content::Unusable("it holds PG_VERSION".into()),
        ];
        let joining = Joining { cluster: CLUSTER, member: ME, initial_cluster: "m1=x".into() };
        let identity = |place| Record::Member(Identity { cluster: CLUSTER, member: ME, place });
        let (gone, disk, other, bad) = (
            Refuse(Case::DataGone),
            Refuse(Case::OtherDisk),
            Refuse(Case::OtherMember),
            Refuse(Case::Unusable),
        );
        // Missing, empty, no log, this member's, another member's, another cluster's, unusable.
        let table: [(Record, Option<Place>, [Outcome; 7]); 7] = [
            (
                Record::Nothing,
                place("a"),
                [Refuse(Case::NotAsked), Refuse(Case::NotAsked), bad, Adopt, Adopt, Adopt, bad],
            ),
            (
                Record::Bootstrap,
                place("a"),
                [Bootstrap, Bootstrap, Bootstrap, Restart, Restart, Restart, bad],
            ),
            (Record::Join(joining), place("a"), [Join, Join, Join, Restart, other, other, bad]),
            (identity(place("a")), place("a"), [gone, gone, gone, Restart, other, other, bad]),
            (identity(place("a")), place("b"), [disk, disk, disk, disk, other, other, bad]),
            // Where one of the two places is not known, ids decide.
            (identity(None), place("b"), [gone, gone, gone, Restart, other, other, bad]),
            (identity(place("a")), None, [gone, gone, gone, Restart, other, other, bad]),
        ];
        for (record, disk, expected) in table {
            for (content, expected) in contents.iter().zip(expected) {
                let found = outcome(content(), disk.clone(), &record);
                assert_eq!(found, expected, "{:?} on {disk:?} with {record:?}", content());
            }
        }
        assert_eq!(outcome(mine(), None, &Record::Nothing), Adopt);
    }

    #[test]
    fn a_new_cluster_is_made_only_where_one_was_asked_for() {
        let identity = Record::Member(Identity { cluster: CLUSTER, member: ME, place: None });
        for record in [Record::Nothing, identity] {
            for content in [Content::Missing, Content::Empty, Content::NoLog] {
                assert!(matches!(outcome(content, None, &record), Outcome::Refuse(_)));
            }
        }
    }

    #[test]
    fn what_is_asked_for_or_known_is_read_back_as_it_was_written() {
        let joining = Joining { cluster: CLUSTER, member: ME, initial_cluster: "m1=x".into() };
        let identity = Identity { cluster: CLUSTER, member: ME, place: place("a") };
        let folder =
            std::env::temp_dir().join(format!("mainstay-etcd-record-{}", std::process::id()));
        for record in
            [Record::Nothing, Record::Bootstrap, Record::Join(joining), Record::Member(identity)]
        {
            record.save(&folder).unwrap();
            assert_eq!(Record::load(&folder).unwrap().record, record);
        }
        std::fs::write(folder.join("etcd.json"), "{\"state\": \"mem").unwrap();
        let read = Record::load(&folder).unwrap();
        assert_eq!(read.record, Record::Nothing);
        assert!(read.moved_aside.unwrap().ends_with("etcd.json.corrupt-1"));
        assert_eq!(Record::load(&folder).unwrap().moved_aside, None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
