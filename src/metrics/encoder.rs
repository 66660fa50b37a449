//! Families of metrics whose values are known.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use vrrp::proto::Histogram;

/// Names and values of one metric's labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What a family is called and what it is about.
#[derive(Clone, Copy)]
pub(super) struct About {
    /// Without the prefix, the unit and `_total`.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) seconds: bool,
}

/// A family without a unit.
pub(super) const fn about(name: &'static str, help: &'static str) -> About {
    About { name, help, seconds: false }
}

/// A family of times.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> About {
    About { name, help, seconds: true }
}

/// Writes families one after the other.
pub(super) struct Encoder<'a>(DescriptorEncoder<'a>);

impl<'a> Encoder<'a> {
    pub(super) const fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// What goes up and down.
    pub(super) fn gauges(
        &mut self,
        about: About,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let unit = about.seconds.then_some(Unit::Seconds);
        let (name, help) = (about.name, about.help);
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// What only rises, until the process that counts starts anew.
    pub(super) fn counters(
        &mut self,
        about: About,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let (name, help) = (about.name, about.help);
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// What is there, by its labels.
    pub(super) fn infos(
        &mut self,
        about: About,
        samples: impl IntoIterator<Item = Labels>,
    ) -> fmt::Result {
        let (name, help) = (about.name, about.help);
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        for labels in samples {
            family.encode_info(&labels)?;
        }
        Ok(())
    }

    /// How often something took how long.
    pub(super) fn histograms(
        &mut self,
        about: About,
        samples: impl IntoIterator<Item = (Labels, Histogram)>,
    ) -> fmt::Result {
        let (name, help) = (about.name, about.help);
        let unit = Unit::Seconds;
        let mut family =
            self.0.encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
        for (labels, histogram) in samples {
            let counts = histogram.buckets.iter().map(|bucket| bucket.count);
            let count = counts.sum::<u64>() + histogram.above;
            let buckets = histogram.buckets.iter();
            let mut buckets: Vec<(f64, u64)> =
                buckets.map(|bucket| (from_micros(bucket.up_to_us), bucket.count)).collect();
            buckets.push((f64::INFINITY, histogram.above));
            let sum = from_micros(histogram.sum_us);
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

/// In seconds. A quotient, and so the shortest number that reads as the value.
pub(super) fn from_micros(micros: u64) -> f64 {
    micros as f64 / 1e6
}
