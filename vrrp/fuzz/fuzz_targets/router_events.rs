//! Any sequence of events into one router, held against the rules of `tests/core_model`.
#![no_main]

#[path = "../../tests/core_model/events.rs"]
mod events;
#[path = "../../tests/core_model/model.rs"]
mod model;

use events::{Event, OWN};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use model::Model;
use vrrp::config::{Addresses, Checksum, Lease, OnDegraded, Preempt, RouterConfig};
use vrrp::router::Eligibility;
use vrrp::time::{Centis, Duration};
use vrrp::{Priority, Vrid};

/// More would only repeat what has been.
const MOST_EVENTS: usize = 200;

fuzz_target!(|input: &[u8]| {
    let mut input = Unstructured::new(input);
    let Ok(config) = config(&mut input) else {
        return;
    };
    let mut model = Model::new(config);
    model.apply(Event::Source(Some(OWN[3])));
    model.apply(Event::Start);
    for _ in 0..MOST_EVENTS {
        match event(&mut input) {
            Ok(event) if !input.is_empty() => model.apply(event),
            _ => return,
        }
    }
});

fn config(input: &mut Unstructured<'_>) -> Result<RouterConfig> {
    let priority =
        |input: &mut Unstructured<'_>| Ok(Priority::new(input.int_in_range(1..=255)?).unwrap());
    let addresses = (0..input.int_in_range(1..=3)?).map(|i| [10, 0, 0, 100 + i].into());
    Ok(RouterConfig {
        vrid: Vrid::new(51).unwrap(),
        priority: priority(input)?,
        degraded_priority: priority(input)?,
        on_degraded: *input.choose(&[OnDegraded::Advertise, OnDegraded::Release])?,
        preempt: *input.choose(&[Preempt::DegradedOnly, Preempt::Always, Preempt::Never])?,
        interval: Centis::new(centis(input)?).unwrap(),
        addresses: Addresses::new(addresses.collect()).unwrap(),
        lease: Lease::from_secs(input.int_in_range(0..=5)?).ok(),
        checksum: Checksum::Auto,
        virtual_mac: input.arbitrary()?,
    })
}

fn centis(input: &mut Unstructured<'_>) -> Result<u16> {
    Ok(match input.int_in_range(0..=3)? {
        0 => 1,
        1 => 10,
        2 => 100,
        _ => input.int_in_range(1..=4095)?,
    })
}

/// Up to 5 s, and often little.
fn span(input: &mut Unstructured<'_>) -> Result<Duration> {
    let most = *input.choose(&[2_000, 200_000, 5_000_000])?;
    Ok(Duration::from_micros(input.int_in_range(0..=most)?))
}

/// From another router, with a priority (0 gives up) and an interval.
fn advert(input: &mut Unstructured<'_>) -> Result<(u8, u8, u16)> {
    let from = if input.arbitrary()? { OWN[3] + 1 } else { OWN[3] - 1 };
    Ok((from, input.arbitrary()?, centis(input)?))
}

fn event(input: &mut Unstructured<'_>) -> Result<Event> {
    Ok(match input.int_in_range(0..=15)? {
        0 | 1 => Event::Run(span(input)?),
        2 | 3 => {
            let (from, priority, centis) = advert(input)?;
            Event::Hear(from, priority, centis)
        }
        4 | 5 => Event::Installed,
        6 => Event::Refused,
        7 => Event::StaleInstalled,
        8 => Event::AddressLost,
        9 => Event::SuccessorAnnounced,
        10 => Event::Eligibility(*input.choose(&[
            Eligibility::Healthy,
            Eligibility::Degraded,
            Eligibility::Drained,
        ])?),
        11 => Event::Source(input.arbitrary::<bool>()?.then_some(OWN[3])),
        12 => Event::Start,
        13 => Event::Stop,
        14 => Event::Reconfigure(Box::new(config(input)?)),
        _ => {
            let (late, overflowed) = (span(input)?, input.arbitrary()?);
            let queued = (0..input.int_in_range(0..=3)?).map(|_| advert(input));
            Event::Stall { late, overflowed, queued: queued.collect::<Result<_>>()? }
        }
    })
}
