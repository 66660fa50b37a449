//! What the probe saw, and what that means for the client.

use std::time::Duration;

use serde::Serialize;

use crate::{Node, Stamp};

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When it was sent.
    pub sent: Stamp,
    /// When its first answer came in, and from whom.
    pub answer: Option<(Stamp, Node)>,
}

impl Sample {
    pub(crate) const fn sent(at: Stamp) -> Self {
        Self { sent: at, answer: None }
    }
}

/// All requests of one probe, in order.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeLog {
    period: Duration,
    samples: Vec<Sample>,
}

impl ProbeLog {
    pub(crate) fn new(period: Duration, capacity: usize) -> Self {
        Self { period, samples: Vec::with_capacity(capacity) }
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    pub(crate) fn answer(&mut self, sequence: u64, at: Stamp, node: Node) {
        let sample = usize::try_from(sequence).ok().and_then(|index| self.samples.get_mut(index));
        if let Some(sample) = sample {
            sample.answer.get_or_insert((at, node));
        }
    }

    /// The requests.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The largest time between two requests sent in `from..until`, beyond the period.
    pub fn largest_lateness(&self, from: Stamp, until: Stamp) -> Duration {
        let inside = |pair: &&[Sample]| pair[1].sent >= from && pair[0].sent < until;
        let gaps = self.samples.windows(2).filter(inside).map(|pair| pair[1].sent - pair[0].sent);
        gaps.max().unwrap_or_default().saturating_sub(self.period)
    }

    /// The first answer after `from` of a router that `wanted` accepts.
    pub fn first_answer(&self, from: Stamp, wanted: impl Fn(Node) -> bool) -> Option<Stamp> {
        let answers = self.samples.iter().filter_map(|sample| sample.answer);
        answers.filter(|&(at, node)| at >= from && wanted(node)).map(|(at, _)| at).min()
    }

    /// How many requests sent in `from..until` had no answer.
    pub fn lost(&self, from: Stamp, until: Stamp) -> usize {
        let sent = |sample: &&Sample| (from..until).contains(&sample.sent);
        self.samples.iter().filter(sent).filter(|sample| sample.answer.is_none()).count()
    }

    /// The largest time without an answer in `from..until`, its edges counting as answers.
    pub fn silence(&self, from: Stamp, until: Stamp) -> Duration {
        let mut times: Vec<Stamp> = self
            .samples
            .iter()
            .filter_map(|sample| sample.answer.map(|(at, _)| at))
            .filter(|at| (from..until).contains(at))
            .chain([from, until])
            .collect();
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// From when on every request sent after `from` is answered, and by `node`: the time of the
    /// first of them. `None` if the last request is not.
    pub fn settled(&self, from: Stamp, node: Node) -> Option<Stamp> {
        let good = |sample: &&Sample| sample.answer.is_some_and(|(_, by)| by == node);
        let after = self.samples.iter().rev().take_while(|sample| sample.sent >= from);
        after.take_while(good).last().map(|sample| sample.sent)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn node(number: u8) -> Node {
        Node::new(number).unwrap()
    }

    fn at(millis: i64) -> Stamp {
        Stamp::from_nanos(millis * 1_000_000)
    }

    /// Requests at 0, 10, 20, ... ms, each answered 1 ms later by the router given, 0 for none.
    fn log(answers: &[u8]) -> ProbeLog {
        let mut log = ProbeLog::new(Duration::from_millis(10), answers.len());
        for (index, &number) in answers.iter().enumerate() {
            let sent = i64::try_from(index).unwrap() * 10;
            log.push(Sample::sent(at(sent)));
            if let Some(node) = Node::new(number) {
                log.answer(index as u64, at(sent + 1), node);
            }
        }
        log
    }

    #[test]
    fn loss_and_silence_are_found() {
        let log = log(&[1, 1, 0, 0, 2, 2]);
        assert_eq!(log.lost(at(0), at(60)), 2);
        assert_eq!(log.silence(at(0), at(51)), Duration::from_millis(30));
        assert_eq!(log.first_answer(at(5), |by| by != node(1)), Some(at(41)));
        assert_eq!(log.first_answer(at(5), |by| by == node(3)), None);
    }

    #[test]
    fn settled_is_after_the_last_request_that_went_wrong() {
        assert_eq!(log(&[1, 2, 1, 0, 1, 1]).settled(at(10), node(1)), Some(at(40)));
        assert_eq!(log(&[2, 1, 1]).settled(at(5), node(1)), Some(at(10)));
        assert_eq!(log(&[1, 1, 2]).settled(at(5), node(1)), None);
    }

    #[test]
    fn the_first_answer_counts() {
        let mut log = log(&[1]);
        log.answer(0, at(9), node(2));
        log.answer(7, at(9), node(2));
        assert_eq!(log.samples()[0].answer, Some((at(1), node(1))));
    }
}
