//! Which metrics there are.

use std::fmt;

use vrrp::conflict::ConflictKind;
use vrrp::router::State;

use super::encoder::{Encoder, Labels, about, seconds};
use super::{checks, units};
use crate::status::{Status, VirtualRouterStatus};

/// All of them.
pub(super) fn encode(status: &Status, encoder: &mut Encoder<'_>) -> fmt::Result {
    daemon(status, encoder)?;
    states(&status.virtual_routers, encoder)?;
    counts(&status.virtual_routers, encoder)?;
    conflicts(&status.virtual_routers, encoder)?;
    packets(status, encoder)?;
    checks::encode(&status.checks, encoder)?;
    units::encode(&status.units, encoder)
}

fn daemon(status: &Status, encoder: &mut Encoder<'_>) -> fmt::Result {
    let Status { version, node, role, vrrp, .. } = status;
    let build = vec![
        ("version", version.clone()),
        ("vrrp_version", vrrp.version.clone().unwrap_or_default()),
        ("node", node.clone()),
        ("role", role.clone()),
    ];
    encoder.infos(about("build", "The programs and the node."), [build])?;
    let attached = [(Labels::new(), flag(vrrp.attached))];
    encoder
        .gauges(about("vrrp_attached", "Whether the VRRP process runs and answers."), attached)?;
    encoder.counters(
        about("vrrp_restarts", "How often the VRRP process was started again after it died."),
        [(Labels::new(), vrrp.restarts)],
    )?;
    encoder.counters(
        about("vrrp_events_lost", "Events of the VRRP process that nobody fetched in time."),
        [(Labels::new(), vrrp.events_lost)],
    )?;
    encoder.gauges(
        about("config_refused", "Whether the configuration file was refused when last read."),
        [(Labels::new(), flag(status.config.error.is_some()))],
    )?;
    let warnings = u32::try_from(status.warnings.len()).unwrap_or(u32::MAX);
    encoder.gauges(
        about("warnings", "How many warnings `mainstay status` shows."),
        [(Labels::new(), warnings.into())],
    )?;
    let degradations = u32::try_from(status.degradations().len()).unwrap_or(u32::MAX);
    encoder.gauges(
        about("degradations", "How many things `mainstay status` shows as degraded."),
        [(Labels::new(), degradations.into())],
    )?;
    encoder.histograms(
        seconds(
            "timer_lateness",
            "How late the timers fired that send advertisements and take over.",
        ),
        [(Labels::new(), vrrp.timer_lateness.clone())],
    )
}

fn states(routers: &[VirtualRouterStatus], encoder: &mut Encoder<'_>) -> fmt::Result {
    let infos = routers.iter().map(|router| {
        vec![
            ("router", router.name.clone()),
            ("vrid", router.vrid.to_string()),
            ("family", router.family.to_string()),
            ("interface", router.interface.clone()),
        ]
    });
    encoder.infos(about("virtual_router", "The virtual routers."), infos)?;
    let states = routers.iter().flat_map(|router| {
        [State::Initialize, State::Backup, State::Active].map(|state| {
            let mut labels = of(router);
            labels.push(("state", state.to_string()));
            (labels, flag(router.state == Some(state)))
        })
    });
    let help = "1 for the state of RFC 9568, 6.4, that it is in; 0 for all if that is not known.";
    encoder.gauges(about("state", help), states)?;
    let gauge = |value: fn(&VirtualRouterStatus) -> Option<f64>| {
        routers.iter().filter_map(move |router| Some((of(router), value(router)?)))
    };
    encoder.gauges(
        about("priority", "The configured priority."),
        gauge(|router| Some(router.priority.into())),
    )?;
    encoder.gauges(
        about("effective_priority", "The priority that it advertises, or would; 0 if none."),
        gauge(|router| Some(router.effective_priority.unwrap_or(0).into())),
    )?;
    encoder.gauges(
        about("drained", "Whether the operator has drained it."),
        gauge(|router| Some(flag(router.drained.is_some()))),
    )?;
    encoder.gauges(
        about("installed", "Whether this node has all of the virtual addresses."),
        gauge(|router| router.installed.map(flag)),
    )?;
    encoder.gauges(
        seconds("advert_interval", "The configured advertisement interval."),
        gauge(|router| Some(from_millis(router.interval_ms))),
    )?;
    encoder.gauges(
        seconds("lease_age", "Time since the kernel last acknowledged the addresses' lease."),
        gauge(|router| router.lease_age_ms.map(from_millis)),
    )?;
    encoder.gauges(
        seconds("last_transition_timestamp", "When it last changed its state, since 1970."),
        gauge(|router| Some(from_millis(router.last_transition.as_ref()?.at.unix_millis()))),
    )
}

fn counts(routers: &[VirtualRouterStatus], encoder: &mut Encoder<'_>) -> fmt::Result {
    let transitions = routers.iter().flat_map(|router| {
        router.transitions.iter().map(|known| {
            let mut labels = of(router);
            labels.push(("to", known.to.to_string()));
            labels.push(("cause", known.cause.clone()));
            (labels, known.count)
        })
    });
    encoder.counters(about("transitions", "Changes of state, by cause."), transitions)?;
    let counter = |value: fn(&VirtualRouterStatus) -> u64| {
        routers.iter().map(move |router| (of(router), value(router)))
    };
    encoder.counters(
        about("adverts_sent", "Advertisements sent."),
        counter(|router| router.adverts_sent),
    )?;
    encoder.counters(
        about("adverts_received", "Advertisements of other routers that were taken."),
        counter(|router| router.adverts_received),
    )?;
    encoder.counters(
        about("repairs", "How often removed addresses were put back."),
        counter(|router| router.repairs),
    )
}

fn conflicts(routers: &[VirtualRouterStatus], encoder: &mut Encoder<'_>) -> fmt::Result {
    let current = routers.iter().flat_map(|router| {
        ConflictKind::ALL.map(|kind| {
            let count = router.conflicts.iter().filter(|it| it.kind == kind).count();
            (with_kind(router, kind), u32::try_from(count).unwrap_or(u32::MAX).into())
        })
    });
    let help = "Routers and hosts in the way of a virtual router within the last minute, by kind.";
    encoder.gauges(about("conflicts_current", help), current)?;
    let counts = routers.iter().flat_map(|router| {
        ConflictKind::ALL.map(|kind| {
            (with_kind(router, kind), router.conflict_counts.get(&kind).copied().unwrap_or(0))
        })
    });
    let help = "Packets that showed another router or host in the way, by kind of conflict.";
    encoder.counters(about("conflicts", help), counts)
}

fn packets(status: &Status, encoder: &mut Encoder<'_>) -> fmt::Result {
    let dropped = status.dropped.iter().flat_map(|(interface, reasons)| {
        reasons.iter().map(move |(reason, &count)| {
            (vec![("interface", interface.clone()), ("reason", reason.clone())], count)
        })
    });
    let help = "VRRP packets that were discarded, by the first rule of RFC 9568 that they break.";
    encoder.counters(about("packets_dropped", help), dropped)
}

fn of(router: &VirtualRouterStatus) -> Labels {
    vec![("router", router.name.clone())]
}

fn with_kind(router: &VirtualRouterStatus, kind: ConflictKind) -> Labels {
    let mut labels = of(router);
    labels.push(("kind", kind.name().to_owned()));
    labels
}

pub(super) fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

/// In seconds.
fn from_millis(millis: u64) -> f64 {
    millis as f64 / 1e3
}
