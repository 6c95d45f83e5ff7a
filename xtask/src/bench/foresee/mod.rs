//! Scores forecasts of what comes next on real traces: trains on the past, scores on the future, beside sequence
//! predictors of the literature. In: the folder of the traces. Out: one line, or one JSON object, per trace.
//!
//! `foresee DATA [--json] [--peers] [--cut SHARE] [--until SHARE] [TRACE …]`: `--cut 0.55 --until 0.7` splits the past
//! again, for tuning.

mod peers;
mod traces;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use peers::{Markov, Peer, Ppm};
use traces::Trace;
use weft_models::{History, Lesson, Limits, Model, Options, Principal, Ranked, SegmentId};

struct Arguments {
    data: PathBuf,
    json: bool,
    peers: bool,
    cut: f64,
    until: f64,
    traces: Vec<String>,
}

fn arguments() -> Result<Arguments> {
    let mut words = std::env::args().skip(1);
    let mut arguments = Arguments {
        data: PathBuf::from(words.next().context("which folder has the traces?")?),
        json: false,
        peers: false,
        cut: 0.7,
        until: 1.0,
        traces: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => arguments.json = true,
            "--peers" => arguments.peers = true,
            "--cut" => arguments.cut = words.next().context("--cut what?")?.parse()?,
            "--until" => arguments.until = words.next().context("--until what?")?.parse()?,
            _ => arguments.traces.push(word),
        }
    }
    if arguments.traces.is_empty() {
        arguments.traces = traces::ALL.iter().map(|name| (*name).to_owned()).collect();
    }
    Ok(arguments)
}

/// What is counted while forecasts are scored.
#[derive(Default)]
struct Tally {
    scored: usize,
    judged: usize,
    hits: [usize; 3],
    covered: usize,
    squares: f64,
    bins: [(usize, f64, usize); 10],
    times_us: Vec<f32>,
}

impl Tally {
    /// One forecast, and what came after it in the same session; `None` if nothing did.
    fn count(&mut self, ranked: &[(u32, f32)], came: Option<u32>) {
        if let Some((first, confidence)) = ranked.first() {
            let hit = usize::from(Some(*first) == came);
            self.judged += 1;
            self.squares += (f64::from(*confidence) - hit as f64).powi(2);
            let bin = &mut self.bins[((confidence * 10.0) as usize).min(9)];
            *bin = (bin.0 + 1, bin.1 + f64::from(*confidence), bin.2 + hit);
        }
        let Some(came) = came else { return };
        self.scored += 1;
        let place = ranked.iter().position(|(segment, _)| *segment == came);
        for (nth, hits) in self.hits.iter_mut().enumerate() {
            *hits += usize::from(place.is_some_and(|place| place <= nth));
        }
        self.covered += usize::from(place.is_some());
    }

    fn hit(&self, within: usize) -> f64 {
        self.hits[within - 1] as f64 / self.scored.max(1) as f64
    }

    fn ece(&self) -> f64 {
        let error = |(_, sum, hits): &(usize, f64, usize)| (sum - *hits as f64).abs();
        self.bins.iter().map(error).sum::<f64>() / self.judged.max(1) as f64
    }

    fn brier(&self) -> f64 {
        self.squares / self.judged.max(1) as f64
    }

    fn time_us(&mut self, share: f64) -> f32 {
        self.times_us.sort_unstable_by(f32::total_cmp);
        let at = (self.times_us.len() as f64 * share) as usize;
        self.times_us.get(at.min(self.times_us.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }
}

/// For each event, whether it goes on in the session of the event before it.
fn continues(trace: &Trace) -> Vec<bool> {
    let mut last: HashMap<Principal, u64> = HashMap::new();
    let goes_on = |event: &weft_models::Observation| {
        let before = last.insert(event.principal, event.at_ms);
        before.is_some_and(|before_ms| event.at_ms - before_ms <= trace.gap_ms)
    };
    trace.events.iter().map(goes_on).collect()
}

struct Ours {
    tally: Tally,
    rows: usize,
    train_s: f64,
}

fn ours(trace: &Trace, arguments: &Arguments, continues: &[bool]) -> Result<Ours> {
    let limits = Limits { session_gap_ms: trace.gap_ms, open: OPEN_MAX, ..Limits::default() };
    let mut history = History::new(limits);
    let cut = (trace.events.len() as f64 * arguments.cut) as usize;
    let until = (trace.events.len() as f64 * arguments.until) as usize;
    let mut lessons: Vec<Lesson> = Vec::new();
    for event in &trace.events[..cut] {
        lessons.extend(history.observe(event));
    }
    let began_s = cpu_s()?;
    let model = Model::train(&lessons, Options::default(), 7)?;
    let train_s = cpu_s()? - began_s;
    let mut forecasts: HashMap<Principal, (u64, Vec<Ranked>)> = HashMap::new();
    let mut tally = Tally::default();
    for (index, event) in trace.events.iter().enumerate().take(until).skip(cut) {
        if continues[index] {
            // Before the cut nothing was forecast yet.
            let ranked = forecasts
                .remove(&event.principal)
                .map(|(_, ranked)| ranked)
                .unwrap_or_else(|| model.rank(&history.candidates(event.principal, history.now_ms())));
            tally.count(&ranked_pairs(&ranked), Some(event.segment.0));
        } else if let Some((_, ranked)) = forecasts.remove(&event.principal) {
            // The session before ended there.
            tally.count(&ranked_pairs(&ranked), None);
        }
        history.observe(event);
        let began = Instant::now();
        let ranked = model.rank(&history.candidates(event.principal, event.at_ms));
        tally.times_us.push(began.elapsed().as_secs_f32() * 1e6);
        forecasts.insert(event.principal, (event.at_ms, ranked));
    }
    // Sessions that had ended by the end of the trace; of those still open nobody knows.
    for (at_ms, ranked) in forecasts.into_values() {
        if history.now_ms() - at_ms > trace.gap_ms {
            tally.count(&ranked_pairs(&ranked), None);
        }
    }
    Ok(Ours { tally, rows: lessons.len(), train_s })
}

/// A replay may wait for more outcomes than a node: cases that last for weeks are all open at once.
const OPEN_MAX: usize = 65_536;

/// What this process has spent on a core so far, in seconds: others may use the machine as well.
fn cpu_s() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    // The name, in brackets, may hold blanks.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}

fn ranked_pairs(ranked: &[Ranked]) -> Vec<(u32, f32)> {
    ranked.iter().map(|one| (one.segment.0, one.confidence)).collect()
}

const PEER_MEMORY: usize = 8;

fn peer(trace: &Trace, arguments: &Arguments, continues: &[bool], peer: &mut dyn Peer) -> Tally {
    let cut = (trace.events.len() as f64 * arguments.cut) as usize;
    let until = (trace.events.len() as f64 * arguments.until) as usize;
    let mut before: HashMap<Principal, Vec<u32>> = HashMap::new();
    let mut forecasts: HashMap<Principal, Vec<u32>> = HashMap::new();
    let mut tally = Tally::default();
    for (index, event) in trace.events.iter().enumerate().take(until) {
        let SegmentId(item) = event.segment;
        let trail = before.entry(event.principal).or_default();
        if continues[index] {
            if index >= cut {
                let ranked = forecasts.remove(&event.principal).unwrap_or_else(|| peer.rank(trail));
                let ranked: Vec<(u32, f32)> = ranked.into_iter().map(|item| (item, 0.0)).collect();
                tally.count(&ranked, Some(item));
            }
            peer.learn(trail, item);
        } else {
            trail.clear();
        }
        trail.push(item);
        if trail.len() > PEER_MEMORY {
            trail.remove(0);
        }
        if index >= cut {
            let began = Instant::now();
            let ranked = peer.rank(trail);
            tally.times_us.push(began.elapsed().as_secs_f32() * 1e6);
            forecasts.insert(event.principal, ranked);
        }
    }
    tally
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    for name in &arguments.traces {
        let trace = traces::read(name, &arguments.data)?;
        let continues = continues(&trace);
        let mut best = [0.0_f64; 2];
        let mut told = Vec::new();
        if arguments.peers {
            let peers: [(&str, Box<dyn Peer>); 5] = [
                ("Markov 1", Box::new(Markov::new(1))),
                ("Markov 2", Box::new(Markov::new(2))),
                ("Markov 3", Box::new(Markov::new(3))),
                ("PPM 3", Box::new(Ppm::new(3))),
                ("PPM 5", Box::new(Ppm::new(5))),
            ];
            for (peer_name, mut one) in peers {
                let mut tally = peer(&trace, &arguments, &continues, one.as_mut());
                let (hit1, hit3) = (tally.hit(1), tally.hit(3));
                best = [best[0].max(hit1), best[1].max(hit3)];
                let us = tally.time_us(0.5);
                told.push(serde_json::json!({ "name": peer_name, "hit1": hit1, "hit3": hit3, "cpu_us_per_forecast": us }));
                if !arguments.json {
                    println!("  {peer_name:10} {hit1:.4} {hit3:.4} {us:.1} us");
                }
            }
        }
        let Ours { mut tally, rows, train_s } = ours(&trace, &arguments, &continues)?;
        let (p50, p99) = (tally.time_us(0.5), tally.time_us(0.99));
        let line = serde_json::json!({
            "name": trace.name, "requests": trace.events.len(), "scored": tally.scored, "lessons": rows,
            "hit1": tally.hit(1), "hit3": tally.hit(3), "covered": tally.covered as f64 / tally.scored.max(1) as f64,
            "ece": tally.ece(), "brier": tally.brier(),
            "forecast_us_p50": p50, "forecast_us_p99": p99, "train_s": train_s,
            "hit1_minus_best_peer": tally.hit(1) - best[0], "hit3_minus_best_peer": tally.hit(3) - best[1],
            "peers": told,
        });
        if arguments.json {
            println!("{line}");
        } else {
            println!(
                "{:12} {:6} scored, {:7} lessons: hit@1 {:.4} ({:+.4}) hit@3 {:.4} ({:+.4}) covered {:.3} ece {:.4} brier {:.4}, {:.2} us p50 {:.1} us p99, trained in {:.1} s",
                trace.name,
                tally.scored,
                rows,
                tally.hit(1),
                tally.hit(1) - best[0],
                tally.hit(3),
                tally.hit(3) - best[1],
                tally.covered as f64 / tally.scored.max(1) as f64,
                tally.ece(),
                tally.brier(),
                p50,
                p99,
                train_s,
            );
        }
    }
    Ok(())
}
