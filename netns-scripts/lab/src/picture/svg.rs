//! As much of SVG as a picture needs.

use std::fmt::Write as _;

use crate::Node;

const STYLE: &str = "text{font:11px sans-serif;fill:#222}.title{font-size:14px;font-weight:bold}\
    .name{font-weight:bold}.small{font-size:9px;fill:#555}.tick{text-anchor:middle;font-size:10px}\
    line{stroke:#222;stroke-width:1}.ground{stroke:#bbb}.axis{stroke:#555}\
    .zero{stroke:#d55e00;stroke-dasharray:4 3}.note{stroke:#999;stroke-dasharray:1 2}\
    .advert{stroke-width:1.5}.degraded{stroke:#d55e00;stroke-width:1.5}\
    .lost{stroke:#d00;stroke-width:1.2;fill:none}";

/// Colours that people with any eyes tell apart.
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#f0e442"];

/// The colour of a router.
pub(super) fn colour(node: Node) -> &'static str {
    let at = usize::from(node.number() - 1) % COLOURS.len();
    COLOURS.get(at).copied().unwrap_or("#000")
}

/// A drawing that grows.
pub(super) struct Svg(String);

type Point = (f64, f64);

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\">\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        ))
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.add(format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
    }

    pub(super) fn line(&mut self, class: &str, from: Point, to: Point) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    pub(super) fn bar(&mut self, fill: &str, (x, y): Point, (width, height): Point) {
        self.add(format_args!(
            "<rect fill=\"{fill}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>"
        ));
    }

    pub(super) fn dot(&mut self, fill: &str, (x, y): Point) {
        self.add(format_args!("<circle fill=\"{fill}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.3\"/>"));
    }

    /// Upright, on its point.
    pub(super) fn triangle(&mut self, fill: &str, (x, y): Point) {
        let (left, right, top) = (x - 3.0, x + 3.0, y - 6.0);
        self.add(format_args!(
            "<path fill=\"{fill}\" d=\"M{x:.1} {y:.1}L{left:.1} {top:.1}L{right:.1} {top:.1}Z\"/>"
        ));
    }

    /// For what was lost.
    pub(super) fn cross(&mut self, (x, y): Point) {
        let (left, right, top, bottom) = (x - 2.0, x + 2.0, y - 4.0, y + 4.0);
        self.add(format_args!(
            "<path class=\"lost\" d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} \
             {bottom:.1}L{right:.1} {top:.1}\"/>"
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{element}");
    }
}
