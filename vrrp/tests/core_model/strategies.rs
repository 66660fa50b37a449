//! What can happen to a router, at random.

use proptest::prelude::*;
use vrrp::config::{Addresses, Checksum, Lease, OnDegraded, Preempt, RouterConfig};
use vrrp::router::Eligibility;
use vrrp::time::{Centis, Duration};
use vrrp::{Priority, Vrid};

use crate::events::{Event, OWN};

/// Any configuration.
pub fn any_config() -> impl Strategy<Value = RouterConfig> {
    let priority = prop_oneof![4 => 128..=254_u8, 1 => 1..=127_u8, 1 => Just(255)];
    let preempt =
        prop_oneof![Just(Preempt::DegradedOnly), Just(Preempt::Always), Just(Preempt::Never)];
    let on_degraded = prop_oneof![3 => Just(OnDegraded::Advertise), 1 => Just(OnDegraded::Release)];
    let interval = prop_oneof![Just(1_u16), Just(10), Just(100), 1..=400_u16];
    let lease = prop_oneof![Just(None), (1..=5_u32).prop_map(Some)];
    let rest = (1..=3_u8, any::<bool>());
    (priority, 1..=127_u8, on_degraded, preempt, interval, lease, rest).prop_map(
        |(priority, degraded, on_degraded, preempt, interval, lease, rest)| RouterConfig {
            vrid: Vrid::new(51).unwrap(),
            priority: Priority::new(priority).unwrap(),
            degraded_priority: Priority::new(degraded).unwrap(),
            on_degraded,
            preempt,
            interval: Centis::new(interval).unwrap(),
            addresses: Addresses::new((0..rest.0).map(|i| [10, 0, 0, 100 + i].into()).collect())
                .unwrap(),
            lease: lease.map(|seconds| Lease::from_secs(seconds).unwrap()),
            checksum: Checksum::Auto,
            virtual_mac: rest.1,
        },
    )
}

fn any_advert() -> impl Strategy<Value = (u8, u8, u16)> {
    // Smaller and greater than our own address, never the same.
    let from = prop_oneof![1..OWN[3], OWN[3] + 1..10];
    let priority = prop_oneof![1 => Just(0_u8), 2 => 1..=127_u8, 3 => 128..=254_u8, 1 => Just(255)];
    (from, priority, prop_oneof![Just(1_u16), Just(10), Just(100), 1..=400_u16])
}

fn any_span() -> impl Strategy<Value = Duration> {
    prop_oneof![0..200_000_u64, 0..5_000_000_u64].prop_map(Duration::from_micros)
}

/// Any event.
pub fn any_event() -> impl Strategy<Value = Event> {
    let eligibility = prop_oneof![
        Just(Eligibility::Healthy),
        Just(Eligibility::Degraded),
        Just(Eligibility::Drained)
    ];
    let source = prop_oneof![1 => Just(None), 3 => Just(Some(OWN[3]))];
    let stall = (any_span(), any::<bool>(), prop::collection::vec(any_advert(), 0..4));
    prop_oneof![
        8 => any_span().prop_map(Event::Run),
        8 => any_advert().prop_map(|(from, priority, centis)| Event::Hear(from, priority, centis)),
        8 => Just(Event::Installed),
        2 => Just(Event::Refused),
        2 => Just(Event::StaleInstalled),
        2 => Just(Event::AddressLost),
        2 => Just(Event::SuccessorAnnounced),
        2 => eligibility.prop_map(Event::Eligibility),
        2 => source.prop_map(Event::Source),
        2 => Just(Event::Start),
        1 => Just(Event::Stop),
        1 => any_config().prop_map(|config| Event::Reconfigure(Box::new(config))),
        2 => stall.prop_map(|(late, overflowed, queued)| Event::Stall { late, overflowed, queued }),
    ]
}
