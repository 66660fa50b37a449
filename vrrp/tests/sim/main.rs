//! The simulator: groups of real [`vrrp::router::Router`]s in a seeded world of virtual time, with
//! everything that goes wrong between and on their nodes, and the rules that hold nevertheless.
//!
//! ```text
//! cargo test -p mainstay-vrrp --test sim                               10,000 seeds, and the walks
//! MAINSTAY_SIM_SEEDS=1000000 cargo test --release ... --test sim seeds more of them
//! MAINSTAY_SIM_FIRST=5000000 ...                                       from another first seed
//! MAINSTAY_SIM_SEED=12345 ...                                          one seed with its trace
//! ```
//!
//! | file | what |
//! |---|---|
//! | `scenario`, `plan` | what a seed draws: the group; its faults |
//! | `world`, `network`, `clock` | events in order of virtual time; packets; clocks that drift |
//! | `node`, `shell`, `keeper`, `faults` | a node as the real process drives the router |
//! | `keepalived` | a peer that is not mainstay |
//! | `reference` | each router's steps against a second reading of RFC 9568 |
//! | `rules`, `settle` | the group: at every moment; when it is left alone |
//! | `forecast` | what a single fault may do, and by when |
//! | `walks` | stories told step by step |
//! | `campaign` | many seeds, shrinking, replay |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod campaign;
mod clock;
mod faults;
mod forecast;
mod keepalived;
mod keeper;
mod machine;
mod network;
mod node;
mod plan;
mod reference;
mod rng;
mod rules;
mod scenario;
mod settle;
mod shell;
mod trace;
mod walks;
mod world;

use std::sync::atomic::Ordering;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

#[test]
fn seeds_break_no_rule() {
    if let Some(seed) = number("MAINSTAY_SIM_SEED") {
        let outcome = campaign::run(seed, None, true);
        campaign::say(&outcome.lines.join("\n"));
        assert_eq!(outcome.broken, None);
        return;
    }
    let first = number("MAINSTAY_SIM_FIRST").unwrap_or(0);
    let seeds = number("MAINSTAY_SIM_SEEDS").unwrap_or(10_000);
    match campaign::run_all(first, seeds) {
        Ok(totals) => campaign::say(&format!(
            "{seeds} seeds: {} events, {} takeovers",
            totals.events.load(Ordering::Relaxed),
            totals.takeovers.load(Ordering::Relaxed)
        )),
        Err(why) => panic!("\n{why}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let [first, second] = [(), ()].map(|()| campaign::run(seed, None, true));
        assert!(first.lines.len() > 10);
        assert_eq!(first.lines, second.lines);
        // And without a trace the same happens.
        let third = campaign::run(seed, Some(&first.script), false);
        assert_eq!((first.events, first.takeovers), (third.events, third.takeovers));
    }
}
