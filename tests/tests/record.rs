//! What a running agent sees, recorded, and replayed without it.
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use weft_tests::agent::{Agent, Segment};
use weft_tests::command::{Folder, weft};
use weft_tests::wait::{wait_for, wait_for_some};

const SOON: Duration = Duration::from_secs(90);

/// The process that writes to `out`.
fn recorder(out: &str) -> Option<Pid> {
    let running = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let pids = running.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let records = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|byte| *byte == 0).collect();
        words.contains(&b"record".as_slice()) && words.contains(&out.as_bytes())
    };
    pids.filter(|pid| *pid != 0).find(records).and_then(Pid::from_raw)
}

fn lines(out: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(out).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn requests(out: &str) -> usize {
    lines(out).iter().filter(|line| line.get("request").is_some()).count()
}

#[test]
fn what_an_agent_sees_is_recorded_until_it_is_stopped_and_can_be_replayed() -> Result<()> {
    let agent = Agent::builder("record").fixture("shop/cart:1")?;
    let mut agent = agent.segment(Segment::new("cart", "shop/cart:1")).start()?;
    let folder = Folder::new("record")?;
    for (name, ends_with_the_agent) in [("stopped.jsonl", false), ("gone.jsonl", true)] {
        let out = folder.path().join(name).display().to_string();
        let recording = agent.weft_piped(&["record", "--out", &out])?;
        wait_for("the recording to begin", SOON, || !lines(&out).is_empty())?;
        let caller = agent.caller()?;
        for path in ["/items/7?token=secret-value", "/items/8", "/secret-path"] {
            caller.get(agent.address("cart"), path, "ann")?;
        }
        wait_for("the requests to be recorded", SOON, || requests(&out) >= 3)?;
        drop(caller);
        if ends_with_the_agent {
            agent.terminate()?;
        } else {
            let pid = wait_for_some("the recorder", SOON, || recorder(&out))?;
            kill_process(pid, Signal::INT).context("interrupt the recorder")?;
        }
        let said = recording.close()?;
        assert!(said.code == Some(0) && said.err.contains("requests recorded, 0 lines dropped"), "{said}");
        assert_eq!(std::fs::metadata(&out)?.permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&out)?;
        assert!(text.ends_with("}}\n"), "{text}");
        for told in ["ann", "secret", "items", "token"] {
            assert!(!text.contains(told), "{told}: {text}");
        }
        let all = lines(&out);
        assert_eq!(all[0]["recording"]["version"], 1, "{text}");
        assert_eq!(all[1]["segment"]["name"], "cart", "{text}");
        assert!(all[1]["segment"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{text}");
        assert!(all.last().is_some_and(|line| line["end"]["requests"] == 3), "{text}");
        let seen: Vec<_> = all.iter().filter_map(|line| line.get("request")).collect();
        assert_eq!(seen[0]["path"], seen[1]["path"], "numbers in a path are any number: {text}");
        assert_ne!(seen[0]["path"], seen[2]["path"], "{text}");
        assert!(seen.iter().all(|one| one["principal"] == seen[0]["principal"]), "{text}");
        let replayed = weft(&["replay", &out, "-o", "json", "--policy", "none"])?;
        let outcome: Value = serde_json::from_str(&replayed.out).context(replayed.to_string())?;
        assert_eq!((&outcome["format"], &outcome["calls"]), (&"weft".into(), &3.into()), "{replayed}");
    }
    agent.stop()
}
