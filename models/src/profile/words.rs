//! Why. In: facts, runs and the way through the trees. Out: a line per step, short enough to be read in a log.

use super::facts::CodeFacts;
use super::features::{NAMES, Row};
use super::history::Usage;
use super::sizing::Sizing;
use super::tree::{Node, Tree};

/// Libraries that are named.
const NAMED_MAX: usize = 4;

/// The facts, then the way through the trees for memory and for the kind.
pub(super) fn reason(facts: &CodeFacts, usage: Option<&Usage>, model: &Sizing, row: &Row) -> Vec<String> {
    let mut lines = vec![code(facts)];
    if let Some(usage) = usage {
        let (memory, cores) = (usage.memory_mib, usage.vcpu);
        lines.push(format!(
            "{} earlier runs: memory {:.0} to {:.0} MiB, {:.2} cores, {} died of memory",
            usage.runs, memory.low, memory.high, cores.target, usage.out_of_memory
        ));
    }
    lines.push(format!("profile: {}", way(&model.kind, row)));
    if usage.is_none() {
        lines.push(format!(
            "memory beyond {:.0} MiB of runtime and libraries: {}",
            facts.base_mib(),
            way(&model.memory, row)
        ));
    }
    lines
}

fn code(facts: &CodeFacts) -> String {
    let Some(runtime) = facts.runtime else { return "no source is known".to_owned() };
    let mut parts = vec![format!("{}, {} lines", runtime.name(), facts.lines)];
    let heavy = facts.libraries.iter().filter(|one| one.mib > 0.0).take(NAMED_MAX);
    let heavy: Vec<_> = heavy.map(|one| format!("{} ({:.0} MiB)", one.name, one.mib)).collect();
    if !heavy.is_empty() {
        parts.push(format!("libraries {}", heavy.join(", ")));
    }
    let depth = facts.loops.iter().rposition(|count| *count > 0).map_or(0, |depth| depth + 1);
    let effects = [
        ("database", facts.effects.database, facts.effects_in_loops.database),
        ("http", facts.effects.http, facts.effects_in_loops.http),
        ("network", facts.effects.network, facts.effects_in_loops.network),
        ("file", facts.effects.file, facts.effects_in_loops.file),
        ("process", facts.effects.process, facts.effects_in_loops.process),
    ];
    for (name, all, in_loops) in effects.into_iter().filter(|(_, all, _)| *all > 0) {
        let within = if in_loops > 0 { format!(", {in_loops} in loops") } else { String::new() };
        parts.push(format!("{name} effects {all}{within}"));
    }
    let counts = [
        ("loops deep", depth as u32),
        ("files read whole", facts.whole_reads),
        ("recursive functions", facts.recursive),
        ("threads", facts.threads),
        ("unknown libraries", facts.unknown_libraries),
    ];
    parts.extend(counts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")));
    parts.join("; ")
}

/// The way of a row through a tree.
fn way(tree: &Tree, row: &Row) -> String {
    let path = tree.path(row);
    let split = |node: &&Node| {
        let split = node.split?;
        let feature = usize::from(split.feature);
        let relation = if row[feature] <= split.threshold { "at most" } else { "above" };
        Some(format!("{} {:.1} {relation} {:.1}", NAMES[feature], row[feature], split.threshold))
    };
    let mut steps: Vec<_> = path.iter().filter_map(split).collect();
    if let Some(leaf) = path.last() {
        steps.push(format!("as {} known functions", leaf.functions));
    }
    steps.join(", ")
}
