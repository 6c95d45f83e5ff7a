//! One trace's figures. In: scores of weft's model and of its peers. Out: a row as JSON has it, lines of a table, and what
//! is claimed of all rows with its target. Pure.

use serde::Serialize;

use super::super::report::{Claim, Target};
use super::super::stats::Ratio;
use super::retrain::Retrain;
use super::score::Score;

/// One peer; nothing where it did not run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PeerRow {
    pub(super) name: &'static str,
    pub(super) hit1: Option<f64>,
    pub(super) hit3: Option<f64>,
    pub(super) cpu_us_per_forecast: Option<f64>,
    pub(super) train_s: Option<f64>,
}

/// One trace.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: &'static str,
    hit1: f64,
    hit3: f64,
    ece: f64,
    brier: f64,
    forecast_us_p50: Option<f64>,
    forecast_us_p99: Option<f64>,
    train_s: f64,
    hit1_minus_best_peer: Option<f64>,
    hit3_minus_best_peer: Option<f64>,
    lstm_cpu_over_ours: Option<f64>,
    peers: Vec<PeerRow>,
}

impl PeerRow {
    /// A peer that was scored here.
    pub(super) fn of(name: &'static str, score: &Score) -> Self {
        Self {
            name,
            hit1: Some(score.tally.hit(1)),
            hit3: Some(score.tally.hit(3)),
            cpu_us_per_forecast: score.tally.times().p50(),
            train_s: Some(score.train_s),
        }
    }

    /// One that did not run.
    pub(super) fn absent(name: &'static str) -> Self {
        Self { name, hit1: None, hit3: None, cpu_us_per_forecast: None, train_s: None }
    }
}

impl Row {
    /// Our score beside those of the peers.
    pub(super) fn new(name: &'static str, ours: &Score, peers: Vec<PeerRow>) -> Self {
        let tally = &ours.tally;
        let times = tally.times();
        let over = |hit: f64, of: fn(&PeerRow) -> Option<f64>| {
            peers.iter().filter_map(of).reduce(f64::max).map(|best| hit - best)
        };
        let lstm = peers.iter().find(|peer| peer.name == "LSTM").and_then(|peer| peer.cpu_us_per_forecast);
        Self {
            name,
            hit1: tally.hit(1),
            hit3: tally.hit(3),
            ece: tally.ece(),
            brier: tally.brier(),
            forecast_us_p50: times.p50(),
            forecast_us_p99: times.p99(),
            train_s: ours.train_s,
            hit1_minus_best_peer: over(tally.hit(1), |peer| peer.hit1),
            hit3_minus_best_peer: over(tally.hit(3), |peer| peer.hit3),
            lstm_cpu_over_ours: lstm.zip(times.p50()).map(|(lstm, ours)| lstm / ours),
            peers,
        }
    }

    /// Lines of a table: ours, then each peer.
    pub(super) fn table(&self) -> String {
        let Self { name, hit1, hit3, ece, brier, train_s, .. } = self;
        let (us, p99) = (figure(self.forecast_us_p50, 2), figure(self.forecast_us_p99, 1));
        let mut text = format!(
            "\n{name}\n{:<12} {:>7} {:>7} {:>8} {:>8} {:>11} {:>8} {:>10}\n",
            "MODEL", "HIT@1", "HIT@3", "ECE", "BRIER", "FORECAST US", "P99 US", "TRAINED S"
        );
        text += &format!(
            "{:<12} {hit1:>7.4} {hit3:>7.4} {ece:>8.4} {brier:>8.4} {us:>11} {p99:>8} {train_s:>10.2}\n",
            "weft"
        );
        for peer in &self.peers {
            let (hit1, hit3) = (figure(peer.hit1, 4), figure(peer.hit3, 4));
            let (us, train_s) = (figure(peer.cpu_us_per_forecast, 2), figure(peer.train_s, 2));
            let name = peer.name;
            text += &format!(
                "{name:<12} {hit1:>7} {hit3:>7} {:>8} {:>8} {us:>11} {:>8} {train_s:>10}\n",
                "", "", ""
            );
        }
        let signed = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:+.4}"));
        let (hit1, hit3) = (signed(self.hit1_minus_best_peer), signed(self.hit3_minus_best_peer));
        let lstm = figure(self.lstm_cpu_over_ours, 0);
        text + &format!(
            "over the best peer: hit@1 {hit1}, hit@3 {hit3}; an LSTM's forecast costs {lstm} times as much\n"
        )
    }
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// How many points of a hundred ours is to be better than the best peer, by trace; that of pages alone has no aim.
const AIMS: [(&str, [&str; 2], Option<f64>); 7] = [
    ("math", ["math_hit1_points_over_peer", "math_hit3_points_over_peer"], Some(4.0)),
    ("cran", ["cran_hit1_points_over_peer", "cran_hit3_points_over_peer"], Some(4.0)),
    ("nasa", ["nasa_hit1_points_over_peer", "nasa_hit3_points_over_peer"], Some(4.0)),
    ("nasa pages", ["pages_hit1_points_over_peer", "pages_hit3_points_over_peer"], None),
    ("train ticket", ["train_hit1_points_over_peer", "train_hit3_points_over_peer"], Some(1.0)),
    ("bpi", ["bpi_hit1_points_over_peer", "bpi_hit3_points_over_peer"], Some(1.0)),
    ("msnbc", ["msnbc_hit1_points_over_peer", "msnbc_hit3_points_over_peer"], Some(0.5)),
];

/// Each trace against its best peer; of the rest, the worst trace stands for all.
pub(super) fn claims(rows: &[Row], retrain: &Retrain) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut claim = |key, value: Option<f64>, target| {
        claims.extend(value.map(|value| Claim { key, ratio: Ratio { value, interval: None }, target }));
    };
    for row in rows {
        for (_, keys, least) in AIMS.iter().filter(|(name, ..)| *name == row.name) {
            let points = [row.hit1_minus_best_peer, row.hit3_minus_best_peer];
            for (key, points) in keys.iter().zip(points) {
                claim(*key, points.map(|points| points * 100.0), least.map(Target::AtLeast));
            }
        }
    }
    let most = |of: fn(&Row) -> Option<f64>| rows.iter().filter_map(of).reduce(f64::max);
    let least = |of: fn(&Row) -> Option<f64>| rows.iter().filter_map(of).reduce(f64::min);
    claim("ece_most", most(|row| Some(row.ece)), Some(Target::AtMost(0.03)));
    claim("forecast_us_p50_most", most(|row| row.forecast_us_p50), Some(Target::AtMost(5.0)));
    claim("forecast_us_p99_most", most(|row| row.forecast_us_p99), Some(Target::AtMost(50.0)));
    claim("lstm_cpu_over_ours_least", least(|row| row.lstm_cpu_over_ours), Some(Target::AtLeast(100.0)));
    claim("retrain_million_cpu_s", Some(retrain.cpu_s), Some(Target::AtMost(30.0)));
    claims
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    fn score() -> Score {
        let mut tally = Tally::default();
        (0..4).for_each(|nth| tally.count(&[(1, 0.75)], Some(u32::from(nth > 0))));
        tally.times_us = vec![1.0, 2.0, 9.0];
        Score { tally, train_s: 0.5 }
    }

    fn retrain() -> Retrain {
        Retrain { lessons: 1_000_000, cpu_s: 12.5, peak_rss_mib: 400.0 }
    }

    fn lstm() -> PeerRow {
        PeerRow {
            hit1: Some(0.7),
            hit3: Some(0.8),
            cpu_us_per_forecast: Some(300.0),
            ..PeerRow::absent("LSTM")
        }
    }

    #[test]
    fn a_row_is_compared_with_the_best_peer_of_each_measure() {
        let markov = PeerRow { hit1: Some(0.72), hit3: Some(0.5), ..PeerRow::absent("Markov 1") };
        let row = Row::new("math", &score(), vec![markov, lstm()]);
        let near = |value: Option<f64>, wanted: f64| (value.unwrap() - wanted).abs() < 1e-9;
        assert!(near(row.hit1_minus_best_peer, 0.03) && near(row.hit3_minus_best_peer, -0.05));
        assert_eq!((row.lstm_cpu_over_ours, row.forecast_us_p99), (Some(150.0), Some(9.0)));
    }

    #[test]
    fn the_json_has_these_fields_and_null_for_a_peer_that_did_not_run() {
        let row = Row::new("math", &score(), vec![PeerRow::absent("LSTM")]);
        let text = serde_json::to_string(&row).unwrap();
        let fields = r#"{"name":"math","hit1":0.75,"hit3":0.75,"ece":0.0,"brier":0.1875,"forecast_us_p50":2.0,"forecast_us_p99":9.0,"train_s":0.5,"hit1_minus_best_peer":null,"hit3_minus_best_peer":null,"lstm_cpu_over_ours":null,"peers":[{"name":"LSTM","hit1":null,"hit3":null,"cpu_us_per_forecast":null,"train_s":null}]}"#;
        assert_eq!(text, fields);
        assert!(row.table().contains("LSTM               -       -"), "{}", row.table());
    }

    #[test]
    fn each_trace_is_claimed_by_its_own_aim_and_the_worst_of_the_rest() {
        let rows = [Row::new("math", &score(), vec![lstm()]), Row::new("msnbc", &score(), vec![lstm()])];
        let claims = claims(&rows, &retrain());
        let find = |key: &str| claims.iter().find(|claim| claim.key == key).unwrap();
        assert_eq!(find("math_hit1_points_over_peer").target, Some(Target::AtLeast(4.0)));
        assert!((find("msnbc_hit1_points_over_peer").ratio.value - 5.0).abs() < 1e-9);
        assert_eq!(find("lstm_cpu_over_ours_least").ratio.value, 150.0);
        assert_eq!((claims.len(), find("forecast_us_p99_most").ratio.value), (9, 9.0));
        assert_eq!(find("retrain_million_cpu_s").ratio.value, 12.5);
    }

    #[test]
    fn what_did_not_run_claims_nothing() {
        let claims = claims(&[Row::new("math", &score(), vec![PeerRow::absent("LSTM")])], &retrain());
        let keys: Vec<_> = claims.iter().map(|claim| claim.key).collect();
        assert_eq!(
            keys,
            ["ece_most", "forecast_us_p50_most", "forecast_us_p99_most", "retrain_million_cpu_s"]
        );
    }
}
