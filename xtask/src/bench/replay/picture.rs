//! Curves as a picture. In: the outcome on a trace. Out: an SVG: wasted memory to the right, cold starts upwards, both in
//! decades.
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use weft_models::contest::{Contest, Point};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 480.0;
const MARGIN: f64 = 60.0;
/// Policies that have a curve, with their colours.
const CURVES: [(&str, &str); 3] = [("fixed", "#888888"), ("hybrid", "#c0392b"), ("weft", "#1f6fb2")];

/// Writes the picture.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn keep(outcome: &Contest, path: &Path) -> Result<()> {
    let folder = path.parent().context("a picture is in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    std::fs::write(path, svg(outcome)).with_context(|| format!("write {}", path.display()))
}

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| {
            (f64::min(low, log), f64::max(high, log))
        });
        if low.is_finite() {
            Self { low: low.floor(), high: high.ceil() }
        } else {
            Self { low: 0.0, high: 1.0 }
        }
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let log = value.max(f64::MIN_POSITIVE).log10().max(self.low);
        (log - self.low) / (self.high - self.low).max(1.0)
    }
}

fn svg(outcome: &Contest) -> String {
    let shown = |point: &&Point| CURVES.iter().any(|(name, _)| *name == point.policy);
    let points: Vec<&Point> = outcome.curve.iter().filter(shown).collect();
    let wasted = Axis::over(points.iter().map(|point| point.figures.wasted_gb_s));
    let cold = Axis::over(points.iter().map(|point| point.figures.cold_percent));
    let x = |value| MARGIN + wasted.place(value) * (WIDTH - 2.0 * MARGIN);
    let y = |value| HEIGHT - MARGIN - cold.place(value) * (HEIGHT - 2.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\">{}: cold starts in %, over wasted GB·s</text>\n",
        outcome.name
    );
    // Writing to a string does not fail.
    let _ = axes(&mut text, &wasted, &cold, &x, &y);
    for (index, (name, colour)) in CURVES.iter().enumerate() {
        let of = points.iter().filter(|point| point.policy == *name);
        let places: Vec<(f64, f64)> =
            of.map(|point| (x(point.figures.wasted_gb_s), y(point.figures.cold_percent))).collect();
        let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for (x, y) in places {
            let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
        }
        let (right, down) = (WIDTH - MARGIN - 60.0, MARGIN + 16.0 * index as f64);
        let _ = writeln!(text, "<text x=\"{right}\" y=\"{down}\" fill=\"{colour}\">{name}</text>");
    }
    text.push_str("</svg>\n");
    text
}

/// A line and a label per decade.
fn axes(
    text: &mut String,
    wasted: &Axis,
    cold: &Axis,
    x: &dyn Fn(f64) -> f64,
    y: &dyn Fn(f64) -> f64,
) -> std::fmt::Result {
    let (bottom, right) = (HEIGHT - MARGIN, WIDTH - MARGIN);
    let line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>")
    };
    for decade in wasted.low as i32..=wasted.high as i32 {
        let at = x(10_f64.powi(decade));
        writeln!(text, "{}", line(at, MARGIN, at, bottom))?;
        writeln!(text, "<text x=\"{:.1}\" y=\"{:.1}\">1e{decade}</text>", at - 8.0, bottom + 18.0)?;
    }
    for decade in cold.low as i32..=cold.high as i32 {
        let at = y(10_f64.powi(decade));
        writeln!(text, "{}", line(MARGIN, at, right, at))?;
        writeln!(text, "<text x=\"14\" y=\"{:.1}\">1e{decade}</text>", at + 4.0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use weft_models::contest::Comparison;
    use weft_models::replay::Figures;

    use super::*;

    #[test]
    fn every_curve_is_drawn_within_the_picture_and_points_without_cold_starts_lie_at_the_bottom() {
        let point = |policy: &str, cold_percent, wasted_gb_s| {
            let figures = Figures { cold_percent, wasted_gb_s, ..Figures::default() };
            Point { policy: policy.to_owned(), parameter: 1.0, figures }
        };
        let outcome = Contest {
            name: "a".to_owned(),
            curve: vec![point("fixed", 1.0, 100.0), point("hybrid", 0.1, 1_000.0), point("weft", 0.0, 50.0)],
            at_memory: Vec::new(),
            comparison: Comparison::default(),
            cold_over_gd_at_equal_memory_worst: 0.0,
            trees: (0, 0),
            lessons: (0, 0),
        };
        let text = svg(&outcome);
        assert_eq!((text.matches("<polyline").count(), text.matches("<circle").count()), (3, 3));
        assert!(
            text.contains(&format!("cy=\"{:.1}\" r=\"2.5\" fill=\"#1f6fb2\"", HEIGHT - MARGIN)),
            "{text}"
        );
    }
}
