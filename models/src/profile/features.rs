//! What the trees see. In: facts and earlier runs. Out: a row of numbers, the same for training and for forecasts.
//! A value that is not known is zero, and a flag beside it says so.

use super::facts::CodeFacts;
use super::history::Usage;
use super::libraries::{Kind, Runtime};

/// Number of features.
pub(super) const N: usize = NAMES.len();

/// Their names, in the order of a row, as a reason says them.
pub(super) const NAMES: [&str; 28] = [
    "source known",
    "written in JavaScript",
    "lines of code",
    "functions",
    "loops",
    "depth of loops",
    "calls",
    "MiB of libraries",
    "numeric libraries",
    "media libraries",
    "learning libraries",
    "clients of services",
    "unknown libraries",
    "effects on databases",
    "effects over HTTP and networks",
    "effects on files",
    "processes and threads",
    "effects in loops",
    "files read whole",
    "recursive functions",
    "growth with the input",
    "MiB held at least",
    "has run before",
    "share of time on a processor",
    "peak MiB of earlier runs",
    "MiB a second of files",
    "MiB a second of networks",
    "share of calls for files and networks",
];

/// The flag of code that has run before.
pub(super) const HAS_RUN: usize = 22;

/// A row.
pub(super) type Row = [f32; N];

/// The row of some code and what its earlier runs took.
pub(super) fn row(facts: &CodeFacts, usage: Option<&Usage>) -> Row {
    let mut row = [0.0; N];
    let mut next = 0;
    let mut put = |value: f32| {
        row[next] = if value.is_finite() { value } else { 0.0 };
        next += 1;
    };
    let runtime = facts.runtime.unwrap_or(Runtime::Python);
    put(f32::from(facts.runtime.is_some()));
    put(f32::from(runtime == Runtime::Node));
    put(facts.lines as f32);
    put(facts.functions as f32);
    put(facts.loops.iter().sum::<u32>() as f32);
    put(facts.loops.iter().rposition(|count| *count > 0).map_or(0.0, |depth| depth as f32 + 1.0));
    put(facts.calls as f32);
    put(facts.libraries.iter().map(|one| one.mib).sum());
    for kind in [Kind::Numeric, Kind::Media, Kind::Learning, Kind::Client] {
        put(facts.of_kind(kind) as f32);
    }
    put(facts.unknown_libraries as f32);
    put(facts.effects.database as f32);
    put((facts.effects.http + facts.effects.network) as f32);
    put(facts.effects.file as f32);
    put((facts.effects.process + facts.threads) as f32);
    put(facts.effects_in_loops.sum() as f32);
    put(facts.whole_reads as f32);
    put(facts.recursive as f32);
    put(facts.growth.map_or(0.0, |growth| growth as u8 as f32));
    put(facts.memory.map_or(0.0, |bounds| bounds.low_mib));
    put(f32::from(usage.is_some()));
    put(usage.map_or(0.0, |usage| usage.vcpu.target.min(1.0)));
    put(usage.map_or(0.0, |usage| usage.memory_mib.target));
    put(usage.map_or(0.0, |usage| usage.storage_mib_per_s.target));
    put(usage.map_or(0.0, |usage| usage.network_mib_per_s.target));
    put(usage.and_then(|usage| usage.outside_calls).unwrap_or(0.0));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_its_place_and_is_a_number() {
        let row = row(&CodeFacts { lines: 7, ..CodeFacts::default() }, None);
        assert_eq!((row[2], NAMES[2]), (7.0, "lines of code"));
        assert_eq!(NAMES[HAS_RUN], "has run before");
        assert!(row.iter().all(|value| value.is_finite()));
    }
}
