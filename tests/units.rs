//! What runs beneath the VIP, where it cannot: nothing of it touches the VIP, and every answer says what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lab::Stamp;
use serde_json::Value;
use support::{M1, Net, mainstay, poll};

/// A directory of a test's own, removed with it.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("mainstay-units-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The sections of a node whose dockerd is a program that is not there.
    fn sections(&self) -> String {
        let place = self.0.display();
        format!(
            "\n[supervisor]\nbackend = \"exec\"\nlog_dir = \"{place}/log\"\n[docker]\nsocket = \"{place}/docker.sock\"\n\
             program = \"{place}/dockerd\"\n[images]\ndir = \"{place}\"\n"
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn unit(status: &Value, name: &str) -> Value {
    let units = status["units"].as_array().cloned().unwrap_or_default();
    units.into_iter().find(|unit| unit["name"] == name).unwrap_or_default()
}

#[test]
fn without_a_supervisor_the_commands_say_what_is_missing() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    for command in [
        &["up"][..],
        &["down"],
        &["apply"],
        &["unit", "restart", "etcd"],
        &["etcd", "status"],
        &["etcd", "adopt", "--yes"],
        &["etcd", "remove", "m2"],
    ] {
        let ran = net.mainstay(M1, command);
        assert_eq!(ran.code, Some(5), "{ran:?}");
        assert!(ran.stderr.contains("add a section [supervisor]"), "{ran:?}");
    }
    assert_eq!(net.status(M1)["units"], Value::Array(Vec::new()));
}

#[test]
fn a_docker_that_is_not_there_is_named_and_the_vip_works_on() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let place = Place::new("absent");
    let start = Stamp::now();
    net.reconfigure(M1, |text| text.to_owned() + &place.sections());
    // Nobody has wanted them yet.
    assert_eq!(unit(&net.status(M1), "dockerd")["state"], "stopped");
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(0));

    let ran = net.mainstay(M1, &["up", "--timeout", "2s"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("dockerd is backoff"), "{ran:?}");
    let status = poll("dockerd to be waited for", || {
        Some(net.status(M1)).filter(|status| unit(status, "dockerd")["next_attempt"].is_string())
    });
    let dockerd = unit(&status, "dockerd");
    assert!(dockerd["reason"].as_str().unwrap().contains("dockerd"), "{dockerd}");
    assert_eq!(unit(&status, "images")["state"], "blocked");
    let shown = net.mainstay(M1, &["status"]);
    assert_eq!(shown.code, Some(3), "{shown:?}");
    assert!(shown.stdout.contains("└─ images"), "{shown:?}");
    net.event_where(M1, "unit_ended", |event| event["detail"]["unit"] == "dockerd");

    let ran = net.mainstay(M1, &["unit", "stop", "nonsense"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("name one of dockerd, images"), "{ran:?}");
    net.unmoved(M1, start);

    // The VIP goes first, and comes back with `up`.
    let ran = net.mainstay(M1, &["down"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("apiserver: drained"), "{ran:?}");
    assert_eq!(unit(&net.status(M1), "dockerd")["state"], "stopped");
    assert_eq!(net.router(M1)["state"], "Backup");
    let ran = net.mainstay(M1, &["up", "--timeout", "1s"]);
    assert!(ran.stdout.contains("takes part again"), "{ran:?}");
}
