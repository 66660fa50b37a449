//! `mainstay etcd adopt`

use std::fmt::Write;
use std::path::Path;

use supervisor::etcd::Adoption;
use supervisor::etcd::data::Place;
use supervisor::etcd::record::Record;

use super::super::progress::End;
use super::Etcd;

/// Takes the data directory for this node's, if the operator says so; else says what that would mean.
pub async fn adopt(etcd: &Etcd, yes: bool) -> Result<End, End> {
    let member = &etcd.member;
    let adoption = if yes { member.adopt().await? } else { member.may_adopt().await? };
    let text = words(&member.settings().data_dir, &adoption);
    if adoption.is_known() {
        let text = format!("{text}\nnothing to adopt: `mainstay unit start etcd` starts it");
        return Ok(End::done(text).with(adoption));
    }
    if yes {
        let text = format!("{text}\nadopted: `mainstay unit start etcd` starts it");
        return Ok(End::done(text).with(adoption));
    }
    let text = format!(
        "{text}\nnothing is recorded yet. An older copy of the data would undo what this member \
         has promised to the others. If this is its latest: `mainstay etcd adopt --yes`"
    );
    Err(End::refused(text).with(adoption))
}

fn words(data_dir: &Path, adoption: &Adoption) -> String {
    let Adoption { identity, before, notes } = adoption;
    let mut text = format!(
        "{} holds the data of member {} of cluster {}, on {}\nremembered: {}",
        data_dir.display(),
        identity.member,
        identity.cluster,
        place(identity.place.as_ref()),
        remembered(before)
    );
    for note in notes {
        // Writing to a String cannot fail.
        let _ = write!(text, "\nnote: {note}");
    }
    text
}

fn remembered(record: &Record) -> String {
    match record {
        Record::Nothing => "nothing".to_owned(),
        Record::Bootstrap => "a new cluster was asked for".to_owned(),
        Record::Join(it) => format!("added as member {} of cluster {}", it.member, it.cluster),
        Record::Member(it) => {
            let place = place(it.place.as_ref());
            format!("member {} of cluster {}, on {place}", it.member, it.cluster)
        }
    }
}

fn place(place: Option<&Place>) -> String {
    place.map_or_else(|| "a file system that cannot be told".to_owned(), Place::words)
}

#[cfg(test)]
mod tests {
    use supervisor::etcd::record::Identity;
    use supervisor::etcd::{ClusterId, MemberId};

    use super::*;

    #[test]
    fn an_operator_sees_what_is_recorded_and_what_was_before() {
        let disk = |uuid: &str| Place {
            uuid: Some(uuid.to_owned()),
            fsid: None,
            kind: "ext4".to_owned(),
            mount_point: "/data".to_owned(),
            inode: 2,
        };
        let of = |uuid| Identity {
            cluster: ClusterId(0xc1),
            member: MemberId(0x3e),
            place: Some(disk(uuid)),
        };
        let adoption = Adoption {
            identity: of("new"),
            before: Record::Member(of("old")),
            notes: vec!["m1 is silent".to_owned()],
        };
        assert_eq!(
            words(Path::new("/data"), &adoption),
            "/data holds the data of member 3e of cluster c1, on ext4 mounted at /data, UUID new\n\
             remembered: member 3e of cluster c1, on ext4 mounted at /data, UUID old\n\
             note: m1 is silent"
        );
    }
}
