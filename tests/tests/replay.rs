//! `weft replay` on small traces of every format: what it prints, draws and refuses. It needs no agent and no privileges.
use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_tests::command::{Folder, Said, weft};

/// Hours of the traces; enough for trees to learn timers.
const HOURS: u32 = 4;
const TIMERS: [(&str, u32); 3] = [("cart", 5), ("pay", 7), ("stock", 12)];

/// Minutes in which each timer goes off.
fn ticks() -> impl Iterator<Item = (&'static str, u32)> {
    let due = |minute: u32| TIMERS.into_iter().filter(move |(_, period)| minute.is_multiple_of(*period));
    (0..HOURS * 60).flat_map(move |minute| due(minute).map(move |(name, _)| (name, minute)))
}

fn azure2019(folder: &Folder, begin: &str) -> Result<String> {
    let minutes: Vec<String> = (0..HOURS * 60).map(|minute| minute.to_string()).collect();
    let mut table = format!("HashOwner,HashApp,HashFunction,Trigger,{}\n", minutes.join(","));
    for (name, period) in TIMERS {
        let counts: Vec<_> =
            (0..HOURS * 60).map(|minute| if minute % period == 0 { "1" } else { "0" }).collect();
        writeln!(table, "o,{name},f,timer,{}", counts.join(","))?;
    }
    folder
        .file(&format!("{begin}_durations.csv"), "HashOwner,HashApp,HashFunction,Average\no,cart,f,100\n")?;
    folder.file(&format!("{begin}_memory.csv"), "HashOwner,HashApp,AverageAllocatedMb\no,cart,64\n")?;
    folder.file(&format!("{begin}_invocations.csv"), table)
}

fn azure2021(folder: &Folder) -> Result<String> {
    let mut table = "app,func,end_timestamp,duration\n".to_owned();
    for (name, minute) in ticks() {
        writeln!(table, "{name},f,{},0.5", minute * 60 + 20)?;
    }
    folder.file("calls.csv", table)
}

fn access_log(folder: &Folder) -> Result<String> {
    let mut log = String::new();
    for (name, minute) in ticks() {
        let (hour, minute) = (minute / 60, minute % 60);
        writeln!(
            log,
            "10.0.0.1 - - [13/Sep/2009:{hour:02}:{minute:02}:20 +0000] \"GET /{name}/7 HTTP/1.1\" 200 5 \"-\" \"x\""
        )?;
    }
    folder.file("access.log", log)
}

fn spans(folder: &Folder) -> Result<String> {
    let mut table = "trace,span,parent,service,operation,start_us,duration_us\n".to_owned();
    for (at, (name, minute)) in ticks().enumerate() {
        let start_us = u64::from(minute) * 60_000_000;
        writeln!(table, "t{at},s,,front,GET,{start_us},90")?;
        writeln!(table, "t{at},c,s,{name},GET,{},30", start_us + 5)?;
    }
    folder.file("spans.csv", table)
}

fn recording(folder: &Folder) -> Result<String> {
    let mut lines = "{\"recording\":{\"version\":1}}\n".to_owned();
    for (name, _) in TIMERS {
        writeln!(
            lines,
            "{{\"segment\":{{\"name\":\"{name}\",\"memory_bytes\":67108864,\"start_ms\":60.5}}}}"
        )?;
    }
    for (name, minute) in ticks() {
        let at_us = 1_764_160_000_000_000 + u64::from(minute) * 60_000_000;
        writeln!(
            lines,
            "{{\"request\":{{\"at_us\":{at_us},\"segment\":\"{name}\",\"principal\":\"u-1\",\"method\":\"GET\",\"path\":\"0f\"}}}}"
        )?;
    }
    folder.file("weft.jsonl", lines)
}

fn alibaba(folder: &Folder) -> Result<String> {
    let (mut table, mut functions) = ("unix_s,metaKey,count\n".to_owned(), String::new());
    for (name, minute) in ticks() {
        writeln!(table, "{},{name},1", 1_687_124_117 + minute * 60)?;
    }
    for (name, _) in TIMERS {
        writeln!(functions, "{{\"key\":\"{name}\",\"memoryInMb\":64,\"initDurationInMs\":300}}")?;
    }
    folder.file("a_metas.jsonl", functions)?;
    folder.file("a_persecond.csv", table)
}

fn json(said: &Said) -> Result<Value> {
    ensure!(said.code == Some(0) && said.err.is_empty(), "{said}");
    serde_json::from_str(&said.out).with_context(|| said.to_string())
}

fn row<'a>(outcome: &'a Value, policy: &str) -> Result<&'a Value> {
    let rows = outcome["policies"].as_array().context("no policies")?;
    rows.iter().find(|row| row["policy"] == policy).with_context(|| format!("no {policy}: {outcome}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[test]
fn every_format_is_known_by_itself_and_replayed_under_every_policy() -> Result<()> {
    let folder = Folder::new("replay")?;
    azure2019(&folder, "b")?;
    let begin = folder.path().join("b").display().to_string();
    let traces = [
        ("azure2019", begin, 3),
        ("azure2021", azure2021(&folder)?, 3),
        ("http", access_log(&folder)?, 3),
        ("spans", spans(&folder)?, 4),
        ("weft", recording(&folder)?, 3),
        ("alibaba", alibaba(&folder)?, 3),
    ];
    for (format, path, apps) in traces {
        let outcome = json(&weft(&["replay", &path, "-o", "json", "--start-ms", "400"])?)?;
        assert_eq!((&outcome["format"], &outcome["apps"]), (&format.into(), &apps.into()), "{path}");
        assert_eq!(outcome["starts_known"], true, "{path}");
        for policy in ["none", "warm", "fixed", "hybrid", "dual", "oracle", "weft"] {
            row(&outcome, policy)?;
        }
        assert_eq!(number(&row(&outcome, "none")?["wasted_gb_s"]), 0.0, "{path}");
        assert!(number(&row(&outcome, "none")?["slowdown_p99_geomean"]) > 1.5, "{path}: {outcome}");
        assert_eq!(number(&row(&outcome, "oracle")?["cold_percent"]), 0.0, "{path}");
        // A call of a second or two within minutes of idleness: everything but the oracle wastes more.
        let warm = number(&row(&outcome, "warm")?["wasted_gb_s"]);
        assert!(number(&row(&outcome, "oracle")?["wasted_gb_s"]) < warm / 10.0, "{path}: {outcome}");
        assert!(number(&outcome["comparison"]["waste_over_hhp_at_equal_cold_median"]) < 1.0, "{outcome}");
    }
    Ok(())
}

#[test]
fn a_table_and_a_picture_show_what_the_json_holds() -> Result<()> {
    let folder = Folder::new("replay-shown")?;
    let path = azure2021(&folder)?;
    let picture = folder.path().join("curves.svg").display().to_string();
    let chosen = ["--policy", "fixed:3,10", "--policy", "none", "--policy", "oracle"];
    let said = weft(&[&["replay", &path, "--picture", &picture][..], &chosen].concat())?;
    assert!(said.code == Some(0) && said.err.is_empty(), "{said}");
    assert!(said.out.starts_with("calls.csv (azure2021): 103 calls of 3 applications"), "{said}");
    assert!(said.out.contains("say with --start-ms"), "{said}");
    let table: Vec<Vec<&str>> = said
        .out
        .lines()
        .skip_while(|line| !line.starts_with("POLICY"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let policies: Vec<_> = table[1..].iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(policies[..2], [("fixed", "3"), ("fixed", "10")], "{said}");
    let outcome = json(&weft(&[&["replay", &path, "-o", "json"][..], &chosen].concat())?)?;
    let cold = format!("{:.4}", number(&row(&outcome, "fixed")?["cold_percent"]));
    assert_eq!(table[1][3], cold, "{said}");
    assert_eq!(number(&row(&outcome, "fixed")?["cold_percent"]), 100.0, "{outcome}");
    let svg = std::fs::read_to_string(&picture)?;
    assert!(svg.starts_with("<svg xmlns") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (1, 4), "{svg}");
    Ok(())
}

#[test]
fn a_packed_file_gives_what_the_plain_one_gives() -> Result<()> {
    let folder = Folder::new("replay-packed")?;
    let path = azure2021(&folder)?;
    let plain = json(&weft(&["replay", &path, "-o", "json", "--policy", "fixed"])?)?;
    for (program, end) in [("gzip", "gz"), ("zstd", "zst")] {
        let packed = std::process::Command::new(program).args(["-q", "-k", &path]).status();
        ensure!(packed.context(program)?.success(), "{program}");
        let packed = json(&weft(&["replay", &format!("{path}.{end}"), "-o", "json", "--policy", "fixed"])?)?;
        assert_eq!(packed["policies"], plain["policies"], "{end}");
        // Half of it is no whole file.
        let bytes = std::fs::read(format!("{path}.{end}"))?;
        let cut = folder.file(&format!("cut.{end}"), &bytes[..bytes.len() / 2])?;
        let said = weft(&["replay", &cut])?;
        assert!(said.refuses(&["see whether the file is whole"]) && said.err.contains(&cut), "{said}");
    }
    Ok(())
}

#[test]
fn trees_that_were_kept_are_followed_again() -> Result<()> {
    let folder = Folder::new("replay-trees")?;
    let (path, trees) = (azure2021(&folder)?, folder.path().join("trees").display().to_string());
    let weft_alone = ["--policy", "weft:50", "-o", "json"];
    let grown = json(&weft(&[&["replay", &path, "--save-model", &trees][..], &weft_alone].concat())?)?;
    let again = json(&weft(&[&["replay", &path, "--model", &trees][..], &weft_alone].concat())?)?;
    assert_eq!(again["policies"], grown["policies"]);
    assert_eq!((&grown["trees"]["from"], &again["trees"]["from"]), (&"grown".into(), &trees.as_str().into()));
    let said = weft(&["replay", &path, "--model", &path])?;
    assert!(said.refuses(&["calls.csv", "do not begin like an artifact", "--save-model"]), "{said}");
    Ok(())
}

#[test]
fn a_node_of_little_memory_drops_or_evicts_and_never_holds_more() -> Result<()> {
    let folder = Folder::new("replay-node")?;
    let path = azure2021(&folder)?;
    let outcome = json(&weft(&["replay", &path, "-o", "json", "--node-memory", "200MiB"])?)?;
    for row in outcome["policies"].as_array().context("policies")? {
        assert!(number(&row["memory_gb_max"]) <= 200.0 / 1_024.0, "{row}");
    }
    assert!(number(&row(&outcome, "dual")?["evictions"]) > 0.0, "{outcome}");
    Ok(())
}

#[test]
fn a_trace_that_cannot_be_read_is_told_with_file_line_cause_and_remedy() -> Result<()> {
    let folder = Folder::new("replay-bad")?;
    let head = "app,func,end_timestamp,duration\na,f,10,1\n";
    let bad = [
        ("cut.csv", format!("{head}b,g,1"), &[":3: the row has 3 columns", "fetch the file again"][..]),
        ("negative.csv", format!("{head}b,g,-11,1\n"), &[":3: -11 in column `end_timestamp`", "correct"]),
        ("huge.csv", format!("{head}b,g,1e300,1\n"), &[":3: 1", "is not between 0 and", "correct"]),
        ("word.csv", format!("{head}b,g,soon,1\n"), &[":3: `soon` in column", "correct"]),
        ("columns.csv", "app,func,end,duration\na,f,1,1\n".to_owned(), &[":1: no known trace", "--format"]),
        ("empty.csv", String::new(), &[":1: the trace is empty", "name a file"]),
        ("head.csv", "app,func,end_timestamp,duration\n".to_owned(), &["holds no call", "name a file"]),
        ("binary.csv", "\u{1}\u{2}\u{3}".to_owned(), &[":1: no known trace", "--format"]),
        (
            "a.log",
            "h - - [13/Sep/2009:04:04:21 +0300] \"GET / HTTP/1.1\" 200 1\nnonsense\n".to_owned(),
            &[":2: not a line of the common or combined log format", "correct or remove"],
        ),
        (
            "lonely_invocations.csv",
            "HashOwner,HashApp,HashFunction,Trigger,1\no,a,f,http,1\n".to_owned(),
            &["lonely_durations.csv is missing beside it", "Put the table there"],
        ),
    ];
    for (name, text, words) in &bad {
        let path = folder.file(name, text)?;
        let said = weft(&["replay", &path])?;
        assert!(said.refuses(words) && said.err.contains(name), "{name}\n{said}");
        assert_eq!(said.err.lines().count(), 1, "{name}\n{said}");
    }
    // A file of another format than the one that is named.
    let log = folder.file("b.log", &bad[8].1)?;
    let said = weft(&["replay", &log, "--format", "azure2021"])?;
    assert!(said.refuses(&["b.log:1: no column `app`", "choose the format"]), "{said}");
    // More rows out of order than can be held back.
    let mut late = "app,func,end_timestamp,duration\n".to_owned();
    (0..70_000).for_each(|second| late += &format!("a,f,{},0\n", 100 + second));
    let late = folder.file("late.csv", late + "a,f,5,0\n")?;
    let said = weft(&["replay", &late, "--policy", "none"])?;
    assert!(said.refuses(&["late.csv:70002: the row is", "sort the file by time"]), "{said}");
    let said = weft(&["replay", &late, "--policy", "none", "--calls-max", "9"])?;
    assert!(said.refuses(&["late.csv:11: more than 9 calls", "raise the limit"]), "{said}");
    Ok(())
}

#[test]
fn a_trace_that_is_not_there_or_not_alone_is_told() -> Result<()> {
    let folder = Folder::new("replay-where")?;
    let nowhere = folder.path().join("nowhere").display().to_string();
    let said = weft(&["replay", &nowhere])?;
    assert!(said.refuses(&[&nowhere, "No such file", "Name a file, a folder"]), "{said}");
    let whole = folder.path().display().to_string();
    let said = weft(&["replay", &whole])?;
    assert!(said.refuses(&["holds no table of counts", "Name the file"]), "{said}");
    azure2019(&folder, "one")?;
    let alone = json(&weft(&["replay", &whole, "-o", "json", "--policy", "none"])?)?;
    assert_eq!(alone["calls"], 103);
    azure2019(&folder, "two")?;
    let said = weft(&["replay", &whole])?;
    assert!(said.refuses(&["one_invocations.csv, two_invocations.csv", "Name one of them"]), "{said}");
    let path = azure2021(&folder)?;
    let said = weft(&["replay", &path, "--policy", "none", "--picture", "/nowhere/a.svg"])?;
    assert!(said.refuses(&["/nowhere/a.svg", "Name a place that can be written"]), "{said}");
    Ok(())
}

#[test]
fn a_past_that_teaches_nothing_fails_whoever_asked_for_trees_alone() -> Result<()> {
    let folder = Folder::new("replay-short")?;
    let path = folder.file("short.csv", "app,func,end_timestamp,duration\na,f,10,1\na,f,20,1\n")?;
    let outcome = json(&weft(&["replay", &path, "-o", "json"])?)?;
    assert!(outcome["left_out"].as_str().is_some_and(|why| why.contains("take a longer one")), "{outcome}");
    assert!(row(&outcome, "weft").is_err() && row(&outcome, "fixed").is_ok());
    let said = weft(&["replay", &path, "--policy", "weft"])?;
    assert!(said.refuses(&["take a longer one", "--model"]), "{said}");
    Ok(())
}

#[test]
fn wrong_use_of_a_replay_exits_2() -> Result<()> {
    let wrong = [
        &["replay"][..],
        &["replay", "a", "--policy", "lru"],
        &["replay", "a", "--policy", "fixed:-1"],
        &["replay", "a", "--format", "csv"],
        &["replay", "a", "--scored-from", "1"],
        &["replay", "a", "--node-memory", "much"],
        &["replay", "a", "--model", "b", "--save-model", "c"],
        &["record", "--out"],
    ];
    for arguments in wrong {
        let said = weft(arguments)?;
        assert!(said.code == Some(2) && said.out.is_empty() && said.is_short(), "{arguments:?}\n{said}");
        assert!(said.err.contains("--help"), "{arguments:?}\n{said}");
    }
    Ok(())
}

#[test]
fn a_recording_without_an_agent_says_so_and_leaves_no_file() -> Result<()> {
    let folder = Folder::new("record-nobody")?;
    let out = folder.path().join("a.jsonl").display().to_string();
    let said = weft(&["record", "--socket", "/run/weft-nobody/weft.sock", "--out", &out])?;
    assert!(said.refuses(&["/run/weft-nobody/weft.sock", "no agent answers", "weft agent"]), "{said}");
    assert!(!std::path::Path::new(&out).exists());
    Ok(())
}
