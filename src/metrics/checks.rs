//! The metrics of the health checks.

use std::fmt;

use super::encoder::{Encoder, Labels, about, from_micros, seconds};
use super::families::flag;
use crate::health::{CheckStatus, Counts, Histogram, Standing};

/// All of them.
pub(super) fn encode(checks: &[CheckStatus], encoder: &mut Encoder<'_>) -> fmt::Result {
    let infos = checks.iter().map(|check| {
        let (kind, target) = (check.kind.clone(), check.target.clone());
        vec![("check", check.name.clone()), ("kind", kind), ("target", target)]
    });
    encoder.infos(about("check", "The health checks."), infos)?;
    let standings = checks.iter().flat_map(|check| {
        let names = [
            (Standing::Unknown, "unknown"),
            (Standing::Healthy, "healthy"),
            (Standing::Sick, "sick"),
        ];
        names.map(|(standing, name)| {
            (with(check, "standing", name), flag(check.standing == standing))
        })
    });
    encoder.gauges(about("check_standing", "1 for what the check believes."), standings)?;
    let warned = checks.iter().map(|check| (of(check), flag(check.warning.is_some())));
    encoder.gauges(about("check_warning", "Whether it is healthy with a warning."), warned)?;
    let flaps = checks.iter().map(|check| (of(check), check.flaps.into()));
    encoder.gauges(about("check_flaps", "How often it fell lately."), flaps)?;
    let probes = checks.iter().flat_map(|check| {
        let Counts { pass, warn, fail, refused, timeout, discarded } = check.samples;
        let outcomes = [
            ("pass", pass),
            ("warn", warn),
            ("fail", fail),
            ("refused", refused),
            ("timeout", timeout),
            ("discarded", discarded),
        ];
        outcomes.map(|(outcome, count)| (with(check, "outcome", outcome), count))
    });
    let help = "Probes by how they ended; discarded ones fell into a stall of this daemon.";
    encoder.counters(about("check_probes", help), probes)?;
    let phases = checks.iter().flat_map(|check| {
        let latency = check.latency.unwrap_or_default();
        let phases = [
            ("resolve", latency.resolve_us),
            ("connect", latency.connect_us),
            ("tls", latency.tls_us),
            ("answer", latency.answer_us),
        ];
        phases
            .into_iter()
            .filter_map(|(phase, micros)| Some((with(check, "phase", phase), from_micros(micros?))))
    });
    let help = "How long the parts of the last probe took that passed.";
    encoder.gauges(seconds("check_last_latency", help), phases)?;
    let latencies = checks.iter().map(|check| (of(check), histogram(&check.latency_histogram)));
    encoder.histograms(seconds("check_latency", "How long the probes took that passed."), latencies)
}

/// As the VRRP process has it.
fn histogram(histogram: &Histogram) -> vrrp::proto::Histogram {
    let bounds = Histogram::BOUNDS_US.into_iter().zip(histogram.buckets);
    vrrp::proto::Histogram {
        buckets: bounds.map(|(up_to_us, count)| vrrp::proto::Bucket { up_to_us, count }).collect(),
        above: histogram.buckets.last().copied().unwrap_or(0),
        sum_us: histogram.sum_us,
    }
}

fn of(check: &CheckStatus) -> Labels {
    vec![("check", check.name.clone())]
}

fn with(check: &CheckStatus, label: &'static str, value: &str) -> Labels {
    vec![("check", check.name.clone()), (label, value.to_owned())]
}
