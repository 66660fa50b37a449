//! http, https and tcp.

use tokio::time::timeout;

use super::authority::Authority;
use super::server::{Manner, Server, answer, ok};
use super::*;
use crate::health::sample::Outcome;

/// What a probe finds where the server behaves so.
async fn http(manner: Manner) -> Sample {
    let server = Server::start(None, manner).await;
    probe(&format!("http = \"http://127.0.0.1:{}/readyz\"\ntimeout = \"300ms\"", server.port)).await
}

fn assert_sample(sample: &Sample, outcome: Outcome, words: &str) {
    assert!(sample.outcome == outcome && sample.words.contains(words), "{sample:?}");
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let readyz = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nreadyz check failed";
    let table = [
        ("200 OK", "ok", Outcome::Pass, "HTTP 200"),
        ("204 No Content", "", Outcome::Pass, "HTTP 204"),
        ("401 Unauthorized", "", Outcome::Pass, "HTTP 401"),
        ("403 Forbidden", "no", Outcome::Pass, "HTTP 403"),
        ("404 Not Found", "", Outcome::Fail, "HTTP 404"),
        ("500 Oops", readyz, Outcome::Fail, "HTTP 500: etcd failed: reason withheld"),
        ("503 Oops", "not\r\nyet\x1b[2J", Outcome::Fail, "HTTP 503: not; yet [2J"),
        ("301 Moved\r\nLocation: /x", "", Outcome::Fail, "redirects are not followed: /x"),
    ];
    for (status, body, outcome, words) in table {
        let sample = http(Manner::Say(answer(status, body))).await;
        assert_sample(&sample, outcome, words);
        let warns = status.starts_with("401") || status.starts_with("403");
        assert_eq!(sample.warning.is_some(), warns, "{sample:?}");
    }
}

#[tokio::test]
async fn nonsense_is_a_failure_and_silence_a_timeout() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let headers = "X: y\r\n".repeat(50);
    let endless = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat(1000);
    let table = [
        (Manner::Say("220 smtp\r\n".to_owned()), Outcome::Fail, "not answer in HTTP"),
        (Manner::Say("\0\u{1}\u{2}\r\n\r\n".to_owned()), Outcome::Fail, "not answer in HTTP"),
        (Manner::Say(long), Outcome::Fail, "not answer in HTTP"),
        (Manner::Babble(headers), Outcome::Fail, "not answer in HTTP"),
        (Manner::Babble("HTTP/1.1 200 OK\r\n".to_owned()), Outcome::Fail, "not answer in HTTP"),
        (Manner::Silence, Outcome::Timeout, "accepted the connection, but did not answer"),
        (Manner::Say("HTTP/1.1 200 O".to_owned()), Outcome::Timeout, "did not answer"),
        (
            Manner::Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc".to_owned()),
            Outcome::Timeout,
            "began to answer",
        ),
        (Manner::SayAndClose(String::new()), Outcome::Broken, "hung up"),
        (
            Manner::SayAndClose("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc".to_owned()),
            Outcome::Broken,
            "hung up",
        ),
        (Manner::HangUp, Outcome::Broken, "hung up"),
        // A body without an end is read as far as it matters.
        (Manner::Babble(endless), Outcome::Pass, "HTTP 200"),
    ];
    for (manner, outcome, words) in table {
        let name = format!("{manner:?}");
        let sample = http(manner).await;
        assert!(
            sample.outcome == outcome && sample.words.contains(words),
            "{sample:?} for {}",
            &name[..name.len().min(80)]
        );
    }
}

#[tokio::test]
async fn where_nobody_listens_it_is_refused() {
    let server = Server::start(None, Manner::Silence).await;
    let port = server.port;
    server.stop().await;
    for keys in [
        format!("http = \"http://127.0.0.1:{port}/\""),
        format!("https = \"https://127.0.0.1:{port}/\"\nca = \"/dev/null\""),
        format!("tcp = \"127.0.0.1:{port}\""),
    ] {
        assert_sample(&probe(&keys).await, Outcome::Refused, "connection refused by 127.0.0.1");
    }
}

#[tokio::test]
async fn a_full_backlog_is_a_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let keys = format!("tcp = \"{address}\"\ntimeout = \"100ms\"");
    let mut waiting = Vec::new();
    while let Ok(stream) =
        timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(stream.unwrap());
    }
    assert_sample(&probe(&keys).await, Outcome::Timeout, "not accept");
}

/// A server with a certificate for 127.0.0.1, and the keys of a check that believes in it.
struct Secure {
    authority: Authority,
    directory: Directory,
    server: Server,
}

impl Secure {
    async fn new(manner: Manner) -> Self {
        let authority = Authority::new();
        let tls = authority.server(&authority.issue(&["127.0.0.1"]), false);
        let directory = Directory::new();
        directory.write("ca", &authority.pem());
        Self { server: Server::start(Some(tls), manner).await, authority, directory }
    }

    fn keys(&self) -> String {
        self.keys_for(self.server.port)
    }

    fn keys_for(&self, port: u16) -> String {
        let directory = self.directory.path().display();
        format!(
            "https = \"https://127.0.0.1:{port}/readyz\"\nca = \"{directory}/ca\"\n\
             timeout = \"500ms\"\n"
        )
    }
}

#[tokio::test]
async fn over_tls_each_part_is_timed() {
    let secure = Secure::new(ok()).await;
    let sample = probe(&secure.keys()).await;
    assert_sample(&sample, Outcome::Pass, "HTTP 200");
    assert_eq!(sample.warning, None);
    let latency = sample.latency;
    assert_eq!(latency.resolve_us, None);
    let parts = [latency.connect_us, latency.tls_us, latency.answer_us].map(Option::unwrap);
    assert!(parts.iter().sum::<u64>() <= latency.total_us, "{latency:?}");
}

#[tokio::test]
async fn who_cannot_be_believed_is_told_from_who_is_ill() {
    let secure = Secure::new(ok()).await;
    let (authority, server, keys) = (&secure.authority, &secure.server, secure.keys());
    let other = Authority::new();
    server.secure(other.server(&other.issue(&["127.0.0.1"]), false));
    assert_sample(&probe(&keys).await, Outcome::Fail, "signed by nobody in /");
    server.secure(authority.server(&authority.issue_expired(&["127.0.0.1"]), false));
    assert_sample(&probe(&keys).await, Outcome::Fail, "has expired");
    server.secure(authority.server(&authority.issue(&["kubernetes", "10.96.0.1"]), false));
    let words = "not for 127.0.0.1 but for kubernetes, 10.96.0.1: set server_name";
    assert_sample(&probe(&keys).await, Outcome::Fail, words);
    let named = format!("{keys}server_name = \"kubernetes\"\n");
    assert_sample(&probe(&named).await, Outcome::Pass, "HTTP 200");
    let plain =
        Server::start(None, Manner::SayAndClose("HTTP/1.1 400 No\r\n\r\n".to_owned())).await;
    // It waits for the end of a request that never comes.
    assert_sample(
        &probe(&secure.keys_for(plain.port)).await,
        Outcome::Timeout,
        "did not agree on TLS",
    );
    let http = format!("http = \"http://127.0.0.1:{}/\"", server.port);
    assert_sample(&probe(&http).await, Outcome::Fail, "not answer in HTTP");
}

#[tokio::test]
async fn what_hangs_before_tls_is_a_timeout_and_who_hangs_up_is_broken() {
    let secure = Secure::new(Manner::Deaf).await;
    assert_sample(&probe(&secure.keys()).await, Outcome::Timeout, "did not agree on TLS");
    secure.server.behave(Manner::HangUp);
    assert_sample(&probe(&secure.keys()).await, Outcome::Broken, "hung up");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it() {
    let secure = Secure::new(ok()).await;
    let (authority, directory) = (&secure.authority, &secure.directory);
    secure.server.secure(authority.server(&authority.issue(&["127.0.0.1"]), true));
    let sample = probe(&secure.keys()).await;
    assert_ne!(sample.outcome, Outcome::Pass, "{sample:?}");
    let client = authority.issue(&["mainstay"]);
    let cert = directory.write("cert", &client.cert);
    let key = directory.write("key", &client.key);
    let keys = secure.keys() + &format!("cert = {cert:?}\nkey = {key:?}\n");
    assert_sample(&probe(&keys).await, Outcome::Pass, "HTTP 200");
    directory.write("key", &authority.issue(&["other"]).key);
    assert_sample(&probe(&keys).await, Outcome::Fail, "does not fit");
}

#[tokio::test]
async fn renewed_certificates_are_taken_without_a_reload() {
    let secure = Secure::new(ok()).await;
    let mut prober = prober(&secure.keys());
    assert_sample(&prober.probe(PATIENCE).await, Outcome::Pass, "HTTP 200");
    // A new authority: first the server has it, then we.
    let new = Authority::new();
    secure.server.secure(new.server(&new.issue(&["127.0.0.1"]), false));
    assert_sample(&prober.probe(PATIENCE).await, Outcome::Fail, "signed by nobody");
    secure.directory.write("ca", &(new.pem() + &secure.authority.pem()));
    let sample = prober.probe(PATIENCE).await;
    assert!(sample.outcome == Outcome::Pass && sample.warning.is_none(), "{sample:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_for_a_moment_only_warns() {
    let secure = Secure::new(ok()).await;
    let keys = secure.keys();
    let mut prober = prober(&keys);
    assert_sample(&prober.probe(PATIENCE).await, Outcome::Pass, "HTTP 200");
    for content in ["", "-----BEGIN CERTIFICATE-----\nMIIB", "\0\u{1}"] {
        secure.directory.write("ca", content);
        let sample = prober.probe(PATIENCE).await;
        assert_sample(&sample, Outcome::Pass, "HTTP 200");
        assert!(sample.warning.unwrap().contains("what was read before is used"));
        assert_sample(&probe(&keys).await, Outcome::Fail, "/ca cannot be used");
    }
    std::fs::remove_file(secure.directory.path().join("ca")).unwrap();
    assert!(prober.probe(PATIENCE).await.warning.unwrap().contains("No such file"));
    assert_sample(&probe(&keys).await, Outcome::Fail, "No such file");
}

#[tokio::test]
async fn a_file_on_a_disk_that_hangs_only_warns() {
    let secure = Secure::new(ok()).await;
    let keys = secure.keys();
    let mut prober = prober(&keys);
    assert_sample(&prober.probe(PATIENCE).await, Outcome::Pass, "HTTP 200");
    // Opening a pipe that nobody writes to waits, as a disk does that hangs.
    let ca = secure.directory.path().join("ca");
    std::fs::remove_file(&ca).unwrap();
    run(&format!("mkfifo {}", ca.display()));
    for _ in 0..3 {
        let sample = prober.probe(Duration::from_secs(2)).await;
        assert_sample(&sample, Outcome::Pass, "HTTP 200");
        assert!(sample.warning.unwrap().contains("no answer"));
    }
    assert_sample(&probe(&keys).await, Outcome::Timeout, "certificates could not be read");
    std::fs::write(&ca, secure.authority.pem()).unwrap();
}

#[tokio::test]
async fn the_end_of_the_held_connection_is_an_alarm() {
    let secure = Secure::new(ok()).await;
    let plain = Server::start(None, ok()).await;
    let (https, port) = (secure.keys(), plain.port);
    let http = format!("http = \"http://127.0.0.1:{port}/\"");
    let tcp = format!("tcp = \"127.0.0.1:{port}\"");
    let mut probers = [prober(&https), prober(&http), prober(&tcp)];
    for prober in &mut probers {
        assert_eq!(prober.probe(PATIENCE).await.outcome, Outcome::Pass);
        assert!(timeout(Duration::from_millis(50), prober.alarm()).await.is_err());
    }
    secure.server.stop().await;
    plain.stop().await;
    for prober in &mut probers {
        timeout(PATIENCE, prober.alarm()).await.unwrap();
        // Told once.
        assert!(timeout(Duration::from_millis(50), prober.alarm()).await.is_err());
    }
}

#[tokio::test]
async fn a_connection_that_the_server_does_not_keep_is_not_held() {
    let closes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let old = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let until_end = "HTTP/1.1 200 OK\r\n\r\nok";
    for text in [closes, old, until_end] {
        let server = Server::start(None, Manner::SayAndClose(text.to_owned())).await;
        let mut prober = prober(&format!("http = \"http://127.0.0.1:{}/\"", server.port));
        assert_sample(&prober.probe(PATIENCE).await, Outcome::Pass, "HTTP 200");
        assert!(timeout(Duration::from_millis(50), prober.alarm()).await.is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_port_that_talks_without_being_asked_is_held_all_the_same() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut prober = prober(&format!("tcp = \"{address}\""));
    assert_sample(&prober.probe(PATIENCE).await, Outcome::Pass, "accepts connections");
    let (stream, _) = listener.accept().await.unwrap();
    stream.try_write(b"220 hello\r\n").unwrap();
    assert!(timeout(Duration::from_millis(50), prober.alarm()).await.is_err());
    drop(stream);
    timeout(PATIENCE, prober.alarm()).await.unwrap();
}
