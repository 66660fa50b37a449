//! Whether openssl, and we ourselves, take what was issued for what it is to be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mainstay-certs-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// Of the master `m1`.
    fn settings(&self) -> Settings {
        Settings {
            folder: self.pki(),
            node: "m1".into(),
            addresses: vec!["10.0.0.11".parse().unwrap(), "fd00::11".parse().unwrap()],
            api_names: vec!["10.0.0.10".parse().unwrap(), "api.example.org".parse().unwrap()],
            service_domain: "cluster.local".into(),
        }
    }

    /// What each file of it holds.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        for folder in [self.pki(), self.pki().join("etcd")] {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.map(|it| it.unwrap().path()).filter(|it| it.is_file()) {
                all.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
        all
    }

    /// As an operator copies the authorities to another master.
    fn copy_authorities(&self, to: &Self) {
        fs::create_dir_all(to.pki().join("etcd")).unwrap();
        for name in ["ca", "etcd/ca", "front-proxy-ca"] {
            for suffix in ["crt", "key"] {
                let name = format!("{name}.{suffix}");
                fs::copy(self.pki().join(&name), to.pki().join(&name)).unwrap();
            }
        }
        fs::copy(self.pki().join("sa.key"), to.pki().join("sa.key")).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn first(folder: &Folder) -> Settings {
    let settings = folder.settings();
    issue(&settings, Mode::First, now()).unwrap();
    settings
}

/// The problems of an entry.
fn problems(settings: &Settings, name: &str, now: SystemTime) -> Vec<Problem> {
    let report = check(settings, now);
    report.items.into_iter().find(|it| it.name == name).unwrap().problems
}

fn openssl(arguments: &str, folder: &Path) -> Result<String, String> {
    let output =
        Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text + &String::from_utf8_lossy(&output.stderr))
    }
}

/// Whether this machine has openssl; every one that is tested on does.
fn has_openssl() -> bool {
    Command::new("openssl").arg("version").output().is_ok()
}

#[test]
fn the_first_master_gets_everything_in_kubeadms_layout() {
    let folder = Folder::new();
    let settings = folder.settings();
    let issued = issue(&settings, Mode::First, now()).unwrap();
    assert_eq!(issued.written.len(), 2 * Entry::ALL.len() + 2);
    assert!(issued.kept.is_empty());
    for name in [
        "ca",
        "apiserver",
        "apiserver-kubelet-client",
        "apiserver-etcd-client",
        "front-proxy-ca",
        "front-proxy-client",
        "etcd/ca",
        "etcd/server",
        "etcd/peer",
        "etcd/healthcheck-client",
    ] {
        assert!(folder.pki().join(format!("{name}.crt")).is_file(), "{name}");
        assert!(folder.pki().join(format!("{name}.key")).is_file(), "{name}");
    }
    let report = check(&settings, now());
    assert!(report.items.iter().all(|it| it.problems.is_empty()), "{report:#?}");
    assert!(report.is_sound());
}

#[test]
fn only_the_owner_reads_private_keys() {
    let folder = Folder::new();
    first(&folder);
    for path in folder.contents().keys() {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let private = path.extension().unwrap() == "key";
        assert_eq!(mode, if private { 0o600 } else { 0o644 }, "{}", path.display());
    }
}

#[test]
fn a_second_run_changes_nothing() {
    let folder = Folder::new();
    let settings = first(&folder);
    let before = folder.contents();
    let issued = issue(&settings, Mode::First, now() + 400 * DAY).unwrap();
    assert!(issued.written.is_empty());
    assert_eq!(issued.kept.len(), Entry::ALL.len());
    assert_eq!(folder.contents(), before);
    issue(&settings, Mode::Joining, now()).unwrap();
    assert_eq!(folder.contents(), before);
}

#[test]
fn openssl_verifies_every_certificate_for_its_purpose_and_names() {
    if !has_openssl() {
        return;
    }
    let folder = Folder::new();
    first(&folder);
    let verify =
        |arguments: &str| openssl(&format!("verify -x509_strict {arguments}"), &folder.pki());
    for authority in ["ca.crt", "etcd/ca.crt", "front-proxy-ca.crt"] {
        verify(&format!("-CAfile {authority} {authority}")).unwrap();
    }
    for name in ["10.0.0.11", "10.0.0.10", "fd00::11", "127.0.0.1", "::1"] {
        let purpose = format!("-purpose sslserver -verify_ip {name}");
        verify(&format!("-CAfile ca.crt {purpose} apiserver.crt")).unwrap();
    }
    for name in ["api.example.org", "kubernetes.default.svc.cluster.local", "localhost", "m1"] {
        let purpose = format!("-purpose sslserver -verify_hostname {name}");
        verify(&format!("-CAfile ca.crt {purpose} apiserver.crt")).unwrap();
    }
    for name in ["etcd/server.crt", "etcd/peer.crt"] {
        for purpose in ["sslserver", "sslclient"] {
            let arguments = format!("-CAfile etcd/ca.crt -purpose {purpose} -verify_ip 10.0.0.11");
            verify(&format!("{arguments} {name}")).unwrap();
        }
        verify(&format!("-CAfile etcd/ca.crt -verify_ip 10.0.0.10 {name}")).unwrap_err();
    }
    for (authority, name) in [
        ("ca.crt", "apiserver-kubelet-client.crt"),
        ("etcd/ca.crt", "apiserver-etcd-client.crt"),
        ("etcd/ca.crt", "etcd/healthcheck-client.crt"),
        ("front-proxy-ca.crt", "front-proxy-client.crt"),
    ] {
        verify(&format!("-CAfile {authority} -purpose sslclient {name}")).unwrap();
        verify(&format!("-CAfile {authority} -purpose sslserver {name}")).unwrap_err();
    }
    verify("-CAfile ca.crt etcd/server.crt").unwrap_err();
    let subject = |name: &str| openssl(&format!("x509 -noout -subject -in {name}"), &folder.pki());
    assert_eq!(subject("etcd/peer.crt").unwrap(), "subject=CN = m1\n");
    assert_eq!(
        subject("apiserver-kubelet-client.crt").unwrap(),
        "subject=O = system:masters, CN = kube-apiserver-kubelet-client\n"
    );
    let public = openssl("pkey -pubout -in sa.key", &folder.pki()).unwrap();
    let compact = |text: &str| text.replace(['\r', '\n'], "");
    let written = fs::read_to_string(folder.pki().join("sa.pub")).unwrap();
    assert_eq!(compact(&written), compact(&public));
}

#[test]
fn a_master_that_joins_is_told_what_to_copy_and_writes_nothing() {
    let folder = Folder::new();
    let error = issue(&folder.settings(), Mode::Joining, now()).unwrap_err();
    let text = error.to_string();
    for name in ["ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.key", "sa.key"] {
        assert!(text.contains(&folder.pki().join(name).display().to_string()), "{text}");
    }
    assert!(text.contains("copy") && text.contains("certs issue --new-ca"), "{text}");
    assert!(!folder.pki().exists());
}

#[test]
fn a_master_that_joins_signs_with_the_clusters_authorities() {
    let (one, two) = (Folder::new(), Folder::new());
    first(&one);
    one.copy_authorities(&two);
    let mut settings = two.settings();
    settings.node = "m2".into();
    settings.addresses = vec!["10.0.0.12".parse().unwrap()];
    let issued = issue(&settings, Mode::Joining, now()).unwrap();
    assert_eq!(issued.kept.len(), 3);
    assert!(check(&settings, now()).is_sound());
    let same = |name: &str| {
        fs::read(one.pki().join(name)).unwrap() == fs::read(two.pki().join(name)).unwrap()
    };
    assert!(same("sa.pub") && same("etcd/ca.crt") && !same("etcd/server.crt"));
    if has_openssl() {
        let other = two.pki().join("etcd/peer.crt");
        let arguments = format!("verify -CAfile etcd/ca.crt {}", other.display());
        openssl(&arguments, &one.pki()).unwrap();
    }
}

#[test]
fn no_new_authority_is_made_where_the_old_one_has_signed_something() {
    let folder = Folder::new();
    let settings = first(&folder);
    for name in ["etcd/ca.crt", "etcd/ca.key"] {
        fs::remove_file(folder.pki().join(name)).unwrap();
    }
    let before = folder.contents();
    let error = issue(&settings, Mode::First, now()).unwrap_err();
    assert!(matches!(error, IssueError::AuthorityGone { .. }), "{error}");
    assert_eq!(folder.contents(), before);
}

#[test]
fn a_run_that_was_interrupted_is_completed_with_the_keys_that_are_there() {
    let folder = Folder::new();
    let settings = first(&folder);
    let lost = ["etcd/peer.crt", "sa.pub", "apiserver.crt", "apiserver.key"];
    let key = fs::read(folder.pki().join("etcd/peer.key")).unwrap();
    for name in lost {
        fs::remove_file(folder.pki().join(name)).unwrap();
    }
    let mut issued = issue(&settings, Mode::First, now()).unwrap();
    issued.written.sort();
    let mut wanted = lost.map(|it| folder.pki().join(it));
    wanted.sort();
    assert_eq!(issued.written, wanted);
    assert_eq!(fs::read(folder.pki().join("etcd/peer.key")).unwrap(), key);
    assert!(check(&settings, now()).is_sound());
}

#[test]
fn a_certificate_without_its_key_is_left_to_the_operator() {
    let folder = Folder::new();
    let settings = first(&folder);
    fs::remove_file(settings.key(Entry::EtcdServer)).unwrap();
    fs::remove_file(settings.certificate(Entry::ApiServer)).unwrap();
    fs::remove_file(settings.key(Entry::ApiServer)).unwrap();
    let before = folder.contents();
    let error = issue(&settings, Mode::First, now()).unwrap_err();
    assert!(matches!(error, IssueError::KeyGone { .. }), "{error}");
    assert_eq!(folder.contents(), before);
    let key = settings.key(Entry::EtcdServer);
    assert_eq!(problems(&settings, "etcd/server", now()), [Problem::KeyMissing(key)]);
}

#[test]
fn an_authority_whose_key_is_kept_elsewhere_is_enough_while_nothing_is_to_be_signed() {
    let folder = Folder::new();
    let settings = first(&folder);
    fs::remove_file(settings.key(Entry::Ca)).unwrap();
    assert!(issue(&settings, Mode::First, now()).unwrap().written.is_empty());
    assert_eq!(problems(&settings, "ca", now()), [Problem::KeyElsewhere]);
    assert!(check(&settings, now()).is_sound());
    fs::remove_file(settings.certificate(Entry::ApiServer)).unwrap();
    fs::remove_file(settings.key(Entry::ApiServer)).unwrap();
    let error = issue(&settings, Mode::First, now()).unwrap_err();
    assert!(matches!(error, IssueError::AuthorityKeyElsewhere { .. }), "{error}");
    let error = issue(&settings, Mode::Joining, now()).unwrap_err();
    assert!(matches!(error, IssueError::NotCopied { .. }), "{error}");
}

#[test]
fn authorities_of_openssls_making_sign_and_are_kept() {
    if !has_openssl() {
        return;
    }
    let folder = Folder::new();
    let pki = folder.pki();
    fs::create_dir_all(pki.join("etcd")).unwrap();
    // kubeadm's: PKCS #1.
    openssl("genrsa -traditional -out ca.key 2048", &pki).unwrap();
    // With `EC PARAMETERS` before the key.
    openssl("ecparam -genkey -name prime256v1 -out etcd/ca.key", &pki).unwrap();
    openssl("genpkey -algorithm ed25519 -out front-proxy-ca.key", &pki).unwrap();
    assert!(fs::read_to_string(pki.join("ca.key")).unwrap().starts_with("-----BEGIN RSA"));
    for name in ["ca", "etcd/ca", "front-proxy-ca"] {
        let arguments = format!("req -x509 -new -key {name}.key -days 3650 -out {name}.crt");
        let extension = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature";
        let arguments = format!(
            "{arguments} -addext {extension} -subj /O=Example/CN={}",
            name.replace('/', "-")
        );
        openssl(&arguments, &pki).unwrap();
        fs::set_permissions(pki.join(format!("{name}.key")), fs::Permissions::from_mode(0o600))
            .unwrap();
    }
    let before = folder.contents();
    let settings = first(&folder);
    let after = folder.contents();
    assert!(before.iter().all(|(path, contents)| after[path] == *contents));
    let report = check(&settings, now());
    assert!(report.items.iter().all(|it| it.problems.is_empty()), "{report:#?}");
    openssl("verify -CAfile ca.crt -purpose sslserver apiserver.crt", &pki).unwrap();
    openssl("verify -CAfile etcd/ca.crt -purpose sslserver etcd/server.crt", &pki).unwrap();
    openssl("verify -CAfile front-proxy-ca.crt front-proxy-client.crt", &pki).unwrap();
}

#[test]
fn an_authority_that_expired_signs_nothing_and_nothing_outlives_its_authority() {
    let folder = Folder::new();
    let settings = first(&folder);
    for suffix in ["crt", "key"] {
        fs::remove_file(folder.pki().join(format!("etcd/peer.{suffix}"))).unwrap();
    }
    let error = issue(&settings, Mode::First, now() + 3651 * DAY).unwrap_err();
    assert!(matches!(error, IssueError::NoAuthority { .. }), "{error}");
    issue(&settings, Mode::First, now() + 3600 * DAY).unwrap();
    let report = check(&settings, now());
    let expires = |name: &str| report.items.iter().find(|it| it.name == name).unwrap().expires;
    assert_eq!(expires("etcd/peer"), expires("etcd/ca"));
}

#[test]
fn what_expires_is_told_thirty_days_ahead() {
    let folder = Folder::new();
    let settings = first(&folder);
    let at = |days: u32| problems(&settings, "etcd/server", now() + days * DAY);
    assert!(at(334).is_empty());
    assert!(matches!(at(336)[..], [Problem::ExpiresSoon { authority: false, .. }]));
    assert!(matches!(at(366)[..], [Problem::Expired { authority: false, .. }]));
    assert_eq!(
        at(366)[0].to_string(),
        "expired 1 day ago: move both files away, run `mainstay certs issue` and restart what uses them"
    );
    let early = problems(&settings, "etcd/server", now() - DAY);
    assert!(matches!(early[..], [Problem::NotYetValid { .. }]), "{early:?}");
    let ca = problems(&settings, "ca", now() + 3640 * DAY);
    assert!(matches!(ca[..], [Problem::ExpiresSoon { authority: true, .. }]), "{ca:?}");
}

#[test]
fn a_name_that_is_missing_is_told_with_what_it_breaks() {
    let folder = Folder::new();
    let mut settings = first(&folder);
    let vip: Name = "10.0.0.9".parse().unwrap();
    settings.api_names.push(vip.clone());
    assert_eq!(problems(&settings, "apiserver", now()), [Problem::NameMissing(vec![vip])]);
    assert!(problems(&settings, "etcd/server", now()).is_empty());
    settings.node = "other".into();
    assert_eq!(
        problems(&settings, "etcd/server", now()),
        [Problem::UsefulNameMissing(vec![Name::Dns("other".into())])]
    );
}

#[test]
fn what_does_not_belong_together_is_told() {
    let (folder, stranger) = (Folder::new(), Folder::new());
    let (settings, foreign) = (first(&folder), first(&stranger));
    let take = |entry| {
        fs::copy(foreign.certificate(entry), settings.certificate(entry)).unwrap();
        fs::copy(foreign.key(entry), settings.key(entry)).unwrap();
    };
    take(Entry::EtcdPeer);
    let authority = settings.certificate(Entry::EtcdCa);
    assert_eq!(problems(&settings, "etcd/peer", now()), [Problem::NotSigned { authority }]);

    fs::copy(foreign.key(Entry::ApiServer), settings.key(Entry::ApiServer)).unwrap();
    assert_eq!(problems(&settings, "apiserver", now()), [Problem::KeyOfAnother]);

    fs::copy(foreign.key(Entry::FrontProxyCa), settings.key(Entry::FrontProxyCa)).unwrap();
    fs::remove_file(settings.certificate(Entry::FrontProxyClient)).unwrap();
    let error = issue(&settings, Mode::First, now()).unwrap_err();
    assert!(matches!(error, IssueError::KeyOfAnother { .. }), "{error}");

    fs::copy(folder.pki().join("etcd/peer.key"), settings.key(Entry::EtcdServer)).unwrap();
    fs::copy(
        folder.pki().join("etcd/healthcheck-client.crt"),
        settings.certificate(Entry::EtcdServer),
    )
    .unwrap();
    let found = problems(&settings, "etcd/server", now());
    assert!(found.contains(&Problem::NotForServers) && found.contains(&Problem::KeyOfAnother));

    fs::copy(stranger.pki().join("sa.pub"), folder.pki().join("sa.pub")).unwrap();
    assert_eq!(problems(&settings, "sa", now()), [Problem::KeyOfAnother]);
}

#[test]
fn garbage_is_named_and_never_overwritten() {
    let folder = Folder::new();
    let settings = first(&folder);
    let path = settings.certificate(Entry::EtcdServer);
    for garbage in
        [&b""[..], b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        fs::write(&path, garbage).unwrap();
        let found = problems(&settings, "etcd/server", now());
        assert!(matches!(found[..], [Problem::Unusable { .. }]), "{found:?}");
        assert!(issue(&settings, Mode::First, now()).unwrap().written.is_empty());
        assert_eq!(fs::read(&path).unwrap(), garbage);
    }
    let key = settings.key(Entry::EtcdPeer);
    fs::remove_file(settings.certificate(Entry::EtcdPeer)).unwrap();
    fs::write(
        &key,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    let error = issue(&settings, Mode::First, now()).unwrap_err().to_string();
    assert!(error.contains("etcd/peer.key is encrypted"), "{error}");
}

#[test]
fn a_private_key_that_others_may_read_is_told() {
    let folder = Folder::new();
    let settings = first(&folder);
    let path = settings.key(Entry::Ca);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(problems(&settings, "ca", now()), [Problem::KeyReadable { path, mode: 0o644 }]);
}

#[test]
fn an_empty_folder_misses_everything() {
    let folder = Folder::new();
    let report = check(&folder.settings(), now());
    assert_eq!(report.items.len(), Entry::ALL.len() + 1);
    assert!(report.items.iter().all(|it| it.problems == [Problem::Missing]));
    assert!(!report.is_sound());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["items"][0]["problems"][0]["severity"], "error");
}

#[test]
fn a_certificate_over_an_intermediate_authority_is_sound() {
    if !has_openssl() {
        return;
    }
    let folder = Folder::new();
    let settings = first(&folder);
    let pki = folder.pki();
    // root (etcd/ca) -> middle -> peer, and the file has peer and middle.
    fs::write(
        pki.join("middle.cnf"),
        "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n",
    )
    .unwrap();
    fs::write(pki.join("peer.cnf"), "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:10.0.0.11,IP:fd00::11,IP:127.0.0.1,IP:::1,DNS:m1,DNS:localhost\n").unwrap();
    openssl("genrsa -out middle.key 2048", &pki).unwrap();
    openssl("req -new -key middle.key -subj /CN=middle -out middle.csr", &pki).unwrap();
    openssl("x509 -req -in middle.csr -CA etcd/ca.crt -CAkey etcd/ca.key -CAcreateserial -extfile middle.cnf -days 400 -out middle.crt", &pki).unwrap();
    openssl("req -new -key etcd/peer.key -subj /CN=m1 -out peer.csr", &pki).unwrap();
    openssl("x509 -req -in peer.csr -CA middle.crt -CAkey middle.key -CAcreateserial -extfile peer.cnf -days 300 -out peer.crt", &pki).unwrap();
    let chain = fs::read_to_string(pki.join("peer.crt")).unwrap()
        + &fs::read_to_string(pki.join("middle.crt")).unwrap();
    fs::write(settings.certificate(Entry::EtcdPeer), chain).unwrap();
    assert!(problems(&settings, "etcd/peer", now()).is_empty());
    fs::copy(pki.join("peer.crt"), settings.certificate(Entry::EtcdPeer)).unwrap();
    assert!(matches!(problems(&settings, "etcd/peer", now())[..], [Problem::NotSigned { .. }]));
}

#[test]
fn names_are_addresses_or_dns_names() {
    for good in ["10.0.0.1", "fd00::1", "m1", "api.example.org", "*.example.org", "a_b"] {
        good.parse::<Name>().unwrap();
    }
    for bad in ["", ".", "a..b", "a b", "*", "a/b", &"x".repeat(64)] {
        assert!(bad.parse::<Name>().is_err(), "{bad}");
    }
    assert_eq!("API.Example.org".parse::<Name>().unwrap().to_string(), "api.example.org");
}
