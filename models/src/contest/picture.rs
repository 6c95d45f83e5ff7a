//! Curves as a picture. In: points of policies. Out: the text of an SVG: wasted memory to the right, cold starts upwards, both
//! in decades. What is 0 lies on the axis.

use std::fmt::Write;

use super::Point;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 480.0;
const MARGIN: f64 = 60.0;
/// Policies, with their colours. Those with one point are a point.
const CURVES: [(&str, &str); 7] = [
    ("none", "#7d5a3c"),
    ("fixed", "#888888"),
    ("hybrid", "#c0392b"),
    ("dual", "#8e44ad"),
    ("weft", "#1f6fb2"),
    ("warm", "#e08e0b"),
    ("oracle", "#2e8b57"),
];
/// Longest name that is written over a picture.
const NAME_LEN_MAX: usize = 60;

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let logs = values.filter(|value| *value > 0.0 && value.is_finite()).map(f64::log10);
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
        ((log - self.low) / (self.high - self.low).max(1.0)).min(1.0)
    }
}

/// Draws the curves; `name` stands over them.
pub fn svg(name: &str, points: &[Point]) -> String {
    let wasted = Axis::over(points.iter().map(|point| point.figures.wasted_gb_s));
    let cold = Axis::over(points.iter().map(|point| point.figures.cold_percent));
    let x = |value| MARGIN + wasted.place(value) * (WIDTH - 2.0 * MARGIN);
    let y = |value| HEIGHT - MARGIN - cold.place(value) * (HEIGHT - 2.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\">{}: cold starts in %, over wasted GB·s</text>\n",
        escaped(name)
    );
    // Writing to a string does not fail.
    let _ = axes(&mut text, &wasted, &cold, &x, &y);
    let shown = CURVES.iter().filter(|(name, _)| points.iter().any(|point| point.policy == *name));
    for (index, (name, colour)) in shown.enumerate() {
        let of = points.iter().filter(|point| point.policy == *name);
        let places: Vec<(f64, f64)> =
            of.map(|point| (x(point.figures.wasted_gb_s), y(point.figures.cold_percent))).collect();
        if places.len() > 1 {
            let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                text,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                line.join(" ")
            );
        }
        let radius = if places.len() > 1 { 2.5 } else { 5.0 };
        for (x, y) in places {
            let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>");
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

/// A name as text of XML. It comes from a file's name and may be anything.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()).take(NAME_LEN_MAX) {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Figures;

    fn point(policy: &str, cold_percent: f64, wasted_gb_s: f64) -> Point {
        let figures = Figures { cold_percent, wasted_gb_s, ..Figures::default() };
        Point { policy: policy.to_owned(), parameter: 1.0, figures }
    }

    #[test]
    fn every_curve_is_drawn_within_the_picture_and_points_without_cold_starts_lie_at_the_bottom() {
        let points = [
            point("fixed", 1.0, 100.0),
            point("fixed", 2.0, 10.0),
            point("hybrid", 0.1, 1_000.0),
            point("weft", 0.0, 50.0),
            point("none", 100.0, 0.0),
        ];
        let text = svg("a", &points);
        assert_eq!((text.matches("<polyline").count(), text.matches("<circle").count()), (1, 5));
        assert!(text.contains(&format!("cy=\"{:.1}\" r=\"5\" fill=\"#1f6fb2\"", HEIGHT - MARGIN)), "{text}");
        assert!(text.contains(&format!("cx=\"{MARGIN:.1}\" cy=\"{MARGIN:.1}\" r=\"5\"")), "{text}");
    }

    #[test]
    fn a_name_cannot_break_out_of_its_text() {
        let text = svg("</text><script>&\n", &[]);
        assert!(text.contains("&lt;/text&gt;&lt;script&gt;&amp;: cold"), "{text}");
    }
}
