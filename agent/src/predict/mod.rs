//! Predict: from a request to what follows it. In: events of capture. Out: forecasts for the weaver, lessons for the
//! trainer. Where it forecasts nothing it says why.
//!
//! Queue: [`EVENTS_MAX`] events; capture drops and counts what does not fit.

mod identities;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use weft_models::forecast::Branch;
use weft_models::timing::{Label, Timing};
use weft_models::{
    Explanation, Forecaster, History, Limits, Observation, Principal, PrincipalId, Reach, Silence, Trigger,
};

pub use identities::Identities;

use crate::capture::{Container, Containers, Event, pattern};
use crate::clock::Clock;
use crate::learn::store::{Item, Store};
use crate::learn::succession::Current;
use crate::learn::trainer;
use crate::segments::Segments;
use crate::weave::{Asker, Forecast, Input, Step, driver};
use crate::{learn, metrics};

/// Events that wait for this stage.
pub const EVENTS_MAX: usize = 8192;
/// How often the history is stored.
const STORE_EVERY: Duration = Duration::from_secs(30);
/// How often a segment's syscall shares are read again.
const SHARES_EVERY: Duration = Duration::from_secs(1);

/// Segments whose rhythm is remembered for their labels, about 1 KiB each.
const RHYTHMS_MAX: usize = 4096;

/// Trees whose way is told of each candidate.
const TREES_TOLD_MAX: usize = 3;

/// What other stages say to this one.
#[derive(Debug)]
pub enum Message {
    /// A request came.
    Seen(Box<Event>),
    /// Somebody asks for the state of the forecasts.
    Look(oneshot::Sender<View>),
    /// Store everything; the answer comes when it is on disk.
    Store(oneshot::Sender<()>),
}

/// The state of the forecasts.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Lessons of this node that the model in charge was trained on.
    pub own_rows: usize,
    /// Contexts that are known.
    pub contexts: usize,
    /// Principals whose habits are known.
    pub principals: usize,
    /// Why the last request led to no forecast, if it led to none.
    pub silence: Option<&'static str>,
    /// The ways through the trees of what was forecast last.
    pub explanation: Vec<String>,
    /// What the calls of each segment are like, where there were any.
    pub labels: Vec<Option<Label>>,
}

/// The stage.
pub struct Predict {
    history: History,
    timing: Timing,
    segments: Arc<Segments>,
    identities: Identities,
    model: watch::Receiver<Current>,
    containers: Arc<Containers>,
    store: Arc<Store>,
    weave: mpsc::Sender<driver::Message>,
    learn: mpsc::Sender<learn::Message>,
    lessons: mpsc::Sender<trainer::Message>,
    clock: Clock,
    shares: Vec<Option<(Instant, Option<weft_models::SyscallShares>)>>,
    next: u64,
    silence: Option<Silence>,
    explanation: Vec<String>,
}

/// Where forecasts and lessons go.
pub struct Outlets {
    /// The weaver.
    pub weave: mpsc::Sender<driver::Message>,
    /// Learning.
    pub learn: mpsc::Sender<learn::Message>,
    /// The trainer.
    pub lessons: mpsc::Sender<trainer::Message>,
}

impl Predict {
    /// A stage with the stored history, or an empty one where there is none that can be read.
    pub fn new(
        segments: Arc<Segments>,
        model: watch::Receiver<Current>,
        containers: Arc<Containers>,
        store: Arc<Store>,
        outlets: Outlets,
        clock: Clock,
    ) -> Self {
        let stored = store.read(Item::History).map_err(|error| error.to_string());
        let read = |bytes: Vec<u8>| History::from_bytes(&bytes).map_err(|error| error.to_string());
        let history = match stored.and_then(|bytes| bytes.map(read).transpose()) {
            Ok(history) => history.unwrap_or_else(|| History::new(Limits::default())),
            Err(error) => {
                tracing::warn!(error, "the stored history cannot be read; the node learns anew");
                History::new(Limits::default())
            }
        };
        let Outlets { weave, learn, lessons } = outlets;
        let identities = Identities::new([]);
        let shares = Vec::new();
        Self {
            history,
            timing: Timing::new(RHYTHMS_MAX),
            segments,
            identities,
            model,
            containers,
            store,
            weave,
            learn,
            lessons,
            clock,
            shares,
            next: 1,
            silence: None,
            explanation: Vec::new(),
        }
    }

    /// Runs until every sender is gone.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut tick = tokio::time::interval(STORE_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.reset();
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Seen(event)) => self.seen(&event),
                    Some(Message::Look(reply)) => drop(reply.send(self.view())),
                    Some(Message::Store(done)) => {
                        self.store().await;
                        // Whoever waited may have given up.
                        let _ = done.send(());
                    }
                    None => return self.store().await,
                },
                _ = tick.tick() => self.store().await,
            }
        }
    }

    fn seen(&mut self, event: &Event) {
        let Some(segment) = event.segment() else { return };
        self.meet();
        let began = Instant::now();
        let at_ms = event.at_ms as u64;
        self.timing.called(segment as u32, at_ms * 1_000);
        let id = self.identities.id(segment);
        let principal = match event.caller {
            Some(Container::Instance { segment, .. }) => Principal::Segment(self.identities.id(segment)),
            _ => Principal::User(PrincipalId(event.principal)),
        };
        let syscalls = self.shares(segment);
        let mut lessons = self.history.observe(&Observation {
            at_ms,
            principal,
            segment: id,
            method: method(&event.head.method),
            path_pattern: hash(&pattern(&event.head.path)),
            parameters: hash(&event.head.parameters.join("&")),
            syscalls,
        });
        lessons.extend(self.history.begin(id, at_ms));
        if !lessons.is_empty() && self.lessons.try_send(trainer::Message::Lessons(lessons)).is_err() {
            metrics::dropped("trainer");
        }
        self.forecast(Trigger { principal: Some(principal), segment: id, at_ms }, segment);
        metrics::event(began.elapsed());
    }

    /// Knows the segments that were deployed since the last request.
    fn meet(&mut self) {
        let all = self.segments.all();
        all.iter().skip(self.identities.len()).for_each(|new| self.identities.add(&new.segment.name));
        self.shares.resize(all.len(), None);
    }

    fn forecast(&mut self, trigger: Trigger, segment: usize) {
        let model = self.model.borrow().clone();
        let forecaster =
            Forecaster { history: &self.history, model: Some(&model.model), reach: Reach::default() };
        let forecast = forecaster.forecast(trigger);
        self.silence = forecast.silence;
        let asker = |principal| match principal {
            Principal::User(PrincipalId(hash)) => Some(Asker::Principal(hash)),
            Principal::Segment(id) => self.identities.segment(id).map(Asker::Segment),
        };
        let step = |step: &weft_models::Step| {
            Some(Step {
                // A segment that the configuration no longer has is history.
                segment: self.identities.segment(step.segment)?,
                confidence: f64::from(step.confidence),
                expected_ms: step.expected_ms.max(0.0) as u64,
                position: step.position as u32,
                asker: asker(step.principal)?,
            })
        };
        let path: Vec<Step> = forecast.path.iter().filter_map(step).collect();
        if path.is_empty() {
            return;
        }
        if let Some(principal) = trigger.principal {
            let candidates = self.history.candidates(principal, trigger.at_ms);
            self.explanation = model
                .model
                .explain(&candidates)
                .iter()
                .map(|explanation| self.in_words(explanation))
                .collect();
        }
        let forecast = Forecast { id: self.next, trigger: segment, at_ms: trigger.at_ms, path };
        self.next += 1;
        metrics::forecast();
        if self.learn.try_send(learn::Message::Forecast(forecast.clone(), self.clock.exact_ms())).is_err() {
            metrics::dropped("learn");
        }
        // A weaver that is behind has requests to serve; forecasts are the first to yield.
        if self.weave.try_send(driver::Message::Input(Input::Forecast(forecast))).is_err() {
            metrics::dropped("weave");
        }
    }

    fn shares(&mut self, segment: usize) -> Option<weft_models::SyscallShares> {
        match self.shares[segment] {
            Some((at, shares)) if at.elapsed() < SHARES_EVERY => shares,
            _ => {
                let shares = self.containers.shares(segment);
                self.shares[segment] = Some((Instant::now(), shares));
                shares
            }
        }
    }

    /// The ways of one candidate through the trees that weigh most.
    fn in_words(&self, explanation: &Explanation) -> String {
        let name =
            self.identities.segment(explanation.segment).map_or("?", |segment| self.identities.name(segment));
        let pushes: f32 = explanation.trees.iter().map(|tree| tree.push).sum();
        let mut words = format!(
            "{name} {:.2}: {} trees move the log odds from {:.2} by {pushes:+.2}",
            explanation.confidence,
            explanation.trees.len(),
            explanation.base
        );
        for tree in explanation.strongest(TREES_TOLD_MAX) {
            words += &format!("; {:+.2}", tree.push);
            for split in &tree.splits {
                let sign = if split.branch == Branch::AtMost { "<=" } else { ">" };
                words += &format!(": {} {:.3} {sign} {:.3}", split.feature, split.value, split.threshold);
            }
            words += &format!(": leaf with {} of {} that came", tree.leaf_positives, tree.leaf_rows);
        }
        words
    }

    fn view(&self) -> View {
        View {
            own_rows: self.model.borrow().own_rows(),
            contexts: self.history.context_count(),
            principals: self.history.principal_count(),
            silence: self.silence.map(|silence| match silence {
                Silence::NoModel => "this node has not learned enough for a model yet",
                Silence::NoHistory => "nothing is known of what follows the last request",
                Silence::BelowFloor => "what may follow the last request is too unsure",
            }),
            explanation: self.explanation.clone(),
            labels: (0..self.identities.len() as u32)
                .map(|segment| self.timing.get(segment).map(Label::of))
                .collect(),
        }
    }

    async fn store(&self) {
        let bytes = match self.history.to_bytes() {
            Ok(bytes) => bytes,
            Err(error) => return tracing::warn!(%error, "the history cannot be written down"),
        };
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.write(Item::History, &bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the history is not stored"),
            Err(error) => tracing::error!(%error, "storing the history ended without a word"),
        }
    }
}

fn method(name: &str) -> u8 {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    known.iter().position(|method| *method == name).map_or(u8::MAX, |index| index as u8)
}

/// A hash that is the same on every start; it tells patterns apart and hides nothing.
fn hash(text: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
