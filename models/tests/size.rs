//! What a node's memory and model weigh. A file of its own, since it looks at the whole process.

use weft_models::*;

const MIB: f64 = 1024.0 * 1024.0;

/// Memory of this process that is in use, in MiB.
fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("tests run on Linux");
    let pages: f64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096.0 / MIB
}

fn user(number: u64) -> Principal {
    Principal::User(PrincipalId(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn request(principal: Principal, segment: u32, at_ms: u64) -> Observation {
    let path_pattern = u64::from(segment);
    let segment = SegmentId(segment);
    Observation { at_ms, principal, segment, method: 1, path_pattern, parameters: 0, syscalls: None }
}

/// A model of users each of whom walks a ring at a pace of its own.
fn model() -> Model {
    let mut history = History::new(Limits::default());
    let walk =
        |step: u64| request(user(step % 20), ((step / 20) * (step % 20 + 1) % 97) as u32, 1_000 + step * 50);
    let lessons: Vec<Lesson> = (0..20_000).flat_map(|step| history.observe(&walk(step))).collect();
    Model::train(&lessons, Options::default(), 1).expect("they are enough")
}

#[test]
fn ten_thousand_segments_and_a_hundred_thousand_principals_fit_into_64_mib() {
    let model = model();
    let before = resident_mib();
    let mut history = History::new(Limits::default());
    let mut dice = 3_u64;
    let mut throw = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    for step in 0..600_000_u64 {
        // Some segments are asked for more than others: the smaller of two throws.
        let segment = throw(10_000).min(throw(10_000)) as u32;
        let who = if step < 100_000 { step } else { throw(100_000) };
        let _ = history.observe(&request(user(who), segment, 1_000_000 + step * 10));
    }
    let bytes = model.to_bytes().unwrap();
    let used = resident_mib() - before;
    assert_eq!(history.principal_count(), 100_000);
    assert!(history.context_count() > 150_000, "{}", history.context_count());
    println!("{used:.1} MiB, and a model of {:.2} MiB", bytes.len() as f64 / MIB);
    assert!(used + bytes.len() as f64 / MIB < 64.0, "{used} MiB");
}
