//! What the HTTPS client saw.

use std::time::Duration;

use serde::Serialize;

use crate::{Node, Stamp};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An apiserver answered, and well: this router's, if it told.
    Answered(Option<Node>),
    /// No good answer, and why.
    Failed(String),
}

/// One request, over a connection of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// When it began.
    pub sent: Stamp,
    /// When it ended.
    pub done: Stamp,
    /// How it ended.
    pub outcome: Outcome,
}

impl Request {
    /// Who answered, if it told.
    pub const fn by(&self) -> Option<Node> {
        match self.outcome {
            Outcome::Answered(node) => node,
            Outcome::Failed(_) => None,
        }
    }

    /// Whether there was no good answer.
    pub const fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// All requests of one client, in the order of their beginning.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HttpsLog(Vec<Request>);

impl HttpsLog {
    pub(crate) fn new(mut requests: Vec<Request>) -> Self {
        requests.sort_by_key(|request| request.sent);
        Self(requests)
    }

    /// The requests.
    pub fn requests(&self) -> &[Request] {
        &self.0
    }

    /// Those that began in `from..until` and failed.
    pub fn failed(&self, from: Stamp, until: Stamp) -> impl Iterator<Item = &Request> {
        let inside = move |request: &&Request| (from..until).contains(&request.sent);
        self.0.iter().filter(inside).filter(|request| request.is_failed())
    }

    /// The slowest answer to a request that began in `from..until`.
    pub fn slowest(&self, from: Stamp, until: Stamp) -> Duration {
        let inside = |request: &&Request| (from..until).contains(&request.sent);
        let answered = self.0.iter().filter(inside).filter(|request| !request.is_failed());
        answered.map(|request| request.done - request.sent).max().unwrap_or_default()
    }

    /// When the first request ended well that was answered after `from` by a router that `wanted`
    /// accepts.
    pub fn first_answer(&self, from: Stamp, wanted: impl Fn(Node) -> bool) -> Option<Stamp> {
        let good = |request: &&Request| request.by().is_some_and(&wanted);
        self.0.iter().filter(good).map(|request| request.done).filter(|&at| at >= from).min()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(millis: i64) -> Stamp {
        Stamp::from_nanos(millis * 1_000_000)
    }

    fn request(sent: i64, took: i64, by: u8) -> Request {
        let outcome = match Node::new(by) {
            None => Outcome::Failed("refused".into()),
            node => Outcome::Answered(node),
        };
        Request { sent: at(sent), done: at(sent + took), outcome }
    }

    #[test]
    fn failures_slowness_and_the_first_answer_are_found() {
        let requests =
            vec![request(20, 1, 0), request(0, 2, 1), request(10, 200, 2), request(30, 5, 2)];
        let log = HttpsLog::new(requests);
        assert_eq!(log.requests()[1].sent, at(10));
        assert_eq!(log.failed(at(0), at(40)).count(), 1);
        assert_eq!(log.failed(at(0), at(20)).count(), 0);
        assert_eq!(log.slowest(at(0), at(40)), Duration::from_millis(200));
        let two = Node::new(2).unwrap();
        assert_eq!(log.first_answer(at(0), |by| by == two), Some(at(35)));
        assert_eq!(log.first_answer(at(40), |by| by == two), Some(at(210)));
    }
}
