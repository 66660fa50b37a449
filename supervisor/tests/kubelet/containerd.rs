//! Whether a containerd answers what kubelet would ask of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use supervisor::kubelet::{Cri, ask_cri};

use super::rig::{shown, until};

/// A containerd with folders of its own. Ends with the test.
struct Containerd {
    directory: PathBuf,
    process: Child,
}

impl Containerd {
    fn start(name: &str, configuration: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("mainstay-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| shown(&directory.join(name));
        fs::write(path("config.toml"), configuration).unwrap();
        let process = Command::new("containerd")
            .args(["--config", &path("config.toml"), "--root", &path("root")])
            .args(["--state", &path("state"), "--address", &path("sock")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        Self { directory, process }
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("sock")
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

async fn answer(containerd: &Containerd) -> Cri {
    until("containerd's socket", || containerd.socket().exists()).await;
    loop {
        match ask_cri(&containerd.socket()).await {
            // It is on its way up.
            Cri::Absent(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            found => return found,
        }
    }
}

#[tokio::test]
async fn a_containerd_whose_cri_is_disabled_is_told_from_one_that_answers() {
    if !rustix::process::geteuid().is_root()
        || Command::new("containerd").arg("--version").stdout(Stdio::null()).status().is_err()
    {
        return;
    }
    let disabled = Containerd::start("disabled", "disabled_plugins = [\"cri\"]\n");
    let found = tokio::time::timeout(Duration::from_secs(60), answer(&disabled)).await.unwrap();
    assert_eq!(found, Cri::Disabled);
    drop(disabled);
    let enabled =
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\ndisable_tcp_service = true\n";
    let enabled = Containerd::start("enabled", enabled);
    let found = tokio::time::timeout(Duration::from_secs(60), answer(&enabled)).await.unwrap();
    assert!(matches!(&found, Cri::Answers(who) if who.starts_with("containerd 1.")), "{found:?}");
}
