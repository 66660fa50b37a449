//! The other master, without a machine of its own: mainstay for its virtual router alone, and an etcd that is a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use lab::Node;
use serde_json::Value;
use supervisor::certs::{self, Mode};
use supervisor::etcd::{self, Settings};

use crate::support::{M1, M2, Net, poll};

/// What a further master needs of the first one's certificates.
const AUTHORITIES: &[&str] = &["ca", "front-proxy-ca", "etcd/ca"];
const ACCOUNTS: [&str; 2] = ["sa.key", "sa.pub"];

/// Its etcd is killed when it is dropped.
pub struct Peer {
    etcd: Child,
    namespace: String,
    directory: PathBuf,
    settings: Settings,
}

impl Peer {
    /// Starts its etcd, with certificates of the authorities in `pki`.
    pub fn start(net: &Net, pki: &Path) -> Self {
        let directory = net.lab().directory(M2).join("etcd");
        let folder = directory.join("pki");
        fs::create_dir_all(folder.join("etcd")).unwrap();
        let pairs = AUTHORITIES.iter().flat_map(|it| [format!("{it}.crt"), format!("{it}.key")]);
        for file in pairs.chain(ACCOUNTS.map(str::to_owned)) {
            fs::copy(pki.join(&file), folder.join(&file)).unwrap();
        }
        let certificates = certs::Settings {
            folder: folder.clone(),
            node: M2.to_string(),
            addresses: vec![M2.address().into()],
            api_names: Vec::new(),
            service_domain: "cluster.local".into(),
        };
        certs::issue(&certificates, Mode::Joining, SystemTime::now()).unwrap();

        let member = |node: Node| etcd::Node::new(node.to_string(), node.address().into());
        let settings = Settings {
            cluster: net.lab().name().to_owned(),
            me: member(M2),
            others: vec![member(M1)],
            data_dir: directory.join("data"),
            pki: Some(folder.join("etcd")),
            metrics_port: None,
            quota: None,
            heartbeat: None,
            election: None,
            extra: Vec::new(),
        };
        let namespace = format!("--net=/run/netns/{}", net.lab().namespace(M2));
        let log = File::create(directory.join("log")).unwrap();
        let etcd = Command::new("nsenter")
            .arg(&namespace)
            .args(settings.command())
            .arg(format!("--initial-cluster={}", settings.initial_cluster()))
            .arg(format!("--initial-cluster-token={}", settings.cluster))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { etcd, namespace, directory, settings }
    }

    /// What its etcd has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }

    /// Sees to it that m1's member leads.
    pub fn follow(&self) {
        poll("m1 to lead etcd", || {
            let status = self.etcdctl(&["endpoint", "status"])?;
            let status = &status[0]["Status"];
            let (me, leader) =
                (status["header"]["member_id"].as_u64()?, status["leader"].as_u64()?);
            if leader == me {
                let members = self.etcdctl(&["member", "list"])?;
                let ids = members["members"].as_array()?.iter().map(|it| it["ID"].as_u64());
                let other = ids.flatten().find(|id| *id != me)?;
                self.etcdctl(&["move-leader", &format!("{other:x}")]);
            }
            (leader != 0 && leader != me).then_some(())
        });
    }

    fn etcdctl(&self, arguments: &[&str]) -> Option<Value> {
        let pki = self.settings.pki.as_ref()?;
        let file = |name: &str| pki.join(name).display().to_string();
        let output = Command::new("nsenter")
            .args([&self.namespace, "etcdctl", "--write-out=json"])
            .arg(format!("--endpoints={}", self.settings.me.client_url()))
            .arg(format!("--cacert={}", file("ca.crt")))
            .arg(format!("--cert={}", file("healthcheck-client.crt")))
            .arg(format!("--key={}", file("healthcheck-client.key")))
            .args(arguments)
            .env("ETCDCTL_API", "3")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
        if std::thread::panicking() {
            let log = self.log();
            let end: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("---- the other etcd, last line first\n{}", end.join("\n"));
        }
    }
}
