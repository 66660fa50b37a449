//! The rules of single values.

use std::time::Duration;

use super::super::value::{
    advert_interval, duration, interface, is_link_local, is_node_name, lease, name,
    unicast_address, vrid,
};

#[test]
fn a_time_is_a_number_and_a_unit() {
    let right = [
        ("100ms", 100_000_000),
        ("0s", 0),
        ("1s", 1_000_000_000),
        ("1.5s", 1_500_000_000),
        ("40.95s", 40_950_000_000),
        ("0.001s", 1_000_000),
        ("2m", 120_000_000_000),
        ("0.5ms", 500_000),
    ];
    for (text, nanos) in right {
        assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
    let wrong = [
        "",
        "s",
        "1",
        "1 s",
        " 1s",
        "1s ",
        "-1s",
        "+1s",
        "1.s",
        ".5s",
        "1.2.3s",
        "1e3s",
        "1h",
        "1S",
        "1ss",
        "1,5s",
        "0.0000001ms",
        "9999999999s",
        "999999999m",
        "\u{661}s",
        "1\u{b5}s",
    ];
    for text in wrong {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn an_interval_is_10_ms_to_40_95_s_in_steps_of_10_ms() {
    for (text, centis) in [("10ms", 1), ("100ms", 10), ("1s", 100), ("40.95s", 4095), ("0.03s", 3)]
    {
        assert_eq!(advert_interval(text).map(|it| it.get()), Ok(centis), "{text}");
    }
    for text in ["0s", "5ms", "15ms", "40.96s", "41s", "2m", "10.5ms"] {
        assert!(advert_interval(text).is_err(), "{text}");
    }
}

#[test]
fn a_lease_is_2_to_3600_whole_seconds_or_off() {
    assert_eq!(lease("off"), Ok(None));
    for (text, secs) in [("2s", 2), ("3s", 3), ("2000ms", 2), ("60m", 3600)] {
        assert_eq!(lease(text).map(|it| it.map(|it| it.as_secs())), Ok(Some(secs)), "{text}");
    }
    for text in ["0s", "1s", "1.9s", "2.5s", "3601s", "61m", "Off", "never", "99999999m"] {
        assert!(lease(text).is_err(), "{text}");
    }
}

#[test]
fn a_vrid_is_1_to_255() {
    assert_eq!((vrid(1).map(|it| it.get()), vrid(255).map(|it| it.get())), (Ok(1), Ok(255)));
    for number in [0, 256, -1, i64::MAX, i64::MIN] {
        assert!(vrid(number).is_err(), "{number}");
    }
}

#[test]
fn an_interface_name_is_one_that_the_kernel_allows() {
    for text in ["eno1", "a", "enp65s0f0np0.10", "br-lan", "wg_0", "\u{e4}\u{f6}"] {
        assert!(interface(text.to_owned()).is_ok(), "{text}");
    }
    let wrong = [
        "",
        ".",
        "..",
        "a/b",
        "a b",
        "a\tb",
        "a:1",
        "a\nb",
        "a\0",
        "a\u{a0}b",
        "sixteen-bytes-16",
        "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
    ];
    for text in wrong {
        assert!(interface(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn an_address_is_one_that_a_host_can_have() {
    for text in ["10.0.0.10", "169.254.1.1", "223.255.255.255", "fd00::a", "fe80::1", "2001:db8::1"]
    {
        assert!(unicast_address(text).is_ok(), "{text}");
    }
    let wrong = [
        "",
        "x",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.010",
        "10.0.0.1/24",
        "10.0.0.1:80",
        "fe80::1%eth0",
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.18",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "ff02::12",
        "::ffff:10.0.0.1",
    ];
    for text in wrong {
        assert!(unicast_address(text).is_err(), "{text}");
    }
}

#[test]
fn link_local_is_fe80_slash_10() {
    let link_local = |text: &str| text.parse().is_ok_and(is_link_local);
    assert!(link_local("fe80::1") && link_local("febf::1"));
    assert!(!link_local("fec0::1") && !link_local("fd00::1"));
}

#[test]
fn a_node_name_is_one_that_kubernetes_allows() {
    for text in ["m1", "1", "a.b-c.example.org", &"a".repeat(253)] {
        assert!(is_node_name(text), "{text}");
    }
    for text in ["", "M1", "a_b", "-a", "a-", ".a", "a.", "a b", "\u{e4}", &"a".repeat(254)] {
        assert!(!is_node_name(text), "{text}");
    }
}

#[test]
fn a_name_is_1_to_63_plain_characters() {
    for text in ["a", "VI_1", "api-server.v6", &"a".repeat(63)] {
        assert!(name(text.to_owned()).is_ok(), "{text}");
    }
    for text in ["", "-a", "a b", "a/b", "\u{e4}", &"a".repeat(64)] {
        assert!(name(text.to_owned()).is_err(), "{text}");
    }
}
