//! The clock, its timer and real-time scheduling.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::time::Duration;

use linux_support::{figures, readable};
use vrrp::linux::clock::{Timer, now};
use vrrp::linux::rt::{RtError, set_realtime, touch_stack};
use vrrp::time::Instant;

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn the_timer_fires_at_its_deadline_and_never_before() {
    let timer = Timer::new().unwrap();
    assert!(!timer.ack().unwrap());
    let mut late = Vec::new();
    for _ in 0..50 {
        let deadline = now() + Duration::from_millis(2);
        timer.arm(Some(deadline)).unwrap();
        assert!(readable(&timer, PATIENCE));
        let woken = now();
        assert!(woken >= deadline);
        late.push(woken.saturating_since(deadline));
        assert!(timer.ack().unwrap());
        assert!(!readable(&timer, Duration::ZERO));
    }
    eprintln!("timer late by: {}", figures(late));
}

#[test]
fn a_deadline_in_the_past_fires_at_once_and_none_never() {
    let timer = Timer::new().unwrap();
    for past in [Instant::from_nanos(0), Instant::from_nanos(1), now()] {
        timer.arm(Some(past)).unwrap();
        assert!(readable(&timer, PATIENCE));
        assert!(timer.ack().unwrap());
    }
    timer.arm(Some(now())).unwrap();
    timer.arm(None).unwrap();
    assert!(!readable(&timer, Duration::from_millis(20)));
    assert!(!timer.ack().unwrap());
}

/// SCHED_RR where it is allowed, else nice -20 and a reason.
#[test]
fn real_time_scheduling_is_had_or_its_refusal_is_told() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED, needs root: real_time_scheduling_is_had_or_its_refusal_is_told");
        return;
    }
    let fields = |stat: &str| {
        let fields: Vec<String> =
            stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
        // nice is field 19 and policy field 41 of proc(5); the first two are cut off.
        (fields[16].clone(), fields[38].clone())
    };
    let scheduling = move || fields(&std::fs::read_to_string("/proc/thread-self/stat").unwrap());
    match set_realtime(10, "it may be") {
        Ok(()) => assert_eq!(scheduling().1, libc::SCHED_RR.to_string()),
        Err(refused @ RtError::Nice { .. }) => {
            eprintln!("{refused}");
            assert_eq!(scheduling().0, "-20");
        }
        Err(other) => eprintln!("{other}"),
    }
    // Neither is for the threads and processes that are started later.
    let ordinary = ("0".to_owned(), libc::SCHED_OTHER.to_string());
    assert_eq!(std::thread::spawn(scheduling).join().unwrap(), ordinary);
    let child = std::process::Command::new("cat").arg("/proc/self/stat").output().unwrap();
    assert_eq!(fields(&String::from_utf8(child.stdout).unwrap()), ordinary);
}

#[test]
fn touching_the_stack_is_harmless() {
    touch_stack(0);
    touch_stack(256 * 1024);
    std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(|| touch_stack(usize::MAX))
        .unwrap()
        .join()
        .unwrap();
}
