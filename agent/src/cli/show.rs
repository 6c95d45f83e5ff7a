//! Answers as tables for people.

use anyhow::Context;

use super::table::Table;
use super::{Output, say};
use crate::control::v1;
use crate::kernel::{self, Feature, FeatureState};
use crate::runtime::qemu::probe::Offer;

pub(super) fn status(reply: &v1::StatusReply) -> String {
    let word = |yes: bool, one: &'static str, other: &'static str| if yes { one } else { other };
    let model = match reply.model_rows {
        0 => "shipped with weft".to_owned(),
        rows => format!("trained on {rows} lessons"),
    };
    let mut text = format!(
        "weft {}, up {}, {}, containerd {}\nmodel {model}, {} contexts, {} principals\n",
        reply.version,
        seconds(reply.uptime_ms),
        word(reply.weaving, "weaving", "watching only"),
        word(reply.containerd, "answers", "DOES NOT ANSWER"),
        reply.contexts,
        reply.principals,
    );
    text += &format!(
        "memory {} of {} MiB reserved, {} networks stand ahead; {} connections redirected, {} segments captured, {} dropped\n\n",
        reply.reserved_bytes >> 20,
        reply.budget_bytes >> 20,
        reply.spare_networks.len(),
        reply.redirected,
        reply.captured_segments,
        reply.capture_drops
    );
    text += &segments(reply);
    if !reply.instances.is_empty() {
        text.push('\n');
        text += &instances(reply);
    }
    for segment in reply.segments.iter().filter(|segment| !segment.trouble.is_empty()) {
        text += &format!("\n{}: {}; next try in {} ms\n", segment.name, segment.trouble, segment.retry_in_ms);
    }
    text
}

fn segments(reply: &v1::StatusReply) -> String {
    let head = [
        "segment", "address", "called", ">up", ">waiting", ">warm", ">hit", ">late", ">cold", ">failed",
        ">pass",
    ];
    let mut table =
        Table::new(&[&head[..], &[">start ms", ">saved ms", ">wasted MB·s", ">idle MB·s"]].concat());
    for s in &reply.segments {
        let counts = [s.instances, s.waiting, s.warm, s.hit, s.late, s.cold, s.failed, s.pass];
        let sums = [s.cold_start_ms, s.saved_ms, s.wasted_mb_s, s.idle_mb_s];
        let called = s.rhythm.as_ref().map(|rhythm| rhythm.words.clone()).unwrap_or_default();
        let words = [s.name.clone(), s.address.clone(), called].into_iter();
        table.row(
            words.chain(counts.map(|count| count.to_string())).chain(sums.map(|sum| format!("{sum:.0}"))),
        );
    }
    table.text()
}

fn instances(reply: &v1::StatusReply) -> String {
    let mut table =
        Table::new(&["instance", "state", "made by", "address", ">age", ">uses", ">connections", ">MiB"]);
    for i in &reply.instances {
        table.row([
            i.name.clone(),
            i.state.clone(),
            i.origin.clone(),
            i.address.clone(),
            seconds(i.age_ms),
            i.uses.to_string(),
            i.open_connections.to_string(),
            (i.memory_bytes >> 20).to_string(),
        ]);
    }
    table.text()
}

pub(super) fn graphs(reply: &v1::GraphsReply) -> String {
    if reply.graphs.is_empty() {
        return "no execution graph is alive\n".into();
    }
    let mut table =
        Table::new(&["graph", "state", ">age", "segment", "instance", ">confidence", ">held", "used"]);
    for graph in &reply.graphs {
        for (index, node) in graph.nodes.iter().enumerate() {
            let first = |text: String| if index == 0 { text } else { String::new() };
            table.row([
                first(graph.id.clone()),
                first(graph.state.clone()),
                first(seconds(graph.age_ms)),
                node.segment.clone(),
                if node.instance.is_empty() { "planned".into() } else { node.instance.clone() },
                format!("{:.2}", node.confidence),
                seconds(node.held_ms),
                if node.used { "yes" } else { "" }.into(),
            ]);
        }
    }
    table.text()
}

pub(super) fn forecasts(reply: &v1::ForecastsReply) -> String {
    let mut text = String::new();
    if !reply.forecasts.is_empty() {
        let head = [">forecast", "after", "segment", ">position", ">confidence", ">bar", ">in ms", "worth"];
        let mut table = Table::new(&head);
        for forecast in &reply.forecasts {
            for (index, step) in forecast.path.iter().enumerate() {
                let first = |text: String| if index == 0 { text } else { String::new() };
                table.row([
                    first(forecast.id.to_string()),
                    first(forecast.trigger.clone()),
                    step.segment.clone(),
                    step.position.to_string(),
                    format!("{:.2}", step.confidence),
                    step.bar.filter(|bar| *bar <= 1.0).map(|bar| format!("{bar:.2}")).unwrap_or_default(),
                    step.expected_ms.to_string(),
                    worth(step),
                ]);
            }
        }
        text += &table.text();
    }
    if !reply.silence.is_empty() {
        text += &format!("the last request led to no forecast: {}\n", reply.silence);
    } else if reply.forecasts.is_empty() {
        text += "no forecast: no request has been seen yet\n";
    }
    for line in &reply.explanation {
        text += &format!("\n{}\n", line.replace(": ", "\n    "));
    }
    let latest = reply.forecasts.last().filter(|_| !reply.explanation.is_empty());
    for step in latest.iter().flat_map(|forecast| &forecast.path).filter(|step| step.bar.is_some()) {
        text += &format!(
            "\n{}\n    made in vain it costs {:.0} MB·s of memory and CPU, in time it gains {:.0}\n    {}\n",
            step.segment,
            step.waste_mb_s,
            step.gain_mb_s,
            worth(step),
        );
    }
    text
}

/// What a step of a forecast was worth, in words.
fn worth(step: &v1::StepStatus) -> String {
    match (step.outcome.as_str(), step.bar) {
        ("waste", _) => format!("waste, {:.1} MB·s", step.wasted_mb_s),
        ("", None) => String::new(),
        ("", Some(bar)) if step.confidence >= bar => "acted upon".into(),
        ("", Some(bar)) if bar <= 1.0 => "below the bar".into(),
        ("", Some(_)) => "nothing is made of it".into(),
        (outcome, _) => format!("{outcome}, saved {:.0} ms", step.saved_ms),
    }
}

pub(super) fn accuracy(reply: &v1::AccuracyReply) -> String {
    let recent = reply.recent.unwrap_or_default();
    if recent.forecasts == 0 {
        return "no forecast has been judged yet: a model makes forecasts, and what comes after them judges them\n".into();
    }
    let head = [">forecasts", ">hit@1", ">hit@3", ">precision", ">recall", ">squared error", ">regret"];
    let mut table = Table::new(&[&["segment"], &head[..]].concat());
    table.row(score("all, recently", &recent));
    for v1::SegmentScore { segment, score: of_segment } in &reply.segments {
        table.row(score(segment, &of_segment.unwrap_or_default()));
    }
    let mut text = table.text();
    let mut curve = Table::new(&[">said, %", ">came, %", ">candidates"]);
    for point in &reply.reliability {
        curve.row([
            format!("{:.1}", point.confidence * 100.0),
            format!("{:.1}", point.came * 100.0),
            point.candidates.to_string(),
        ]);
    }
    text += &format!("\n{}", curve.text());
    text += &format!(
        "calibration error {:.3}; found worse {} times\n",
        recent.calibration_error.unwrap_or_default(),
        reply.changes
    );
    text
}

fn score(name: &str, score: &v1::Score) -> [String; 8] {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let [hit1, hit3, precision, recall] =
        [score.hit_at_1, score.hit_at_3, score.precision, score.recall].map(percent);
    let brier = format!("{:.4}", score.brier);
    let forecasts = score.forecasts.to_string();
    [name.to_owned(), forecasts, hit1, hit3, precision, recall, brier, score.regret.to_string()]
}

pub(super) fn profile(reply: &v1::ProfileReply, whole: bool) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut table = Table::new(&["segment", ">calls", ">i/o", ">cpu", ">network", "most frequent"]);
    for s in &reply.segments {
        let most: Vec<_> = s.syscalls.iter().take(5).map(|call| call.name.as_str()).collect();
        let shares = [percent(s.io), percent(s.cpu), percent(s.network)];
        let [io, cpu, network] = shares;
        table.row([s.segment.clone(), s.calls.to_string(), io, cpu, network, most.join(", ")]);
    }
    let mut text = table.text();
    if whole {
        text += &reply.segments.iter().map(needs).collect::<String>();
        let mut calls = Table::new(&["syscall", ">count"]);
        for call in reply.segments.iter().flat_map(|segment| &segment.syscalls) {
            calls.row([call.name.clone(), call.count.to_string()]);
        }
        text += &format!("\n{}", calls.text());
    }
    text
}

/// What a segment's code will need, and what it is given.
fn needs(segment: &v1::SegmentProfile) -> String {
    let limits = format!(
        "limits {} MiB, {} cores for each instance\n",
        segment.memory_limit_bytes >> 20,
        segment.cpu_limit
    );
    let Some(need) = &segment.need else { return format!("\n{limits}") };
    let mut table = Table::new(&["need", ">ordinarily", ">to plan with", ">at most"]);
    let rows = [
        ("cores", &need.vcpu),
        ("memory, MiB", &need.memory_mib),
        ("storage, MiB/s", &need.storage_mib_per_s),
        ("network, Mbit/s", &need.network_mbit_per_s),
    ];
    for (name, interval) in rows {
        let v1::Interval { low, target, high } = interval.unwrap_or_default();
        table.row(
            [name.to_owned()].into_iter().chain([low, target, high].map(|number| format!("{number:.2}"))),
        );
    }
    let basis = match need.runs {
        0 => "its source".to_owned(),
        1 => "its source and 1 run".to_owned(),
        runs => format!("its source and {runs} runs"),
    };
    let why: String = need.reason.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "\nprofile {} by {basis} (confidence {:.2}), storage: {}\n{why}{}{limits}",
        need.profile,
        need.confidence,
        need.storage,
        table.text()
    )
}

pub(super) fn probe(output: Output) -> anyhow::Result<()> {
    let mut features = kernel::probe();
    features.extend(crate::runtime::qemu::probe::offers().into_iter().map(of_vms));
    let word = |state| match state {
        FeatureState::Supported => "works",
        FeatureState::Missing => "MISSING",
    };
    if output == Output::Json {
        let rows: Vec<_> = features
            .iter()
            .map(|f| serde_json::json!({ "feature": f.name, "state": word(f.state), "detail": f.detail, "remedy": f.remedy }))
            .collect();
        return say(&format!("{}\n", serde_json::to_string_pretty(&rows).context("JSON")?));
    }
    let mut table = Table::new(&["feature", "state", "detail", "remedy"]);
    for feature in &features {
        let words = [word(feature.state).to_owned(), feature.detail.clone(), feature.remedy.clone()];
        table.row([feature.name.to_owned()].into_iter().chain(words));
    }
    say(&table.text())
}

/// What VMs need, as a feature like any other.
fn of_vms(offer: Offer) -> Feature {
    let (state, detail, remedy) = match offer.found {
        Ok(detail) => (FeatureState::Supported, detail, ""),
        Err(detail) => (FeatureState::Missing, detail, offer.remedy),
    };
    Feature { name: offer.name, state, detail, remedy: remedy.to_owned() }
}

/// One line of what happens: the kind, then each field that says something.
pub(super) fn line(json: &str) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(json) else { return json.to_owned() };
    let word = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let kind = fields.get("kind").map(word).unwrap_or_default();
    let told =
        fields.iter().filter(|(name, value)| !matches!(name.as_str(), "kind" | "at_ms") && !value.is_null());
    let words: Vec<_> = told.map(|(name, value)| format!("{name}={}", word(value))).collect();
    format!("{kind:<9} {}", words.join(" "))
}

fn seconds(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", ms as f64 / 1000.0),
        10_000..600_000 => format!("{} s", ms / 1000),
        _ => format!("{} min", ms / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_shown_with_what_its_calls_are_like_once_it_was_called() {
        let rhythm = |words: &str| v1::Rhythm { words: words.to_owned(), ..v1::Rhythm::default() };
        let one = |name: &str, rhythm| v1::SegmentStatus {
            name: name.to_owned(),
            rhythm,
            ..v1::SegmentStatus::default()
        };
        let reply = v1::StatusReply {
            segments: vec![one("cart", Some(rhythm("timer 5 min"))), one("pay", None)],
            ..v1::StatusReply::default()
        };
        let text = status(&reply);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(['c', 'p'])).collect();
        assert!(rows[0].contains("timer 5 min") && !rows[1].contains("timer"), "{text}");
    }
}
