//! Every metric of weft, each a documented function; stages never type a name. Out: the text that Prometheus
//! scrapes. Labels are bounded: segments of the configuration and words of closed lists, nothing from a request.

use std::time::Duration;

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use weft_models::{Scorecard, SegmentScore};

/// Bounds of the latency histograms, in seconds: from a redirect to a slow cold start.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Sums that are no whole numbers. The recorder's counters are whole, so it keeps these as gauges; they are shown as
/// the counters that they are.
const FRACTIONS: &str = "_seconds_total";

/// Name and help of every metric; the reference in `docs/metrics.md` is checked against it.
pub const ALL: &[(&str, &str)] = &[
    ("weft_requests_total", "Requests to a segment, by what they found: warm, hit, late, cold, failed, pass"),
    ("weft_foreign_requests_total", "Requests between containers that are no segment's"),
    ("weft_lessons_total", "Steps of forecasts that were acted upon, by how they ended: hit, late, waste"),
    ("weft_saved_seconds_total", "Latency saved by forecasts, by segment"),
    ("weft_wasted_mebibyte_seconds_total", "Memory-time of forecast instances that nobody used, by segment"),
    ("weft_idle_mebibyte_seconds_total", "Memory-time of all instances without work, by segment"),
    ("weft_forecasts_total", "Forecasts made"),
    ("weft_forecast_seconds", "Time to take in an event and to look for what follows it"),
    ("weft_models_total", "Models trained, by what became of them: accepted, refused, failed"),
    (
        "weft_model_rows",
        "Lessons of this node that the model in charge was trained on; 0 for the shipped one",
    ),
    (
        "weft_forecast_accuracy",
        "Forecasts of the recent past by measure: hit_at_1, hit_at_3, precision, recall, brier, calibration_error",
    ),
    ("weft_forecast_regret", "Hits that the best simple rule would have had beyond those of the models"),
    ("weft_forecast_changes_total", "How often forecasts were found to have become worse"),
    (
        "weft_segment_forecast_accuracy",
        "Forecasts of a segment by measure: hit_at_1, hit_at_3, precision, recall, brier",
    ),
    ("weft_segment_forecast_regret", "The same as the regret over all, for the calls of one segment"),
    ("weft_instances", "Instances that stand or are being made, by segment"),
    ("weft_reserved_bytes", "Memory reserved by all instances"),
    ("weft_budget_bytes", "Memory up to which instances are made ahead of demand"),
    ("weft_graphs", "Execution graphs that are planned, woven or serving"),
    ("weft_create_seconds", "Time from the decision to make an instance to the start of its program"),
    (
        "weft_create_phase_seconds",
        "The same by step: image, lease, network, snapshot, container, task, start; some run side by side",
    ),
    ("weft_held_seconds", "Time that the activator held a request, by segment"),
    ("weft_uploads_total", "Uploads by what became of them: served, refused"),
    ("weft_route_errors_total", "Routes that the kernel's table did not take"),
    ("weft_redirected_total", "Connections redirected as they were dialled"),
    ("weft_captured_segments_total", "TCP segments that the kernel handed to the agent"),
    ("weft_capture_drops_total", "TCP segments that found the ring full"),
    ("weft_capture_malformed_total", "Request heads that began like HTTP and were not"),
    ("weft_capture_gaps_total", "Request heads of which a piece was missing"),
    ("weft_dropped_total", "Messages that found a stage's queue full, by stage"),
    ("weft_agent_cpu_seconds_total", "Processor time of the agent itself"),
    ("weft_agent_resident_bytes", "Resident memory of the agent itself"),
];

/// Installs the recorder of this process.
///
/// # Errors
/// If one is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
    let handle = builder.install_recorder()?;
    for (name, help) in ALL {
        match () {
            () if name.ends_with(FRACTIONS) => describe_gauge!(*name, *help),
            () if name.ends_with("_total") => describe_counter!(*name, *help),
            () if name.ends_with("_seconds") => describe_histogram!(*name, *help),
            () => describe_gauge!(*name, *help),
        }
    }
    Ok(handle)
}

/// What is scraped.
pub fn render(handle: &PrometheusHandle) -> String {
    let mut text = handle.render();
    for (name, _) in ALL.iter().filter(|(name, _)| name.ends_with(FRACTIONS)) {
        text = text.replace(&format!("# TYPE {name} gauge\n"), &format!("# TYPE {name} counter\n"));
    }
    text
}

/// A request to a segment and what it found.
pub fn request(segment: &str, outcome: &'static str) {
    counter!("weft_requests_total", "segment" => segment.to_owned(), "outcome" => outcome).increment(1);
}

/// A request between containers that are no segment's.
pub fn foreign_request() {
    counter!("weft_foreign_requests_total").increment(1);
}

/// A judged step of a forecast, with what it saved.
pub fn lesson(segment: &str, verdict: &'static str) {
    counter!("weft_lessons_total", "segment" => segment.to_owned(), "verdict" => verdict).increment(1);
}

/// Sums of a segment as they stand; absolute, since the ledger keeps them.
pub fn totals(segment: &str, saved_ms: f64, wasted_mb_s: f64, idle_mb_s: f64) {
    let label = || segment.to_owned();
    gauge!("weft_saved_seconds_total", "segment" => label()).set(saved_ms / 1000.0);
    gauge!("weft_wasted_mebibyte_seconds_total", "segment" => label()).set(wasted_mb_s);
    gauge!("weft_idle_mebibyte_seconds_total", "segment" => label()).set(idle_mb_s);
}

/// An upload that came to its end.
pub fn deployed(outcome: &'static str) {
    counter!("weft_uploads_total", "outcome" => outcome).increment(1);
}

/// A forecast that expects something.
pub fn forecast() {
    counter!("weft_forecasts_total").increment(1);
}

/// An event that was taken in, and the time that took.
pub fn event(took: Duration) {
    histogram!("weft_forecast_seconds").record(took);
}

/// A model that was trained, and what became of it.
pub fn model(fate: &'static str) {
    counter!("weft_models_total", "fate" => fate).increment(1);
}

/// Lessons of the model in charge.
pub fn model_rows(rows: usize) {
    gauge!("weft_model_rows").set(rows as f64);
}

/// Scores of the recent past, and hits that were missed since the start.
pub fn accuracy(card: &Scorecard, regret: u64) {
    let measures = [
        ("hit_at_1", card.hit_at_1()),
        ("hit_at_3", card.hit_at_3()),
        ("precision", card.precision()),
        ("recall", card.recall()),
        ("brier", card.brier()),
        ("calibration_error", card.calibration_error()),
    ];
    for (measure, value) in measures {
        gauge!("weft_forecast_accuracy", "measure" => measure).set(value);
    }
    gauge!("weft_forecast_regret").set(regret as f64);
}

/// Scores of the forecasts of one segment.
pub fn accuracy_of(segment: &str, score: &SegmentScore) {
    let measures = [
        ("hit_at_1", score.hit_at_1()),
        ("hit_at_3", score.hit_at_3()),
        ("precision", score.precision()),
        ("recall", score.recall()),
        ("brier", score.brier()),
    ];
    let label = || segment.to_owned();
    for (measure, value) in measures {
        gauge!("weft_segment_forecast_accuracy", "segment" => label(), "measure" => measure).set(value);
    }
    gauge!("weft_segment_forecast_regret", "segment" => label()).set(score.regret as f64);
}

/// Forecasts that were found to have become worse.
pub fn changed() {
    counter!("weft_forecast_changes_total").increment(1);
}

/// Instances of a segment.
pub fn instances(segment: &str, count: usize) {
    gauge!("weft_instances", "segment" => segment.to_owned()).set(count as f64);
}

/// Reserved memory and its bound.
pub fn memory(reserved_bytes: u64, budget_bytes: u64) {
    gauge!("weft_reserved_bytes").set(reserved_bytes as f64);
    gauge!("weft_budget_bytes").set(budget_bytes as f64);
}

/// Graphs that are alive.
pub fn graphs(count: usize) {
    gauge!("weft_graphs").set(count as f64);
}

/// An instance whose program was started.
pub fn created(segment: &str, took: Duration) {
    histogram!("weft_create_seconds", "segment" => segment.to_owned()).record(took);
}

/// One step of making an instance.
pub fn phase(segment: &str, phase: &'static str, took: Duration) {
    histogram!("weft_create_phase_seconds", "segment" => segment.to_owned(), "phase" => phase).record(took);
}

/// A request that the activator held.
pub fn held(segment: &str, took: Duration) {
    histogram!("weft_held_seconds", "segment" => segment.to_owned()).record(took);
}

/// A route that the kernel did not take.
pub fn route_error() {
    counter!("weft_route_errors_total").increment(1);
}

/// What the kernel programs counted since they were attached.
pub fn kernel(redirected: u64, captured: u64, drops: u64) {
    counter!("weft_redirected_total").absolute(redirected);
    counter!("weft_captured_segments_total").absolute(captured);
    counter!("weft_capture_drops_total").absolute(drops);
}

/// Heads that could not be read.
pub fn capture_malformed(malformed: u64, gaps: u64) {
    counter!("weft_capture_malformed_total").increment(malformed);
    counter!("weft_capture_gaps_total").increment(gaps);
}

/// A message that found a stage's queue full.
pub fn dropped(stage: &'static str) {
    counter!("weft_dropped_total", "stage" => stage).increment(1);
}

/// What the agent itself costs.
pub fn agent(cpu_ms: u64, resident_bytes: u64) {
    gauge!("weft_agent_cpu_seconds_total").set(cpu_ms as f64 / 1000.0);
    gauge!("weft_agent_resident_bytes").set(resident_bytes as f64);
}
