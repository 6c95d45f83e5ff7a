//! SVG by hand. In: shapes with classes. Out: a document with one style sheet.
use std::fmt::Write;

const STYLE: &str = "
text { font-family: 'DejaVu Sans', 'Liberation Sans', Helvetica, sans-serif; fill: #1d2935; }
.title { font-size: 26px; font-weight: bold; }
.heading { font-size: 17px; font-weight: bold; }
.name { font-size: 13px; font-weight: bold; }
.label { font-size: 12px; fill: #44515e; }
.muted { font-size: 13px; fill: #66727f; }
.small { font-size: 11px; fill: #7d8995; }
.number { font-size: 13px; font-weight: bold; }
.lane { fill: #f5f7f9; }
.grid { stroke: #dfe4e9; stroke-width: 1; }
.forecast { stroke: #6a4bc4; stroke-width: 1.3; }
.demand { fill: #efb27f; }
.woven { fill: #7fb2e5; }
.making { fill-opacity: 0.45; }
.cold { fill: #d23b3b; }
.late { fill: #f09a00; }
.hit { fill: #0f9a62; }
.warm { fill: #a3afba; }
.failed { fill: #000000; }
.pass { fill: #5b6770; }
.held { fill-opacity: 0.4; }
.dim { fill-opacity: 0.35; }
";

/// Where a text stands to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    /// Begins there.
    Start,
    /// Is centred there.
    Middle,
    /// Ends there.
    End,
}

/// A document in the making.
#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    body: String,
}

impl Svg {
    pub(super) fn new(width: f64) -> Self {
        Self { width, body: String::new() }
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    pub(super) fn circle(&mut self, x: f64, y: f64, radius: f64, class: &str) {
        let _ =
            writeln!(self.body, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>");
    }

    /// A vertical line, downwards from the point.
    pub(super) fn tick(&mut self, x: f64, y: f64, height: f64, class: &str, opacity: f64) {
        let end = y + height;
        let _ = writeln!(
            self.body,
            "<line class=\"{class}\" stroke-opacity=\"{opacity:.2}\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{end:.1}\"/>"
        );
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// The whole document.
    pub(super) fn finish(self, height: f64) -> String {
        let Self { width, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}
