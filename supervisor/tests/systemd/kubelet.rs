//! kubelet as a unit of systemd's: of ours, or with a drop-in of ours for a package's. A script stands in for kubelet.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;
use supervisor::backend::{Backend, Identity, Readiness, Running};
use supervisor::kubelet::{Carrier, Kubelet, Settings};

use super::{LONG, Lab, soon};

/// Through quotes, specifiers and variables.
const LABELS: &str = "a=%n,b=$HOME ${PATH} \"c\" 'd' \\e;";

fn settings(lab: &Lab) -> Settings {
    let folder = lab.container.directory.join("kubelet");
    fs::create_dir_all(&folder).unwrap();
    let binary = folder.join("kubelet");
    let arguments = folder.join("arguments");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >{0}.new\nmv {0}.new {0}\nexec sleep infinity\n",
        arguments.display()
    );
    fs::write(&binary, script).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join("ca.crt"), "").unwrap();
    let mut settings =
        Settings::new("1.20".parse().unwrap(), "m1", vec!["10.0.0.1".parse().unwrap()]);
    settings.binary = binary;
    settings.configuration = folder.join("config.json");
    settings.static_pods = folder.join("manifests");
    settings.client_ca = folder.join("ca.crt");
    settings.folder = folder;
    // Nobody is there.
    settings.healthz_port = 1;
    settings.flags.insert("node-labels".into(), LABELS.into());
    settings
}

/// What the script was started with, once.
async fn arguments(settings: &Settings) -> String {
    let path: PathBuf = settings.folder.join("arguments");
    let text = soon(async {
        loop {
            match fs::read_to_string(&path) {
                Ok(text) => return text,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    });
    let text = text.await;
    fs::remove_file(&path).unwrap();
    text
}

fn spec(run: &Running) -> &str {
    match &run.identity {
        Identity::Systemd { spec_hash, .. } => spec_hash,
        other => panic!("{other:?}"),
    }
}

pub async fn arguments_reach_it_through_a_unit_or_a_drop_in_of_ours(lab: &Lab) {
    let folder = lab.container.path("/etc/systemd/system");
    for (unit, written) in [
        ("kubelet.service", "kubelet.service.d/90-mainstay.conf"),
        ("mainstay-kubelet.service", "mainstay-kubelet.service"),
    ] {
        let settings = settings(lab);
        let of =
            |settings: &Settings| Kubelet::new(settings.clone(), Carrier::Systemd(lab.unit(unit)));
        let kubelet = of(&settings);
        let run = soon(kubelet.start()).await.unwrap();
        assert!(folder.join(written).exists(), "{written}");
        let arguments = arguments(&settings).await;
        assert!(arguments.contains(&format!("--node-labels={LABELS}\n")), "{arguments}");
        assert!(arguments.contains("--node-ip=10.0.0.1\n"), "{arguments}");
        assert_eq!(lab.container.show(unit, "Restart"), "no");
        let configuration = fs::read_to_string(&settings.configuration).unwrap();
        assert!(configuration.contains("KubeletConfiguration"));

        // A successor takes it as it is; another configuration is drift.
        for known in [Some(&run.identity), None] {
            let adopted = soon(of(&settings).adopt(known)).await.unwrap().unwrap();
            assert_eq!((&adopted.identity, adopted.drift), (&run.identity, None));
        }
        let mut changed = settings.clone();
        changed.overrides.insert("maxPods".into(), json!(30));
        let adopted = soon(of(&changed).adopt(Some(&run.identity))).await.unwrap().unwrap();
        assert!(adopted.drift.as_ref().is_some_and(|it| it.contains("not as configured")));
        assert_eq!(spec(&adopted), spec(&run));

        // It runs, but says nothing.
        let readiness = soon(kubelet.readiness(&run.identity)).await;
        assert!(
            matches!(&readiness, Readiness::NotReady(why) if why.contains("refused")),
            "{readiness:?}"
        );
        soon(kubelet.stop(&run.identity, LONG)).await.unwrap();
        assert_eq!(soon(kubelet.adopt(Some(&run.identity))).await.unwrap(), None);
    }
}
