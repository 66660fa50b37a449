//! What etcd says when it ends, and what the operator is told of it.

use std::process::Command;

use supervisor::etcd::guard::Force;
use supervisor::etcd::{Member, Progress};

use super::rig::{Master, Rig};

/// Starts etcd, waits for its end, and tells what it means.
async fn end(master: &mut Master) -> String {
    std::fs::write(&master.log, "").unwrap();
    master.start().await.unwrap();
    master.ended().await;
    let log = std::fs::read_to_string(&master.log).unwrap();
    master.etcd.ended(&log).unwrap_or_else(|| panic!("not understood: {log}"))
}

#[tokio::test]
async fn a_member_that_was_removed_is_not_started_again_until_it_joins_anew() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    rig.masters[2].kill();
    let quiet = Progress::none();
    rig.masters[0].etcd.mesh().remove("m3", Force::No, &quiet).await.unwrap();
    let words = end(&mut rig.masters[2]).await;
    assert!(words.contains("was removed") && words.contains("mainstay etcd replace"), "{words}");
    let refused = rig.masters[2].start().await.unwrap_err();
    assert!(refused.refused && refused.reason == words, "{refused}");

    rig.masters[2].etcd.replace(None, Force::No, &quiet).await.unwrap();
    rig.masters[2].start().await.unwrap();
    rig.masters[2].etcd.promote(super::rig::PATIENCE, &quiet).await.unwrap();
    rig.masters[2].ready().await;
}

#[tokio::test]
async fn a_port_that_is_taken_missing_certificates_and_damaged_data_are_told_apart() {
    let Some(mut rig) = Rig::new(1) else { return };
    let settings = rig.masters[0].etcd.settings().clone();
    let taken = std::net::TcpListener::bind(settings.local_address()).unwrap();
    rig.masters[0].etcd.init().await.unwrap();
    let words = end(&mut rig.masters[0]).await;
    assert!(words.contains("another program has one of its ports"), "{words}");
    drop(taken);

    let mut elsewhere = settings.clone();
    elsewhere.pki = Some(rig.folder.join("nowhere"));
    let own = std::mem::replace(
        &mut rig.masters[0].etcd,
        Member::new(elsewhere, rig.folder.join("m1/state")),
    );
    let words = end(&mut rig.masters[0]).await;
    assert!(words.contains("mainstay certs check"), "{words}");
    rig.masters[0].etcd = own;

    rig.masters[0].start().await.unwrap();
    rig.masters[0].ready().await;
    rig.masters[0].kill();
    let wal = rig.masters[0].data_dir().join("member/wal");
    let file = std::fs::read_dir(wal)
        .unwrap()
        .flatten()
        .find(|it| it.path().extension().is_some_and(|it| it == "wal"));
    let path = file.unwrap().path();
    let mut bytes = std::fs::read(&path).unwrap();
    damage_fifth_record(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let words = end(&mut rig.masters[0]).await;
    assert!(words.contains("damaged"), "{words}");
}

/// Changes the last byte of what a record of the log carries. The first two say whose log it is.
fn damage_fifth_record(log: &mut [u8]) {
    let mut start = 0;
    for record in 1.. {
        let frame = u64::from_le_bytes(log[start..start + 8].try_into().unwrap());
        let length = usize::try_from(frame & 0x00ff_ffff_ffff_ffff).unwrap();
        let padding = usize::try_from((frame >> 56) & 7).unwrap();
        if record == 5 {
            log[start + 8 + length - 1] ^= 0xff;
            return;
        }
        start += 8 + length + padding;
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_etcd_comes_back_when_there_is_space() {
    let Some(mut rig) = Rig::new(1) else { return };
    let data = rig.masters[0].data_dir().to_owned();
    std::fs::create_dir_all(&data).unwrap();
    // etcd allocates 64 MB at once.
    let disk = super::disks::Mount::of_size(&data, "200m");
    let fill = data.join("set-aside-ballast");
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=1M"])
        .arg(format!("of={}", fill.display()))
        .output();
    assert!(!filled.unwrap().status.success(), "it is full");
    rig.masters[0].etcd.init().await.unwrap();
    let words = end(&mut rig.masters[0]).await;
    assert!(words.contains("is full"), "{words}");
    std::fs::remove_file(fill).unwrap();
    rig.masters[0].start().await.unwrap();
    rig.masters[0].ready().await;
    rig.masters[0].kill();
    drop(disk);
}
