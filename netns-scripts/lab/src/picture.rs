//! The timeline of a failover as a picture: who advertised what, who had the VIP, and what the clients
//! saw.

mod svg;

use std::collections::BTreeSet;

use crate::{Event, HttpsLog, Node, ProbeLog, Stamp, Timed};

use self::svg::{Svg, colour};

/// Where time begins, and the width of all of it, in pixels.
const LEFT: f64 = 92.0;
const SPAN: f64 = 860.0;
/// The heights of the title, of a router's lane, of a client's, and of the axis.
const TOP: f64 = 44.0;
const LANE: f64 = 78.0;
const CLIENT: f64 = 34.0;
const AXIS: f64 = 40.0;
/// How high the advert of a healthy router is, and that of a degraded one.
const HEALTHY: f64 = 36.0;
const DEGRADED: f64 = 18.0;
/// From this priority on a router is healthy.
const HEALTHY_PRIORITY: u8 = 128;

/// What is drawn.
#[derive(Debug)]
pub struct Picture<'a> {
    /// What happened.
    pub title: &'a str,
    /// The moment that is 0.
    pub zero: Stamp,
    /// What is seen of it.
    pub from: Stamp,
    /// Until when.
    pub until: Stamp,
    /// The routers, one lane each.
    pub nodes: &'a [Node],
    /// Who had the VIP at the first event.
    pub owners: BTreeSet<Node>,
    /// Adverts, gratuitous ARP and owners.
    pub events: &'a [Timed],
    /// What routers or people did, in words.
    pub notes: &'a [(Stamp, Node, String)],
    /// The UDP probe.
    pub probe: &'a ProbeLog,
    /// The HTTPS client.
    pub https: &'a HttpsLog,
}

impl Picture<'_> {
    /// The picture as SVG.
    pub fn svg(&self) -> String {
        let lanes = TOP + LANE * index(self.nodes.len());
        let height = lanes + 2.0 * CLIENT + AXIS;
        let mut svg = Svg::new(LEFT + SPAN + 16.0, height);
        svg.text(LEFT, 18.0, "title", self.title);
        svg.text(
            LEFT,
            34.0,
            "small",
            "bar: has the VIP; line: advertisement and its priority; triangle: gratuitous ARP",
        );
        self.axis(&mut svg, lanes + 2.0 * CLIENT);
        let zero = self.x(self.zero);
        svg.line("zero", (zero, TOP), (zero, lanes + 2.0 * CLIENT));
        for (at, &node) in self.nodes.iter().enumerate() {
            self.lane(&mut svg, TOP + LANE * index(at), node);
        }
        svg.text(8.0, lanes + 20.0, "name", "UDP, 1 kHz");
        self.probes(&mut svg, lanes + 16.0);
        svg.text(8.0, lanes + CLIENT + 20.0, "name", "HTTPS, 100 Hz");
        self.requests(&mut svg, lanes + CLIENT + 16.0);
        svg.finish()
    }

    fn x(&self, at: Stamp) -> f64 {
        let whole = self.until.millis_since(self.from);
        LEFT + SPAN * (at.millis_since(self.from) / whole).clamp(0.0, 1.0)
    }

    fn is_seen(&self, at: Stamp) -> bool {
        (self.from..self.until).contains(&at)
    }

    fn axis(&self, svg: &mut Svg, y: f64) {
        svg.line("axis", (LEFT, y), (LEFT + SPAN, y));
        let (first, last) = (self.from.millis_since(self.zero), self.until.millis_since(self.zero));
        let step = step((last - first) / 10.0);
        let mut tick = (first / step).ceil() * step;
        while tick <= last {
            let x = LEFT + SPAN * (tick - first) / (last - first);
            svg.line("axis", (x, y), (x, y + 4.0));
            svg.text(x, y + 17.0, "tick", &format!("{tick:.0}"));
            tick += step;
        }
        svg.text(LEFT + SPAN / 2.0, y + 33.0, "tick", "milliseconds");
    }

    fn lane(&self, svg: &mut Svg, top: f64, node: Node) {
        let ground = top + LANE - 18.0;
        svg.text(8.0, ground - 8.0, "name", &node.to_string());
        svg.line("ground", (LEFT, ground), (LEFT + SPAN, ground));
        for (from, until) in self.owned(node) {
            let (from, until) = (self.x(from), self.x(until));
            svg.bar(colour(node), (from, ground + 1.0), (until - from, 9.0));
        }
        let mut last = None;
        for timed in self.events.iter().filter(|timed| self.is_seen(timed.at)) {
            let x = self.x(timed.at);
            match &timed.event {
                Event::Advert(by, advert) if *by == node => {
                    let healthy = advert.priority >= HEALTHY_PRIORITY;
                    let high = if healthy { HEALTHY } else { DEGRADED };
                    let class = if healthy { "advert" } else { "degraded" };
                    svg.line(class, (x, ground), (x, ground - high));
                    if last != Some(advert.priority) {
                        let text = advert.priority.to_string();
                        svg.text(x + 2.0, ground - high + 8.0, "small", &text);
                        last = Some(advert.priority);
                    }
                }
                Event::Arp(port, arp)
                    if *port == crate::Port::Node(node) && arp.is_gratuitous() =>
                {
                    svg.triangle(colour(node), (x, ground - 2.0));
                }
                _ => {}
            }
        }
        let notes = self.notes.iter().filter(|(at, by, _)| *by == node && self.is_seen(*at));
        for (row, (at, _, text)) in notes.enumerate() {
            let (x, y) = (self.x(*at), top + 12.0 + 11.0 * index(row % 2));
            svg.line("note", (x, y - 8.0), (x, ground));
            svg.text(x + 3.0, y, "small", text);
        }
    }

    /// When `node` had the VIP.
    fn owned(&self, node: Node) -> Vec<(Stamp, Stamp)> {
        let mut since = self.owners.contains(&node).then_some(self.from);
        let mut spans = Vec::new();
        for timed in self.events {
            if timed.event == Event::Added(node) {
                since = since.or(Some(timed.at));
            } else if timed.event == Event::Removed(node)
                && let Some(start) = since.take()
            {
                spans.push((start, timed.at));
            }
        }
        spans.extend(since.map(|start| (start, self.until)));
        spans.retain(|&(start, end)| end > self.from && start < self.until);
        spans
    }

    fn probes(&self, svg: &mut Svg, y: f64) {
        for sample in self.probe.samples().iter().filter(|sample| self.is_seen(sample.sent)) {
            let x = self.x(sample.sent);
            match sample.answer {
                Some((_, by)) => svg.dot(colour(by), (x, y)),
                None => svg.cross((x, y)),
            }
        }
    }

    fn requests(&self, svg: &mut Svg, y: f64) {
        for request in self.https.requests().iter().filter(|it| self.is_seen(it.sent)) {
            let from = self.x(request.sent);
            if request.is_failed() {
                svg.cross((from, y));
            } else {
                let width = (self.x(request.done) - from).max(2.0);
                svg.bar(request.by().map_or("#999", colour), (from, y - 4.0), (width, 8.0));
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten: the next above `least`.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(0.01).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.iter().map(|factor| factor * power).find(|&step| step >= least).unwrap_or(least)
}

#[expect(clippy::cast_precision_loss, reason = "a handful of lanes")]
fn index(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::{Outcome, Request, Sample};

    fn at(millis: i64) -> Stamp {
        Stamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn ticks_are_round() {
        for (least, wanted) in [(0.7, 1.0), (11.0, 20.0), (35.0, 50.0), (60.0, 100.0)] {
            assert!((step(least) - wanted).abs() < 1e-9, "{least}");
        }
    }

    #[test]
    fn bars_dots_and_crosses_are_where_things_happened() {
        let (one, two) = (Node::new(1).unwrap(), Node::new(2).unwrap());
        let events = [
            Timed { at: at(150), event: Event::Added(two) },
            Timed { at: at(160), event: Event::Removed(one) },
        ];
        let mut probe = ProbeLog::new(Duration::from_millis(1), 2);
        probe.push(Sample::sent(at(120)));
        probe.push(Sample::sent(at(170)));
        probe.answer(1, at(171), two);
        let outcome = Outcome::Failed("a < b".into());
        let https = HttpsLog::new(vec![Request { sent: at(130), done: at(140), outcome }]);
        let picture = Picture {
            title: "death & takeover",
            zero: at(150),
            from: at(100),
            until: at(200),
            nodes: &[one, two],
            owners: BTreeSet::from([one]),
            events: &events,
            notes: &[(at(150), one, "killed".into())],
            probe: &probe,
            https: &https,
        };
        assert_eq!(picture.owned(one), [(at(100), at(160))]);
        assert_eq!(picture.owned(two), [(at(150), at(200))]);
        let svg = picture.svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("death &amp; takeover"));
        assert_eq!(svg.matches("<circle").count(), 1);
        assert_eq!(svg.matches("class=\"lost\"").count(), 2);
        assert_eq!(svg.matches("<rect").count(), 3, "the ground and two bars");
    }
}
