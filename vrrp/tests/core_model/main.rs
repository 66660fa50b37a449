//! Random sequences of events into one router, against rules that must hold whatever happens.
//!
//! Timers fire on time, save where the sequence says that the process stood still; everything
//! else comes at any time and in any order: adverts, answers of the kernel (also wrong ones),
//! verdicts, a flapping interface, new configurations.
#![allow(clippy::unwrap_used, clippy::panic)]

mod events;
mod model;
mod strategies;

use events::{Event, OWN};
use model::Model;
use proptest::prelude::*;
use strategies::{any_config, any_event};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_whatever_happens(
        config in any_config(),
        events in prop::collection::vec(any_event(), 1..80),
    ) {
        let mut model = Model::new(config);
        model.apply(Event::Source(Some(OWN[3])));
        model.apply(Event::Start);
        for event in events {
            model.apply(event);
        }
    }
}
