//! The metrics of a daemon.

use lab::Stamp;

use crate::rig::{Rig, Setup, V4, among, poll};
use crate::{conflict, feed};

const SECTION: &str = "[api]\nmetrics = \"127.0.0.1:9112\"";

/// What a client in the daemon's namespace is answered; `None` if it cannot connect.
fn scrape(rig: &Rig, request: &str) -> Option<String> {
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/9112 && printf '{request} HTTP/1.1\\r\\nHost: m\\r\\n\\r\\n' >&3 \
         && cat <&3"
    );
    let ran = rig.namespaces.command("node").args(["bash", "-c", &script]).output().unwrap();
    let answer = String::from_utf8(ran.stdout).unwrap();
    (!answer.is_empty()).then_some(answer)
}

fn metrics(rig: &Rig) -> String {
    let answer = poll("the metrics", || scrape(rig, "GET /metrics"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    body.to_owned()
}

/// The value of a metric, its labels included.
#[track_caller]
fn value(text: &str, metric: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {metric} in\n{text}")).parse().unwrap()
}

#[test]
fn the_metrics_tell_what_the_status_does() {
    among(&[V4], |variant| {
        let rig =
            Setup { sections: SECTION.into(), lines: "lease = \"3s\"".into(), ..variant.setup() }
                .start();
        rig.active();
        let _feed = feed(&rig, &rig.smaller(100));
        conflict(&rig, "one_way");
        let text = metrics(&rig);
        let router = rig.router();
        assert!(value(&text, "mainstay_state{router=\"vr\",state=\"Active\"}") == 1.0);
        assert!(value(&text, "mainstay_installed{router=\"vr\"}") == 1.0);
        let sent = value(&text, "mainstay_adverts_sent_total{router=\"vr\"}");
        assert!(sent > 0.0 && sent <= router["adverts_sent"].as_f64().unwrap());
        let moves = "mainstay_transitions_total{router=\"vr\",to=\"Active\",cause=\"active_down\"}";
        assert!(value(&text, moves) == 1.0);
        assert!(value(&text, "mainstay_conflicts_total{router=\"vr\",kind=\"rival\"}") >= 4.0);
        assert!(value(&text, "mainstay_conflicts_current{router=\"vr\",kind=\"one_way\"}") == 1.0);
        // The kernel renews it each second.
        assert!(value(&text, "mainstay_lease_age_seconds{router=\"vr\"}") < 3.0);
        assert!(value(&text, "mainstay_timer_lateness_seconds_count{}") >= 3.0);
    });
}

#[test]
fn anything_but_a_scrape_is_refused() {
    among(&[V4], |variant| {
        let rig = Setup { sections: SECTION.into(), ..variant.setup() }.start();
        metrics(&rig);
        for (request, status) in [("GET /", "404"), ("POST /metrics", "405")] {
            let answer = scrape(&rig, request).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
    });
}

/// Metrics matter less than the address.
#[test]
fn a_port_that_is_taken_is_a_warning_and_served_once_it_is_free() {
    among(&[V4], |variant| {
        let mut rig = Setup { sections: SECTION.into(), ..variant.setup() }.cable();
        let taken = lab::within(&rig.namespaces.of("node"), || {
            std::net::TcpListener::bind("127.0.0.1:9112").unwrap()
        });
        let taken = taken.unwrap();
        rig.start();
        let warning = || {
            let status = rig.status();
            let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
            let text = "the metrics are not served on 127.0.0.1:9112";
            warnings.into_iter().find(|it| it.as_str().is_some_and(|it| it.starts_with(text)))
        };
        poll("the warning", warning);
        rig.active();
        drop(taken);
        metrics(&rig);
        assert_eq!(warning(), None);
    });
}

#[test]
fn a_reload_moves_and_ends_them() {
    among(&[V4], |variant| {
        let mut rig = Setup { sections: SECTION.into(), ..variant.setup() }.start();
        metrics(&rig);
        let reloaded = Stamp::now();
        rig.reload(|setup| setup.sections = SECTION.replace("9112", "9113"));
        poll("the old port's end", || scrape(&rig, "GET /metrics").is_none().then_some(()));
        rig.reload(|setup| setup.sections = SECTION.into());
        metrics(&rig);
        rig.reload(|setup| setup.sections = String::new());
        poll("the end", || scrape(&rig, "GET /metrics").is_none().then_some(()));
        rig.advert(reloaded);
    });
}
