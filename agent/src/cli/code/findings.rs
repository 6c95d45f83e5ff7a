//! Costs and what may be slow, in text. In: the costs of a program. Out: a table, a list for programs, or SARIF 2.1.0 as
//! editors and reviews read it, with the loops and calls that lead to each finding as its flow.

use anyhow::Context;
use serde_json::{Value, json};
use weft_models::cost::{Costs, Finding, Severity};

use super::super::{Output, table::Table};
use super::FindingsOutput;

/// Prints how time and memory grow.
pub(super) fn costs(costs: &Costs, output: Output) -> anyhow::Result<String> {
    if output == Output::Json {
        return Ok(format!("{}\n", serde_json::to_string_pretty(costs).context("JSON")?));
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let mut text = format!(
        "entry: {}, confidence {:.2}: {}\nmemory: {} to {} MiB: {}\n\n",
        costs.entry.time.notation(),
        costs.entry.confidence,
        costs.entry.why,
        mib(costs.memory.low),
        mib(costs.memory.high),
        costs.memory.reasons.join("; "),
    );
    let mut table = Table::new(&["function", "at", "time", "confidence", "why"]);
    for one in &costs.functions {
        let at = format!("{}:{}", one.file, one.lines.0);
        let time = one.time.notation().to_owned();
        table.row([one.name.clone(), at, time, format!("{:.2}", one.confidence), one.why.clone()]);
    }
    text += &table.text();
    if !costs.complete {
        text += "\nthe code is too large to be looked at to its end\n";
    }
    Ok(text)
}

/// Prints what may be slow.
pub(super) fn findings(costs: &Costs, output: FindingsOutput) -> anyhow::Result<String> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).context("JSON");
    Ok(match output {
        FindingsOutput::Json => format!("{}\n", pretty(&json!(costs.findings))?),
        FindingsOutput::Sarif => format!("{}\n", pretty(&sarif(&costs.findings))?),
        FindingsOutput::Table if costs.findings.is_empty() => "nothing found\n".to_owned(),
        FindingsOutput::Table => {
            let mut table = Table::new(&["at", "severity", "rule", "confidence", "what"]);
            for one in &costs.findings {
                let (at, sure) = (format!("{}:{}", one.file, one.line), format!("{:.2}", one.confidence));
                table.row([at, word(&one.severity), word(&one.rule), sure, one.message.clone()]);
            }
            table.text()
        }
    })
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The findings as a log of SARIF 2.1.0 (OASIS, 2020).
fn sarif(findings: &[Finding]) -> Value {
    let mut rules: Vec<String> = findings.iter().map(|one| word(&one.rule)).collect();
    rules.sort();
    rules.dedup();
    let results: Vec<Value> = findings.iter().map(|one| result(one, &rules)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "weft",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    })
}

fn result(one: &Finding, rules: &[String]) -> Value {
    let rule = word(&one.rule);
    let level = match one.severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High => "error",
    };
    let place = |file: &str, line: u32| {
        json!({ "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            // Lines begin at 1; what stands in no line is the file's.
            "region": { "startLine": line.max(1) },
        } })
    };
    let step = |file: &str, line: u32, text: &str| {
        let mut place = place(file, line);
        place["message"] = json!({ "text": text });
        json!({ "location": place })
    };
    let loops = one
        .loops
        .iter()
        .map(|one_loop| step(&one.file, one_loop.line, &format!("a loop of {} rounds", one_loop.rounds)));
    let calls = one.callees.iter().map(|call| step(&call.file, call.line, &format!("calls {}", call.name)));
    let steps: Vec<Value> = loops.chain(calls).collect();
    let mut result = json!({
        "ruleId": rule,
        "ruleIndex": rules.binary_search(&rule).unwrap_or_default(),
        "level": level,
        "message": { "text": one.message },
        "locations": [place(&one.file, one.line)],
        "rank": f64::from(one.confidence) * 100.0,
    });
    if !steps.is_empty() {
        result["codeFlows"] = json!([{ "threadFlows": [{ "locations": steps }] }]);
    }
    result
}

/// A path as SARIF has it: what is no plain letter is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use weft_models::graph::{Bounds, SourceFile};
    use weft_models::reading::Reading;

    use super::*;

    fn read(text: &str) -> Costs {
        Reading::of(&[SourceFile::new("my shop.py", text)], None, &Bounds::default()).costs
    }

    const SLOW: &str =
        "import requests\n\ndef prices(items):\n    for item in items:\n        requests.get(item)\n";

    #[test]
    fn a_finding_is_a_result_at_its_place_with_its_rule_and_the_loop_that_leads_there() {
        let log = sarif(&read(SLOW).findings);
        let run = &log["runs"][0];
        let result = &run["results"][0];
        assert_eq!(result["ruleId"], "http-in-loop", "{log}");
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "http-in-loop");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
            (&"my%20shop.py".into(), &5.into())
        );
        let flow = &result["codeFlows"][0]["threadFlows"][0]["locations"][0]["location"];
        assert_eq!(flow["physicalLocation"]["region"]["startLine"], 4);
    }

    #[test]
    fn a_program_without_findings_says_so() {
        let costs = read("def f():\n    return 1\n");
        assert_eq!(findings(&costs, FindingsOutput::Table).unwrap(), "nothing found\n");
        assert_eq!(sarif(&costs.findings)["runs"][0]["results"], json!([]));
    }

    #[test]
    fn costs_tell_the_growth_of_each_function_and_the_memory_of_all() {
        let text = self::costs(&read(SLOW), Output::Table).unwrap();
        let row = text.lines().find(|line| line.contains("prices")).unwrap();
        assert!(row.contains("O(n)") && text.contains("memory: "), "{text}");
    }
}
