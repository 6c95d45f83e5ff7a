//! What code will need, by its source and by its runs.
use weft_models::SyscallShares;
use weft_models::cost::Complexity;
use weft_models::graph::{Bounds, SourceFile, analyse};
use weft_models::profile::{
    CodeFacts, Ended, Example, HOLD_MS, LibraryKind, MemoryBounds, MemoryLimit, ProfileKind, Run, Runtime,
    Sizing, SizingError, StorageType, after_out_of_memory, follow, forecast, rungs,
};

const MIB: u64 = 1 << 20;

fn facts(path: &str, text: &str) -> CodeFacts {
    CodeFacts::of(&analyse(&[SourceFile::new(path, text)], &Bounds::default()))
}

fn run(memory_mib: u64, cores: f32) -> Run {
    Run {
        cpu_us: (cores * 100_000.0) as u64,
        wall_us: 100_000,
        memory_peak_bytes: memory_mib * MIB,
        ..Run::default()
    }
}

/// Functions with loops that work, and functions with effects that wait: enough to tell one from the other.
fn taught() -> Vec<Example> {
    let mut examples = Vec::new();
    for n in 0..8_u64 {
        let loops = "    for a in event:\n        for b in event:\n            x = a * b\n";
        let busy = format!("def handler(event):\n{loops}    return {n}\n");
        let waits = format!(
            "import urllib.request\ndef handler(event):\n    return urllib.request.urlopen(event)\nn = {n}\n"
        );
        let waiting = Run { network_bytes: 2 * MIB, ..run(26 + n % 3, 0.1) };
        examples.push(Example {
            function: format!("busy{n}"),
            facts: facts("busy.py", &busy),
            runs: vec![run(60 + n, 1.0)],
        });
        examples.push(Example {
            function: format!("waits{n}"),
            facts: facts("waits.py", &waits),
            runs: vec![waiting],
        });
    }
    examples
}

#[test]
fn facts_are_read_from_the_source() {
    let text = "
import json
import numpy as np
import unheard_of
from concurrent.futures import ThreadPoolExecutor
import urllib.request

def fetch(url):
    return urllib.request.urlopen(url).read()

def deep(n):
    return n if n < 2 else deep(n - 1)

def handler(event):
    with open('names') as file:
        names = file.read()
    for row in event:
        for cell in row:
            fetch(cell)
    squares = [np.dot(x, x) for x in event]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(deep, squares))
";
    let facts = facts("app.py", text);
    assert_eq!((facts.runtime, facts.functions, facts.recursive), (Some(Runtime::Python), 3, 1));
    assert_eq!(facts.loops, [2, 1, 0, 0]);
    assert_eq!((facts.effects.http, facts.effects.file), (2, 2), "opening and reading");
    assert_eq!(
        (facts.effects_in_loops.http, facts.effects_in_loops.file),
        (2, 0),
        "fetch is called in a loop"
    );
    assert_eq!((facts.whole_reads, facts.threads, facts.unknown_libraries), (2, 1, 1));
    assert_eq!(facts.libraries.first().map(|one| one.name.as_str()), Some("numpy"));
    assert_eq!(facts.of_kind(LibraryKind::Numeric), 1);
}

#[test]
fn what_a_library_brings_along_is_not_weighed_twice() {
    let alone = facts("a.py", "import pandas\n");
    let both = facts("a.py", "import pandas\nimport numpy\n");
    assert_eq!(alone.base_mib(), both.base_mib());
    assert!(facts("a.py", "import tensorflow\n").base_mib() > alone.base_mib() + 500.0);
}

#[test]
fn javascript_is_read_by_the_same_facts() {
    let text = "
const fs = require('node:fs');
const sharp = require('sharp');
exports.handler = async (event) => {
  for (const url of event.urls) await fetch(url);
  return fs.readFileSync('names');
};
";
    let facts = facts("index.js", text);
    assert_eq!(facts.runtime, Some(Runtime::Node));
    assert_eq!((facts.effects_in_loops.http, facts.whole_reads), (1, 1));
    assert_eq!(facts.of_kind(LibraryKind::Media), 1);
}

#[test]
fn a_profile_is_named_before_the_first_run_and_says_why() {
    let model = Sizing::train(&taught()).unwrap();
    let busy = forecast(
        &facts(
            "x.py",
            "def handler(e):\n    for a in e:\n        for b in e:\n            y = a * b\n    return y\n",
        ),
        &[],
        &model,
    );
    assert_eq!((busy.name.as_str(), busy.kind), ("cpu-intensive", Some(ProfileKind::CpuIntensive)));
    assert!((64.0..=128.0).contains(&busy.memory_mib.high), "{:?}", busy.memory_mib);
    assert_eq!((busy.cpu_limit_milli(), busy.storage), (1000, StorageType::None));
    let text = "import urllib.request\ndef handler(e):\n    return urllib.request.urlopen(e)\n";
    let waits = forecast(&facts("y.py", text), &[], &model);
    assert_eq!(waits.kind, Some(ProfileKind::NetworkBound), "{:?}", waits.reason);
    assert!(waits.vcpu.high < 0.6 && waits.network_mbit_per_s.target > 100.0);
    let reason = waits.reason.join("\n");
    assert!(reason.contains("Python") && reason.contains("http effects 1"), "{reason}");
    assert!(
        reason.contains("has run before 0.0 at most 0.5") && reason.contains("known functions"),
        "{reason}"
    );
}

#[test]
fn libraries_are_part_of_the_need_and_too_large_a_need_makes_a_new_profile() {
    let model = Sizing::train(&taught()).unwrap();
    let light = forecast(&facts("x.py", "def handler(e):\n    return e\n"), &[], &model);
    let heavy = forecast(&facts("x.py", "import tensorflow\ndef handler(e):\n    return e\n"), &[], &model);
    assert!(heavy.memory_mib.high >= 664.0 && light.memory_mib.high <= 192.0, "{heavy:?}");
    assert_ne!(heavy.kind, Some(ProfileKind::CpuIntensive));
    let cores = heavy.cpu_limit_milli();
    let cores = if cores.is_multiple_of(1000) { format!("{}c", cores / 1000) } else { format!("{cores}mc") };
    assert_eq!(heavy.name, format!("custom-{cores}-{}m", heavy.memory_limit_mib()));
}

#[test]
fn with_runs_the_limit_follows_them_closely_and_confidence_grows() {
    let model = Sizing::train(&taught()).unwrap();
    let facts = facts("x.py", "def handler(e):\n    return e\n");
    let cold = forecast(&facts, &[], &model);
    let runs: Vec<Run> = (0..20).map(|n| run(300 + n % 5, 0.2)).collect();
    let warm = forecast(&facts, &runs, &model);
    assert!((304.0..=370.0).contains(&warm.memory_mib.high), "{:?}", warm.memory_mib);
    assert_eq!((warm.kind, warm.runs), (Some(ProfileKind::MemoryHeavy), 20));
    assert!(warm.confidence > 0.9 && warm.confidence > cold.confidence);
    let few = forecast(&facts, &runs[..1], &model);
    assert!(few.memory_mib.high > warm.memory_mib.high - 8.0, "fewer runs, more margin: {few:?}");
}

#[test]
fn runs_that_lie_apart_get_more_room_than_runs_that_agree() {
    let model = Sizing::train(&taught()).unwrap();
    let high = |runs: &[Run]| forecast(&CodeFacts::default(), runs, &model).memory_mib.high;
    let agree: Vec<Run> = (0..5).map(|_| run(400, 0.5)).collect();
    let apart: Vec<Run> = [100, 100, 100, 200, 400].map(|mib| run(mib, 0.5)).to_vec();
    assert!(high(&apart) > high(&agree));
}

#[test]
fn a_run_that_died_of_memory_counts_for_more_than_it_used() {
    let model = Sizing::train(&taught()).unwrap();
    let high = |ended: Ended| {
        forecast(&CodeFacts::default(), &[Run { ended, ..run(256, 0.5) }], &model).memory_mib.high
    };
    assert!(high(Ended::OutOfMemory) >= high(Ended::Done) * 1.15);
}

#[test]
fn a_limit_rises_at_once_after_a_death_and_falls_only_after_a_day() {
    let start = MemoryLimit { mib: 256, raised_at_ms: None };
    let raised = after_out_of_memory(start, 256, 1_000);
    assert_eq!(raised, MemoryLimit { mib: 384, raised_at_ms: Some(1_000) });
    assert_eq!(after_out_of_memory(raised, 500, 2_000).mib, 768, "what it had used counts as well");
    assert_eq!(follow(raised, 128, 1_000 + HOLD_MS - 1).mib, 384);
    assert_eq!(follow(raised, 512, 1_001).mib, 512, "higher at once");
    assert_eq!(follow(raised, 128, 1_000 + HOLD_MS).mib, 128);
    let last = MemoryLimit { mib: rungs::MEMORY_MIB[rungs::MEMORY_MIB.len() - 1], raised_at_ms: None };
    assert_eq!(after_out_of_memory(last, last.mib, 5).mib, last.mib);
}

#[test]
fn the_analysis_of_cost_bounds_memory_from_both_sides() {
    let model = Sizing::train(&taught()).unwrap();
    let facts = facts(
        "x.py",
        "def handler(e):\n    for a in e:\n        for b in e:\n            y = a * b\n    return y\n",
    );
    let with = |low_mib, high_mib| {
        let memory = Some(MemoryBounds { low_mib, high_mib });
        forecast(&CodeFacts { memory, growth: Some(Complexity::Quadratic), ..facts.clone() }, &[], &model)
            .memory_mib
    };
    let open = forecast(&facts, &[], &model).memory_mib;
    assert!(with(300.0, None).high >= 318.0 && with(300.0, None).low >= 300.0);
    assert!(with(0.0, Some(1.0)).high < open.high, "{open:?}");
}

#[test]
fn training_is_the_same_each_time_and_bytes_come_back_as_they_were() {
    let model = Sizing::train(&taught()).unwrap();
    let bytes = model.to_bytes().unwrap();
    for _ in 0..5 {
        assert_eq!(Sizing::train(&taught()).unwrap().to_bytes().unwrap(), bytes);
    }
    assert_eq!(Sizing::from_bytes(&bytes).unwrap(), model);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x40;
        assert!(Sizing::from_bytes(&bad).is_err(), "byte {at}");
        assert!(Sizing::from_bytes(&bytes[..at]).is_err());
    }
}

#[test]
fn too_few_functions_and_examples_without_runs_are_refused_by_name() {
    let few = Sizing::train(&taught()[..4]).unwrap_err();
    assert!(matches!(few, SizingError::TooFew { functions: 4 }), "{few}");
    let mut examples = taught();
    examples[3].runs = vec![Run::default()];
    let empty = Sizing::train(&examples).unwrap_err().to_string();
    assert!(empty.starts_with(&examples[3].function), "{empty}");
}

#[test]
fn impossible_runs_and_unknown_source_still_give_limits_within_the_steps() {
    let model = Sizing::shipped();
    let shares = Some(SyscallShares { io: f32::NAN, cpu: -1.0, network: 9.0 });
    let wild = Run {
        cpu_us: u64::MAX,
        wall_us: 1,
        memory_peak_bytes: u64::MAX,
        storage_bytes: u64::MAX,
        network_bytes: u64::MAX,
        syscalls: shares,
        ended: Ended::OutOfMemory,
    };
    for runs in [&[][..], &[Run::default()], &[wild, wild], &[Run { wall_us: 0, ..wild }]] {
        let one = forecast(&CodeFacts::default(), runs, &model);
        assert!((32..=16_384).contains(&one.memory_limit_mib()), "{one:?}");
        assert!((50..=16_000).contains(&one.cpu_limit_milli()));
        assert!((0.0..=1.0).contains(&one.confidence) && !one.name.is_empty());
        assert!(one.vcpu.low <= one.vcpu.target && one.vcpu.target <= one.vcpu.high);
        assert!(one.memory_mib.low <= one.memory_mib.target && one.memory_mib.target <= one.memory_mib.high);
    }
}

#[test]
fn the_model_that_comes_with_weft_tells_heavy_code_from_light() {
    let model = Sizing::shipped();
    let light = forecast(&facts("a.py", "def handler(e):\n    return {'status': 200}\n"), &[], &model);
    let text =
        "import tensorflow as tf\ndef handler(e):\n    return tf.keras.models.load_model('m').predict(e)\n";
    let heavy = forecast(&facts("b.py", text), &[], &model);
    assert!(light.memory_mib.high <= 256.0, "{light:?}");
    assert!(heavy.memory_mib.high >= 700.0, "{heavy:?}");
    assert!(model.card().functions >= 12);
}

#[test]
fn many_modules_that_import_each_other_are_read_in_bounded_time() {
    let modules: Vec<_> = (0..1_500)
        .map(|n| {
            let imports: String = (0..20).map(|k| format!("import m{}\n", (n + k) % 1_500)).collect();
            SourceFile::new(format!("m{n}.py"), imports)
        })
        .collect();
    let facts = CodeFacts::of(&analyse(&modules, &Bounds::default()));
    assert_eq!((facts.unknown_libraries, facts.libraries.len()), (0, 0), "they are the upload's own");
}

#[test]
fn source_that_nests_without_end_gives_facts_and_no_overflow() {
    let deep = format!("def f(x):\n    return {}x{}\n", "f(".repeat(50_000), ")".repeat(50_000));
    let loops: String = (0..90).map(|n| format!("{}for a in b:\n", " ".repeat(n))).collect();
    let files =
        [SourceFile::new("a.py", deep), SourceFile::new("b.py", format!("{loops}{}c()\n", " ".repeat(90)))];
    let facts = CodeFacts::of(&analyse(&files, &Bounds::default()));
    assert!(facts.loops[3] > 10, "{:?}", facts.loops);
}
