//! Images from a folder, without a registry.

use std::fs;

use supervisor::backend::Backend;
use supervisor::backend::container::ContainerSpec;

use crate::rig::{IMAGE, Rig};

#[tokio::test]
async fn a_missing_image_is_refused_naming_the_folder_and_loaded_once_it_is_there() {
    let Some(rig) = Rig::running() else { return };
    let spec = ContainerSpec { image: "etcd:v9".to_owned(), ..rig.etcd() };
    let unit = rig.unit(spec);
    let fault = unit.start().await.unwrap_err();
    assert!(fault.refused);
    let folder = rig.path("images");
    let words = [folder.to_str().unwrap(), "docker save etcd:v9", "docker pull etcd:v9"];
    assert!(words.iter().all(|word| fault.reason.contains(word)), "{fault}");

    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("broken.tar"), "no tarball").unwrap();
    let fault = unit.start().await.unwrap_err();
    assert!(fault.refused && fault.reason.contains("broken.tar"), "{fault}");

    rig.docker(&format!("tag {IMAGE} etcd:v9"));
    rig.dockerd.save("etcd:v9", &folder.join("etcd.tar")).unwrap();
    rig.docker("rmi etcd:v9");
    unit.start().await.unwrap();
}

#[tokio::test]
async fn a_tarball_is_loaded_once_and_again_only_when_it_or_dockers_images_have_changed() {
    let Some(rig) = Rig::running() else { return };
    let folder = rig.path("images");
    fs::create_dir(&folder).unwrap();
    let tarball = folder.join("etcd.tar");
    rig.dockerd.save(IMAGE, &tarball).unwrap();
    rig.docker(&format!("rmi {IMAGE}"));

    let load = async || rig.images().load(&rig.client).await.unwrap();
    assert_eq!(load().await.loaded, [IMAGE]);
    assert_eq!((load().await.loaded.len(), load().await.present), (0, vec![IMAGE.to_owned()]));
    // Touched, not changed: its digest tells.
    let copy = fs::read(&tarball).unwrap();
    fs::write(&tarball, copy).unwrap();
    assert_eq!(load().await.present, [IMAGE]);
    // Docker has lost it.
    rig.docker(&format!("rmi {IMAGE}"));
    assert_eq!(load().await.loaded, [IMAGE]);
    // A record that nobody can read costs one load.
    fs::write(rig.path("images.json"), "{").unwrap();
    assert_eq!(load().await.loaded, [IMAGE]);
    assert_eq!(load().await.present, [IMAGE]);
    // One that is no tarball keeps nothing else from being loaded.
    fs::write(folder.join("a.tar"), "no tarball").unwrap();
    rig.docker(&format!("rmi {IMAGE}"));
    let outcome = load().await;
    assert_eq!(outcome.loaded, [IMAGE]);
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
}
