//! The picture. In: both phases. Out: `timeline.svg`, and the same as `timeline.png`. On top what happened in each phase,
//! a lane per segment; below one user's purchase, before and after, close enough to see what was waited for.
mod lanes;
mod life;
mod purchase;
mod svg;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::record::Phase;
use lanes::Lanes;
use svg::{Anchor, Svg};

/// Width of the whole, and of its parts, in pixels.
const WIDTH: f64 = 1640.0;
const MARGIN: f64 = 36.0;
/// Room for the lanes' names.
const NAMES_WIDTH: f64 = 92.0;
/// Room for what a lane came to.
const SUMS_WIDTH: f64 = 188.0;
/// Picture dots per pixel of the PNG.
const ZOOM: &str = "1.5";

/// Draws both phases into the directory.
///
/// # Errors
/// When a file cannot be written, or `rsvg-convert` fails.
pub(super) fn draw(phases: [&Phase; 2], output: &Path) -> Result<()> {
    let (picture, image) = (output.join("timeline.svg"), output.join("timeline.png"));
    fs::write(&picture, whole(phases)).with_context(|| format!("write {}", picture.display()))?;
    let mut convert = Command::new("rsvg-convert");
    let converted = convert.args(["--zoom", ZOOM, "--output"]).arg(&image).arg(&picture).status();
    let converted = converted.context("start rsvg-convert (apt-get install librsvg2-bin)")?;
    ensure!(converted.success(), "rsvg-convert cannot draw {}: {converted}", picture.display());
    Ok(())
}

fn whole([before, after]: [&Phase; 2]) -> String {
    let mut svg = Svg::new(WIDTH);
    svg.text(MARGIN, 46.0, "title", Anchor::Start, "A shop with six segments, watched and woven");
    let subtitle = "The same 200 users come twice. Each lane is a segment, time runs to the right: on top what was \
                    forecast, then the instances, below them the requests.";
    svg.text(MARGIN, 72.0, "muted", Anchor::Start, subtitle);
    let mut y = legend(&mut svg, 102.0) + 34.0;
    let seconds = before.seconds().max(after.seconds());
    let told = [
        (before, "Watching only", "forecasts are made and judged, and not acted upon"),
        (after, "Weaving", "what is forecast with enough confidence stands before its request comes"),
    ];
    for (phase, name, meaning) in told {
        y = Lanes { phase, name, meaning, seconds }.draw(&mut svg, y) + 40.0;
    }
    y = purchase::draw(&mut svg, [before, after], y);
    svg.finish(y + 20.0)
}

/// What the signs mean, in two lines; returns where they end.
fn legend(svg: &mut Svg, y: f64) -> f64 {
    let mut line = Line { svg, x: MARGIN, y };
    line.sign(28.0, "forecast, darker if surer", |svg, x, y| {
        for (index, confidence) in [0.3, 0.5, 0.7, 0.9, 1.0].into_iter().enumerate() {
            svg.tick(x + index as f64 * 6.0, y - 6.0, 12.0, "forecast", confidence);
        }
    });
    for (class, text) in [
        ("demand", "instance made for a request (pale: being made)"),
        ("woven", "instance made for a forecast"),
    ] {
        line.sign(46.0, text, |svg, x, y| {
            svg.rect(x, y - 5.0, 14.0, 10.0, &format!("making {class}"));
            svg.rect(x + 14.0, y - 5.0, 32.0, 10.0, class);
        });
    }
    (line.x, line.y) = (MARGIN, y + 24.0);
    let words = [
        ("cold", "cold: waits for its own instance"),
        ("late", "late: waits for the rest of one being made for it"),
        ("hit", "hit: finds it ready, because it was forecast"),
        ("warm", "warm: finds one that was there anyway"),
        ("failed", "failed"),
    ];
    for (class, text) in words {
        line.sign(10.0, text, |svg, x, y| {
            svg.circle(x + 5.0, y, if class == "warm" { 2.6 } else { 4.6 }, class)
        });
    }
    line.y + 8.0
}

/// A line of signs with their meaning, written from left to right.
struct Line<'a> {
    svg: &'a mut Svg,
    x: f64,
    y: f64,
}

impl Line<'_> {
    fn sign(&mut self, width: f64, text: &str, draw: impl FnOnce(&mut Svg, f64, f64)) {
        draw(self.svg, self.x, self.y);
        self.svg.text(self.x + width + 8.0, self.y + 4.0, "label", Anchor::Start, text);
        self.x += width + 8.0 + text.chars().count() as f64 * 6.9 + 26.0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::phase;
    use super::*;

    #[test]
    fn a_recorded_phase_becomes_a_picture_with_a_mark_per_request() {
        let phase = phase();
        let text = whole([&phase, &phase]);
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        let marks = |class: &str| text.matches(&format!("class=\"{class} mark\"")).count();
        // Two panels, each with the journal's four requests.
        assert_eq!((marks("cold"), marks("warm"), marks("hit")), (2, 2, 4));
    }

    #[test]
    fn rsvg_draws_it() {
        let output = std::env::temp_dir().join(format!("weft-demo-picture-{}", std::process::id()));
        fs::create_dir_all(&output).unwrap();
        draw([&phase(), &phase()], &output).unwrap();
        let png = fs::read(output.join("timeline.png")).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000);
        fs::remove_dir_all(output).unwrap();
    }
}
