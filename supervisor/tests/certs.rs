//! A mesh of real etcd members takes the certificates that were issued, and no others; so does a real kube-apiserver.
//!
//! Runs where etcd and curl are installed, and kube-apiserver is in the lab's cache; everything stays on the loopback interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use supervisor::certs::{Entry, Mode, Settings, check, issue};

struct Member {
    settings: Settings,
    folder: PathBuf,
    client_port: u16,
    peer_port: u16,
    process: Option<Child>,
}

/// Ends the members and removes their folders.
struct Mesh(PathBuf, Vec<Member>);

impl Drop for Mesh {
    fn drop(&mut self) {
        for process in self.1.iter_mut().filter_map(|it| it.process.as_mut()) {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ports of an address that nobody uses now, each another one.
fn ports<const N: usize>(address: IpAddr) -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind((address, 0)).unwrap());
    held.each_ref().map(|it| it.local_addr().unwrap().port())
}

fn member(above: &Path, number: u8) -> Member {
    let address: IpAddr = [127, 0, 0, 10 + number].into();
    let [client_port, peer_port] = ports(address);
    let folder = above.join(format!("m{number}"));
    fs::create_dir_all(&folder).unwrap();
    let settings = Settings {
        folder: folder.join("pki"),
        node: format!("m{number}"),
        addresses: vec![address],
        api_names: vec!["127.0.0.10".parse().unwrap()],
        service_domain: "cluster.local".into(),
    };
    Member { settings, folder, client_port, peer_port, process: None }
}

impl Member {
    fn name(&self) -> &str {
        &self.settings.node
    }

    fn client(&self) -> String {
        format!("https://{}:{}", self.settings.addresses[0], self.client_port)
    }

    fn peer(&self) -> String {
        format!("https://{}:{}", self.settings.addresses[0], self.peer_port)
    }

    fn path(&self, entry: Entry, key: bool) -> String {
        let path = if key { self.settings.key(entry) } else { self.settings.certificate(entry) };
        path.display().to_string()
    }

    fn start(&mut self, cluster: &str) {
        let log = File::create(self.folder.join("log")).unwrap();
        let authority = self.path(Entry::EtcdCa, false);
        let mut command = Command::new("etcd");
        command.args(["--name", self.name(), "--initial-cluster", cluster]);
        command.args(["--data-dir", &self.folder.join("data").display().to_string()]);
        for (kind, entry, url) in
            [("", Entry::EtcdServer, self.client()), ("peer-", Entry::EtcdPeer, self.peer())]
        {
            command.arg(format!("--{kind}cert-file={}", self.path(entry, false)));
            command.arg(format!("--{kind}key-file={}", self.path(entry, true)));
            command.arg(format!("--{kind}trusted-ca-file={authority}"));
            command.arg(format!("--{kind}client-cert-auth"));
            let kind = if kind.is_empty() { "client" } else { "peer" };
            command.arg(format!("--listen-{kind}-urls={url}"));
            let advertise =
                if kind == "peer" { "initial-advertise-peer" } else { "advertise-client" };
            command.arg(format!("--{advertise}-urls={url}"));
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(child.spawn().unwrap());
    }

    /// What the member says of its health to one that shows it these certificates.
    fn health(&self, as_seen_by: &Member, client: Option<Entry>) -> Result<String, String> {
        as_seen_by.get(&format!("{}/health", self.client()), Entry::EtcdCa, client)
    }

    /// What a server answers that `authority` has signed.
    fn get(&self, url: &str, authority: Entry, client: Option<Entry>) -> Result<String, String> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "5", "--cacert"]);
        command.arg(self.path(authority, false));
        if let Some(client) = client {
            command.args(["--cert", &self.path(client, false)]);
            command.args(["--key", &self.path(client, true)]);
        }
        let output = command.arg(url).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// Waits until all members are.
fn healthy(members: &[Member]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let healthy = |it: &Member| {
        let answer = it.health(&members[0], Some(Entry::EtcdHealthcheckClient));
        answer.is_ok_and(|it| it.contains("\"health\":\"true\""))
    };
    while !members.iter().all(healthy) {
        let logs = || members.iter().map(Member::log).collect::<String>();
        assert!(Instant::now() < deadline, "{}", logs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}

#[test]
fn three_members_of_a_real_etcd_trust_each_other_and_nobody_else() {
    if !installed("etcd") || !installed("curl") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("mainstay-certs-etcd-{}", std::process::id()));
    let members = (1..=3).map(|number| member(&folder, number)).collect();
    let mut mesh = Mesh(folder.clone(), members);
    issue(&mesh.1[0].settings, Mode::First, SystemTime::now()).unwrap();
    for joining in &mesh.1[1..] {
        for name in ["ca", "etcd/ca", "front-proxy-ca"]
            .map(|it| [format!("{it}.crt"), format!("{it}.key")])
            .as_flattened()
        {
            fs::create_dir_all(joining.settings.folder.join("etcd")).unwrap();
            fs::copy(mesh.1[0].settings.folder.join(name), joining.settings.folder.join(name))
                .unwrap();
        }
        fs::copy(mesh.1[0].settings.folder.join("sa.key"), joining.settings.folder.join("sa.key"))
            .unwrap();
        issue(&joining.settings, Mode::Joining, SystemTime::now()).unwrap();
        assert!(check(&joining.settings, SystemTime::now()).is_sound());
    }
    let cluster: Vec<_> = mesh.1.iter().map(|it| format!("{}={}", it.name(), it.peer())).collect();
    for member in &mut mesh.1 {
        member.start(&cluster.join(","));
    }
    let members = &mesh.1;
    healthy(members);
    for member in members {
        assert!(!member.log().contains("rejected connection"), "{}", member.log());
        member.health(&members[1], Some(Entry::ApiServerEtcdClient)).unwrap();
        member.health(&members[2], Some(Entry::EtcdServer)).unwrap();
        member.health(&members[0], None).unwrap_err();
        member.health(&members[0], Some(Entry::ApiServerKubeletClient)).unwrap_err();
    }
}

/// Ends with the test.
struct Apiserver(Child);

impl Drop for Apiserver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// kube-apiserver 1.20 with every certificate that kubeadm gives it.
fn start_apiserver(binary: &Path, member: &Member, port: u16) -> Apiserver {
    let crt = |entry| member.path(entry, false);
    let key = |entry| member.path(entry, true);
    let pki = member.settings.folder.display();
    let address = member.settings.addresses[0];
    let log = File::create(member.folder.join("apiserver.log")).unwrap();
    let process = Command::new(binary)
        .args([
            format!("--etcd-servers={}", member.client()),
            format!("--etcd-cafile={}", crt(Entry::EtcdCa)),
            format!("--etcd-certfile={}", crt(Entry::ApiServerEtcdClient)),
            format!("--etcd-keyfile={}", key(Entry::ApiServerEtcdClient)),
            format!("--bind-address={address}"),
            format!("--secure-port={port}"),
            "--insecure-port=0".into(),
            "--advertise-address=10.99.0.1".into(),
            format!("--tls-cert-file={}", crt(Entry::ApiServer)),
            format!("--tls-private-key-file={}", key(Entry::ApiServer)),
            format!("--client-ca-file={}", crt(Entry::Ca)),
            format!("--kubelet-client-certificate={}", crt(Entry::ApiServerKubeletClient)),
            format!("--kubelet-client-key={}", key(Entry::ApiServerKubeletClient)),
            format!("--requestheader-client-ca-file={}", crt(Entry::FrontProxyCa)),
            "--requestheader-allowed-names=front-proxy-client".into(),
            "--requestheader-username-headers=X-Remote-User".into(),
            format!("--proxy-client-cert-file={}", crt(Entry::FrontProxyClient)),
            format!("--proxy-client-key-file={}", key(Entry::FrontProxyClient)),
            format!("--service-account-key-file={pki}/sa.pub"),
            format!("--service-account-signing-key-file={pki}/sa.key"),
            "--service-account-issuer=https://kubernetes".into(),
            "--authorization-mode=Node,RBAC".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Apiserver(process.unwrap())
}

#[test]
fn a_real_kube_apiserver_serves_with_them_and_reaches_its_etcd() {
    let cache = std::env::var_os("MAINSTAY_LAB_CACHE");
    let cache = cache.map_or_else(|| PathBuf::from("/var/cache/mainstay-lab"), PathBuf::from);
    let binary = cache.join("kube-apiserver");
    if !installed("etcd") || !installed("curl") || !binary.exists() {
        return;
    }
    let folder = std::env::temp_dir().join(format!("mainstay-certs-api-{}", std::process::id()));
    let mut mesh = Mesh(folder.clone(), vec![member(&folder, 4)]);
    issue(&mesh.1[0].settings, Mode::First, SystemTime::now()).unwrap();
    let cluster = format!("{}={}", mesh.1[0].name(), mesh.1[0].peer());
    mesh.1[0].start(&cluster);
    healthy(&mesh.1);
    let member = &mesh.1[0];
    let [port] = ports(member.settings.addresses[0]);
    let _apiserver = start_apiserver(&binary, member, port);
    let url = |path: &str| format!("https://{}:{port}{path}", member.settings.addresses[0]);
    let ask = |path: &str, client| member.get(&url(path), Entry::Ca, client);
    let deadline = Instant::now() + Duration::from_secs(90);
    while ask("/readyz", None).as_deref() != Ok("ok") {
        let log = fs::read_to_string(member.folder.join("apiserver.log")).unwrap_or_default();
        let end: Vec<_> = log.lines().rev().take(20).collect();
        assert!(Instant::now() < deadline, "its log, last line first:\n{}", end.join("\n"));
        std::thread::sleep(Duration::from_millis(200));
    }
    // A member of system:masters may do everything, somebody without a certificate next to nothing.
    let namespaces = ask("/api/v1/namespaces", Some(Entry::ApiServerKubeletClient)).unwrap();
    assert!(namespaces.contains("NamespaceList"), "{namespaces}");
    ask("/api/v1/namespaces", None).unwrap_err();
    // Signed by another authority.
    ask("/api/v1/namespaces", Some(Entry::EtcdHealthcheckClient)).unwrap_err();
}
