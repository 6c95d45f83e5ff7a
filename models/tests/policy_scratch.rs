//! scratch
mod common;
use weft_models::policy::{Foresight, Rule};
use weft_models::replay::*;
use weft_models::timing::*;
use weft_models::trace::*;

#[test]
fn scratch() {
    let Some(folder) = common::calls_folder() else { return };
    let which = std::env::var("TRACE").unwrap_or("azure".into());
    let counts = if which == "azure" { common::azure(&folder) } else { common::alibaba(&folder) };
    let uniform = Expansion::Uniform { seed: 1 };
    let (begin, end) = (counts.begin_us(), counts.end_us());
    let split = begin + (end - begin) / 2;
    let trees = std::env::var("TREES").ok().and_then(|t| t.parse().ok()).unwrap_or(12);
    let t = std::time::Instant::now();
    let mut tutor = Tutor::new(400_000, 10_000);
    for call in counts.expand(uniform).take_while(|c| c.at_us < split) {
        tutor.called(call.app, counts.apps()[call.app as usize].trigger, call.at_us);
    }
    tutor.finish(split);
    eprintln!("lessons {} {} in {:?}", tutor.minutes().len(), tutor.rests().len(), t.elapsed());
    let options = GrowOptions { trees, ..Default::default() };
    let t = std::time::Instant::now();
    let model = TimingModel::grow(&tutor, &options, 1).unwrap();
    eprintln!("grown {:?} in {:?}", model.size(), t.elapsed());
    let window = Window { from_us: split, until_us: end };
    let run = |name: String, policy: &mut dyn Policy| {
        let t = std::time::Instant::now();
        let score = replay(counts.apps(), counts.expand(uniform), policy, Node::default(), window).unwrap();
        let f = score.figures();
        eprintln!("{name:28} cold {:.4} p75 {:6.2} p90 {:6.2} waste {:9.0} churn {:6} colds {} sd {:.3} t {:?}", f.cold_percent, f.p75_cold_percent, f.p90_cold_percent, f.wasted_gb_s, f.churn, score.cold(), f.slowdown_p99_geomean, t.elapsed());
        f
    };
    let mut hhp = vec![];
    for r in [5, 10, 15, 20, 30, 60, 120, 240] {
        hhp.push(run(format!("hhp {r}"), &mut HybridHistogram::new(counts.apps().len(), r)));
    }
    for k in [1, 10, 60] {
        run(format!("fixed {k}"), &mut FixedKeepAlive { keep_us: k * MINUTE_US });
    }
    run("oracle".into(), &mut Clairvoyant::new(counts.apps(), counts.expand(uniform), 1_000_000, f64::INFINITY));
    if std::env::var("DIAG").is_ok() {
        let rule = Rule { price_gb_s: 320.0, memory_power: 0.0, rate_power: 0.0 };
        let mut p = Foresight::new(&model, counts.apps(), rule);
        let score = replay(counts.apps(), counts.expand(uniform), &mut p, Node::default(), window).unwrap();
        let mut h = HybridHistogram::new(counts.apps().len(), 15);
        let hs = replay(counts.apps(), counts.expand(uniform), &mut h, Node::default(), window).unwrap();
        let mut order: Vec<usize> = (0..counts.apps().len()).collect();
        order.sort_by_key(|a| std::cmp::Reverse(score.apps[*a].cold));
        let mut durs = vec![0u64; order.len()]; let mut mins = vec![std::collections::BTreeMap::<u64,u32>::new(); order.len()];
        for c in counts.expand(uniform).filter(|c| c.at_us >= split) { durs[c.app as usize] = c.duration_us; *mins[c.app as usize].entry(c.at_us / MINUTE_US).or_default() += 1; }
        for a in order.into_iter().take(24) {
            let s = &score.apps[a]; let app = &counts.apps()[a];
            let m: Vec<String> = (0..70).map(|k| mins[a].get(&(split / MINUTE_US + k)).copied().unwrap_or(0).to_string()).collect();
            eprintln!("{a} cold {} hhp {} calls {} active {} mb {} {:?} dur {} ms | {}", s.cold, hs.apps[a].cold, s.calls, mins[a].len(), app.memory_kib / 1024, app.trigger, durs[a] / 1000, m.join(" "));
        }
        return;
    }
    for (mp, rp) in [(0.0, 0.0), (0.5, 0.0)] {
        let mut curve = vec![];
        for price in [20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0] {
            let rule = Rule { price_gb_s: price, memory_power: mp, rate_power: rp };
            curve.push(run(format!("weft {mp} {rp} {price}"), &mut Foresight::new(&model, counts.apps(), rule)));
        }
        let mut w = vec![]; let mut c = vec![];
        for h in &hhp {
            w.push(curve.iter().filter(|f| f.cold_percent <= h.cold_percent && f.p75_cold_percent <= h.p75_cold_percent + 1.0 && f.p90_cold_percent <= h.p90_cold_percent + 1.0).map(|f| f.wasted_gb_s).fold(f64::INFINITY, f64::min) / h.wasted_gb_s);
            c.push(curve.iter().filter(|f| f.wasted_gb_s <= h.wasted_gb_s).map(|f| f.cold_percent).fold(f64::INFINITY, f64::min) / h.cold_percent);
        }
        eprintln!("== {mp} {rp} waste {w:.3?} cold {c:.3?}");
    }
}
