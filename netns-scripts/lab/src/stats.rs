//! Median, least and greatest.

use serde::Serialize;

/// A summary of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// How many there were.
    pub count: usize,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Stats {
    /// Summarises `values`; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let upper = sorted.get(sorted.len() / 2)?;
        let lower = sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { count: sorted.len(), median: f64::midpoint(*lower, *upper), min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let odd = Stats { count: 3, median: 2.0, min: 1.0, max: 9.0 };
        assert_eq!(Stats::of(&[9.0, 1.0, 2.0]), Some(odd));
        let even = Stats { count: 4, median: 2.5, min: -1.0, max: 9.0 };
        assert_eq!(Stats::of(&[9.0, -1.0, 2.0, 3.0]), Some(even));
        assert_eq!(Stats::of(&[]), None);
    }
}
