//! Data directories that are not what they were.

use std::path::{Path, PathBuf};
use std::process::Command;

use supervisor::etcd::decision::Start;
use supervisor::etcd::guard::Force;
use supervisor::etcd::record::Record;
use supervisor::etcd::{Member, Progress, Refusal};

use super::rig::{PATIENCE, Rig};

/// A file system in memory over a directory.
pub struct Mount(PathBuf);

impl Mount {
    pub fn over(path: &Path) -> Self {
        Self::of_size(path, "1g")
    }

    pub fn of_size(path: &Path, size: &str) -> Self {
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "mainstay-etcd"]).arg(path);
        assert!(
            mount.status().unwrap().success(),
            "mounting needs root: sudo netns-scripts/test.sh"
        );
        Self(path.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn an_emptied_data_directory_is_refused_until_the_member_is_replaced() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    rig.masters[2].kill();
    let data = rig.masters[2].data_dir().to_owned();
    std::fs::remove_dir_all(data.join("member")).unwrap();
    rig.masters[2].forget_in_memory();
    let refused = rig.masters[2].start().await.unwrap_err();
    assert!(refused.refused && refused.reason.contains("has been emptied"), "{refused}");
    assert!(refused.reason.contains("mainstay etcd replace"), "{refused}");

    std::fs::remove_dir_all(&data).unwrap();
    let refused = rig.masters[2].start().await.unwrap_err();
    assert!(refused.reason.contains("does not exist any more"), "{refused}");
    let init = rig.masters[2].etcd.init().await.unwrap_err();
    assert!(matches!(init.refusal(), Some(Refusal::AlreadyMember { .. })), "{init}");

    let quiet = Progress::none();
    rig.masters[2].etcd.replace(None, Force::No, &quiet).await.unwrap();
    rig.masters[2].start().await.unwrap();
    rig.masters[2].etcd.promote(PATIENCE, &quiet).await.unwrap();
    rig.masters[2].ready().await;
}

#[tokio::test]
async fn a_disk_that_is_not_mounted_or_another_one_is_noticed() {
    let Some(mut rig) = Rig::new(1) else { return };
    let data = rig.masters[0].data_dir().to_owned();
    std::fs::create_dir_all(&data).unwrap();
    let disk = Mount::over(&data);
    rig.bootstrap().await;
    rig.masters[0].kill();
    let copy = rig.folder.join("copy");
    let copied = Command::new("cp").arg("-a").arg(&data).arg(&copy).status().unwrap();
    assert!(copied.success());

    // Not mounted: an empty folder on the node's own disk.
    drop(disk);
    rig.masters[0].forget_in_memory();
    let refused = rig.masters[0].start().await.unwrap_err();
    assert!(refused.refused && refused.reason.contains("is on another file system"), "{refused}");
    assert!(refused.reason.contains("Mount the disk"), "{refused}");

    // An old copy on the node's own disk: the data is this member's, but not the latest.
    std::fs::rename(copy.join("member"), data.join("member")).unwrap();
    let refused = rig.masters[0].start().await.unwrap_err();
    assert!(refused.refused && refused.reason.contains("old copy"), "{refused}");
    assert!(refused.reason.contains("mainstay etcd adopt"), "{refused}");

    // The operator has moved it.
    let shown = rig.masters[0].etcd.may_adopt().await.unwrap();
    assert!(!shown.is_known());
    assert!(rig.masters[0].start().await.is_err(), "to show it records nothing");
    assert_eq!(rig.masters[0].etcd.adopt().await.unwrap(), shown);
    assert!(rig.masters[0].etcd.may_adopt().await.unwrap().is_known());
    assert_eq!(rig.masters[0].start().await.unwrap(), Start::Restart { note: None });
    rig.masters[0].ready().await;
}

#[tokio::test]
async fn data_is_adopted_only_where_it_can_be_this_nodes() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let runs = rig.masters[2].etcd.adopt().await.unwrap_err();
    assert!(matches!(runs.refusal(), Some(Refusal::StillRuns)), "{runs}");
    // Somebody else's etcd on the data, which listens elsewhere.
    let mut settings = rig.masters[2].etcd.settings().clone();
    settings.me.client_port = 1;
    let stranger = Member::new(settings, rig.folder.join("stranger"));
    let used = stranger.adopt().await.unwrap_err();
    assert!(matches!(used.refusal(), Some(Refusal::InUse { .. })), "{used}");

    rig.masters[2].kill();
    let (one, three) = (rig.masters[0].data_dir().to_owned(), rig.masters[2].data_dir().to_owned());
    std::fs::rename(three.join("member"), rig.folder.join("mine")).unwrap();
    let nothing = rig.masters[2].etcd.adopt().await.unwrap_err();
    assert!(matches!(nothing.refusal(), Some(Refusal::NothingToAdopt { .. })), "{nothing}");
    // A copy of a member that lives, then of one that does not.
    let copied = Command::new("cp").arg("-a").arg(one.join("member")).arg(&three).status().unwrap();
    assert!(copied.success());
    let copy = rig.masters[2].etcd.adopt().await.unwrap_err();
    assert!(matches!(copy.refusal(), Some(Refusal::RunsElsewhere { .. })), "{copy}");
    rig.masters[0].kill();
    let others = rig.masters[2].etcd.adopt().await.unwrap_err();
    assert!(matches!(others.refusal(), Some(Refusal::OtherNodes { .. })), "{others}");
    assert!(others.to_string().contains("mainstay etcd replace m1"), "{others}");
    rig.masters[0].start().await.unwrap();

    // Its own data, and nothing remembered.
    std::fs::remove_dir_all(three.join("member")).unwrap();
    std::fs::rename(rig.folder.join("mine"), three.join("member")).unwrap();
    std::fs::remove_dir_all(rig.folder.join("m3/state")).unwrap();
    rig.masters[2].forget_in_memory();
    rig.masters[0].ready().await;
    let adopted = rig.masters[2].etcd.adopt().await.unwrap();
    assert_eq!((adopted.before, adopted.notes), (Record::Nothing, Vec::new()));
    assert_eq!(rig.masters[2].start().await.unwrap(), Start::Restart { note: None });
    rig.ready().await;
}

#[tokio::test]
async fn another_members_data_is_refused_and_so_is_a_join_over_data() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    rig.masters[1].kill();
    rig.masters[2].kill();
    let (one, two) = (rig.masters[1].data_dir().to_owned(), rig.masters[2].data_dir().to_owned());
    std::fs::rename(two.join("member"), rig.folder.join("mine")).unwrap();
    std::fs::rename(one.join("member"), two.join("member")).unwrap();
    rig.masters[2].forget_in_memory();
    let refused = rig.masters[2].start().await.unwrap_err();
    assert!(refused.refused && refused.reason.contains("but this node is member"), "{refused}");

    std::fs::remove_dir_all(rig.folder.join("m3/state")).unwrap();
    rig.masters[2].forget_in_memory();
    let there = rig.masters[2].etcd.join(&Progress::none()).await.unwrap_err();
    assert!(matches!(there.refusal(), Some(Refusal::DataThere { .. })), "{there}");

    // Everything back in its place: all is well again.
    std::fs::rename(two.join("member"), one.join("member")).unwrap();
    std::fs::rename(rig.folder.join("mine"), two.join("member")).unwrap();
    for index in [1, 2] {
        rig.masters[index].start().await.unwrap();
    }
    rig.ready().await;
}
