//! The command line when it is used wrongly, without an agent, without privileges, or by a program.
use std::io::BufRead;

use anyhow::{Context, Result};
use weft_tests::agent::{Agent, Segment};
use weft_tests::command::{Folder, Privileges, weft, weft_without};

#[test]
fn wrong_use_exits_2_and_shows_the_usage() -> Result<()> {
    let wrong = [
        &["nonsense"][..],
        &["config", "check"],
        &["code", "graph"],
        &["status", "-o", "yaml"],
        &["probe", "--fast"],
        &[],
    ];
    for arguments in wrong {
        let said = weft(arguments)?;
        assert!(said.code == Some(2) && said.out.is_empty(), "{arguments:?}\n{said}");
        assert!(said.is_short() || arguments.is_empty(), "{arguments:?}\n{said}");
        assert!(said.err.contains("--help") || said.err.contains("Usage: weft"), "{arguments:?}\n{said}");
    }
    Ok(())
}

#[test]
fn a_call_without_an_agent_says_so_and_exits_1() -> Result<()> {
    for call in ["status", "graphs", "forecasts", "profile", "watch", "drain"] {
        let said = weft(&[call, "--socket", "/run/weft-nobody/weft.sock"])?;
        assert!(
            said.refuses(&["/run/weft-nobody/weft.sock", "no agent answers", "weft agent"]),
            "{call}\n{said}"
        );
        assert_eq!(said.err.lines().count(), 1, "{call}\n{said}");
    }
    Ok(())
}

#[test]
fn every_listing_is_a_table_for_people_or_json_for_programs() -> Result<()> {
    let agent = Agent::builder("listing").fixture("shop/cart:1")?;
    let agent = agent.segment(Segment::new("cart", "shop/cart:1")).start()?;
    agent.caller()?.get(agent.address("cart"), "/", "ann")?;
    for listing in [&["status"][..], &["graphs"], &["forecasts"], &["forecasts", "--explain"], &["profile"]] {
        let json = agent.weft(&[listing, &["-o", "json"]].concat())?;
        serde_json::from_str::<serde_json::Value>(&json).with_context(|| format!("{listing:?}: {json}"))?;
        let table = agent.weft(&[listing, &["-o", "table"]].concat())?;
        assert!(!table.trim().is_empty() && !table.starts_with('{'), "{listing:?}: {table}");
        assert_eq!(agent.weft(listing)?.is_empty(), table.is_empty());
    }
    let said = weft(&["profile", "kart", "--socket", &agent.place().socket().display().to_string()])?;
    assert!(said.refuses(&["no segment `kart`", "cart"]), "{said}");
    agent.stop()
}

#[test]
fn a_probe_lists_what_this_host_can_do_and_leaves_no_trace() -> Result<()> {
    let said = weft(&["probe"])?;
    assert!(said.code == Some(0) && said.err.is_empty(), "{said}");
    for feature in ["privileges", "kernel", "cgroup2", "capture", "syscall profiles", "containerd", "runc"] {
        assert!(said.out.contains(feature), "no {feature}\n{said}");
    }
    let features = weft(&["probe", "-o", "json"])?;
    let features: Vec<serde_json::Value> = serde_json::from_str(&features.out)?;
    assert!(features.iter().all(|feature| feature["state"] == "works"), "{features:?}");
    Ok(())
}

#[test]
fn the_graph_of_some_source_is_shown_without_an_agent() -> Result<()> {
    let folder = Folder::new("code")?;
    folder.file(
        "shop.py",
        "import requests\n\ndef page():\n    return fetch()\n\ndef fetch():\n    return requests.get('/')\n",
    )?;
    let root = folder.path().display().to_string();
    let table = weft(&["code", "graph", &root])?;
    let row = table.out.lines().find(|line| line.starts_with("shop.page")).map(str::to_owned);
    assert!(row.is_some_and(|row| row.contains("shop.py:3") && row.contains("shop.fetch")), "{table}");
    let json = weft(&["code", "graph", &root, "-o", "json"])?;
    let graph: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!(graph["files"], serde_json::json!(["shop.py"]));
    let dot = weft(&["code", "graph", &root, "-o", "dot"])?;
    assert!(dot.out.starts_with("digraph") && dot.out.contains("label=\"shop.fetch\""), "{dot}");
    for refused in [weft(&["code", "graph", "/nowhere/shop.py"])?, weft(&["code", "graph", "/proc/self/fd"])?]
    {
        assert!(refused.refuses(&["Name a file or folder"]), "{refused}");
    }
    Ok(())
}

#[test]
fn a_user_without_privileges_is_told_what_is_missing() -> Result<()> {
    let said = weft_without(Privileges::All, &["probe"])?;
    assert!(said.code == Some(0) && said.err.is_empty(), "{said}");
    let row = said.out.lines().find(|line| line.starts_with("privileges"));
    assert!(row.is_some_and(|row| row.contains("MISSING") && row.contains("as root")), "{said}");
    let folder = Folder::new("unprivileged")?;
    let config = folder.file("weft.toml", "[agent]\nmetrics = \"127.0.0.1:0\"\n")?;
    let said = weft_without(Privileges::All, &["agent", "--config", &config])?;
    assert!(said.refuses(&["lacks CAP_NET_ADMIN and CAP_SYS_ADMIN", "as root", "CAP_BPF"]), "{said}");
    assert_eq!(said.err.lines().count(), 1, "{said}");
    Ok(())
}

#[test]
fn a_kernel_that_refuses_a_program_is_told_in_one_line() -> Result<()> {
    let said = weft_without(Privileges::AllBut(&["bpf", "perfmon", "dac_override"]), &["probe"])?;
    assert!(said.code == Some(0) && said.err.is_empty(), "{said}");
    let row = said.out.lines().find(|line| line.starts_with("capture"));
    assert!(
        row.is_some_and(|row| row.contains("MISSING") && row.contains("Operation not permitted")),
        "{said}"
    );
    assert_eq!(said.out.lines().count(), 12, "{said}");
    Ok(())
}

#[test]
fn a_watch_ends_quietly_when_nobody_reads_it_any_more() -> Result<()> {
    let agent = Agent::builder("watch").fixture("shop/cart:1")?;
    let agent = agent.segment(Segment::new("cart", "shop/cart:1")).start()?;
    let mut watch = agent.weft_piped(&["watch"])?;
    agent.caller()?.get(agent.address("cart"), "/", "ann")?;
    let mut line = String::new();
    watch.out.read_line(&mut line)?;
    serde_json::from_str::<serde_json::Value>(&line).context(line)?;
    // As `head -1` does; nothing more happens that it could try to write.
    let said = watch.close()?;
    assert!(said.code == Some(0) && said.err.is_empty(), "{said}");
    agent.stop()
}
