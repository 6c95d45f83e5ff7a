//! Learn: what every forecast was worth. In: requests from capture, arrivals from the activator, notes from the
//! weaver, forecasts from the predictor. Out: outcomes in metrics and journal, lessons, and models for the predictor.
//!
//! Queue: [`MESSAGES_MAX`] messages; what does not fit is dropped and counted, since no request waits for it.

pub mod journal;
mod ledger;
pub mod store;
pub mod succession;
pub mod trainer;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use tokio::sync::{mpsc, oneshot};
use weft_models::policy::Weighed;

use journal::{Journal, Line, StepLine, What};
pub use ledger::{Ledger, Lesson, Outcome, Totals, Verdict, Way};

use crate::capture::{Container, Event, Target};
use crate::clock::Clock;
use crate::metrics;
use crate::segments::Segments;
use crate::weave::{Admission, Forecast, Input, Note, driver};

/// Messages that wait for this stage.
pub const MESSAGES_MAX: usize = 16_384;
/// Connections of which one half of the story is known and the other awaited.
const HALVES_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// How long an arrival waits for its captured request.
const HALF_MS: f64 = 2_000.0;
/// Forecasts that are shown.
const SHOWN: usize = 256;

/// A connection that the activator held.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its segment.
    pub segment: usize,
    /// The client's end.
    pub from: SocketAddr,
    /// Where it went; `None` if it was sent away.
    pub admission: Option<Admission>,
    /// How long it was held, in milliseconds.
    pub waited_ms: f64,
}

/// What other stages say to this one.
#[derive(Debug)]
pub enum Message {
    /// The weaver did something, at this time.
    Note(Note, u64),
    /// The activator let a connection go, at this time.
    Arrived(Arrival, f64),
    /// A request was captured.
    Seen(Box<Event>),
    /// A forecast was made, at this time.
    Forecast(Forecast, f64),
    /// Somebody wants to see the sums.
    Look(oneshot::Sender<View>),
}

/// The sums, for those who ask.
#[derive(Debug, Clone)]
pub struct View {
    /// By segment, in the order of the configuration.
    pub totals: Vec<Totals>,
    /// The latest forecasts, youngest last.
    pub forecasts: Vec<Told>,
}

/// A forecast, and what it was worth as far as that is known.
#[derive(Debug, Clone)]
pub struct Told {
    /// When it was made.
    pub at_ms: f64,
    /// The forecast.
    pub forecast: Forecast,
    /// By step.
    pub steps: Vec<Worth>,
}

/// What a step of a forecast was worth.
#[derive(Debug, Clone, Default)]
pub struct Worth {
    /// What its confidence was measured by, once the weaver has told.
    pub weighed: Option<Weighed>,
    /// How it ended, if something was made or kept for it.
    pub lesson: Option<Lesson>,
}

/// The stage.
pub struct Learn {
    segments: Arc<Segments>,
    names: Vec<String>,
    epoch: String,
    ledger: Ledger,
    journal: Journal,
    weave: mpsc::Sender<driver::Message>,
    clock: Clock,
    instances: BTreeMap<u64, String>,
    arrivals: LruCache<SocketAddr, (Arrival, f64)>,
    requests: LruCache<SocketAddr, Box<Event>>,
    /// Instances behind connections that the activator joined, for the requests after the first.
    joined: LruCache<SocketAddr, u64>,
    forecasts: VecDeque<Told>,
}

impl Learn {
    /// A stage for these segments.
    pub fn new(
        segments: Arc<Segments>,
        epoch: String,
        keep_alive_ms: u64,
        journal: Journal,
        weave: mpsc::Sender<driver::Message>,
        clock: Clock,
    ) -> Self {
        Self {
            ledger: Ledger::new(0, keep_alive_ms),
            segments,
            names: Vec::new(),
            epoch,
            journal,
            weave,
            clock,
            instances: BTreeMap::new(),
            arrivals: LruCache::new(HALVES_MAX),
            requests: LruCache::new(HALVES_MAX),
            joined: LruCache::new(HALVES_MAX),
            forecasts: VecDeque::new(),
        }
    }

    /// Runs until every sender is gone.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                _ = tick.tick() => self.beat(),
            }
        }
    }

    fn take(&mut self, message: Message) {
        self.meet();
        match message {
            Message::Note(note, now_ms) => self.note(&note, now_ms),
            Message::Arrived(arrival, at_ms) => match self.requests.pop(&arrival.from) {
                Some(event) => self.join(Some(&event), arrival, event.at_ms),
                None => drop(self.arrivals.put(arrival.from, (arrival, at_ms))),
            },
            Message::Seen(event) => self.seen(event),
            Message::Forecast(forecast, at_ms) => self.forecast(forecast, at_ms),
            Message::Look(reply) => {
                let forecasts = self.forecasts.iter().cloned().collect();
                // Whoever asked may have left.
                let _ = reply.send(View { totals: self.ledger.totals().to_vec(), forecasts });
            }
        }
    }

    /// Opens books for the segments that were deployed since the last message.
    fn meet(&mut self) {
        let all = self.segments.all();
        self.names.extend(all.iter().skip(self.names.len()).map(|served| served.segment.name.clone()));
        self.ledger.grow(all.len());
    }

    fn seen(&mut self, event: Box<Event>) {
        match event.target {
            Target::Instance { instance, segment } => {
                self.book(Some(&event), segment, Way::Direct { instance }, event.at_ms)
            }
            Target::Ordinary { segment } => self.book(Some(&event), segment, Way::Passed, event.at_ms),
            Target::Activator { segment } if event.index > 0 => {
                if let Some(&instance) = self.joined.get(&event.from) {
                    self.book(Some(&event), segment, Way::Direct { instance }, event.at_ms);
                }
            }
            Target::Activator { .. } => match self.arrivals.pop(&event.from) {
                Some((arrival, _)) => self.join(Some(&event), arrival, event.at_ms),
                None => drop(self.requests.put(event.from, event)),
            },
            Target::Foreign => {
                metrics::foreign_request();
                self.write_request(Some(&event), None, None, None, 0.0, event.at_ms);
            }
        }
    }

    /// Both halves of a held connection are known, or one has been waited for long enough.
    fn join(&mut self, event: Option<&Event>, arrival: Arrival, at_ms: f64) {
        let way = match arrival.admission {
            Some(admission) => {
                self.joined.put(arrival.from, admission.instance);
                Way::Activated {
                    instance: admission.instance,
                    found: admission.found,
                    waited_ms: arrival.waited_ms,
                }
            }
            None => Way::Refused,
        };
        self.book(event, arrival.segment, way, at_ms);
    }

    fn book(&mut self, event: Option<&Event>, segment: usize, way: Way, at_ms: f64) {
        let asker = event.map(Event::asker);
        let outcome = self.ledger.request(segment, asker, way, at_ms as u64);
        metrics::request(&self.names[segment], outcome.word());
        let (instance, wait_ms) = match way {
            Way::Direct { instance } => (Some(instance), 0.0),
            Way::Activated { instance, waited_ms, .. } => (Some(instance), waited_ms),
            Way::Refused | Way::Passed => (None, 0.0),
        };
        if let (Some(instance), Some(asker)) = (instance, asker) {
            // The weaver's queue is drained as fast as it fills; if it is full, expiry goes by connections alone.
            let served = Input::Served { instance, asker, at_ms: at_ms as u64 };
            if self.weave.try_send(driver::Message::Input(served)).is_err() {
                metrics::dropped("weave");
            }
        }
        self.write_request(event, Some(segment), instance, Some(outcome), wait_ms, at_ms);
    }

    fn write_request(
        &self,
        event: Option<&Event>,
        segment: Option<usize>,
        instance: Option<u64>,
        outcome: Option<Outcome>,
        wait_ms: f64,
        at_ms: f64,
    ) {
        // An arrival whose request was not captured is counted above, and has nothing to show.
        let Some(event) = event else { return };
        let what = What::Request {
            segment: segment.map(|segment| self.names[segment].as_str()),
            method: &event.head.method,
            path: &event.head.path,
            parameters: &event.head.parameters,
            principal: Some(journal::principal(event.principal)),
            caller: event.caller.as_ref().map(|caller| self.shown(caller)),
            server: event.server.as_ref().map(|server| self.shown(server)),
            from: event.from,
            to: event.to,
            instance: instance.and_then(|number| self.instances.get(&number)).map(String::as_str),
            outcome,
            wait_ms,
        };
        self.journal.write(&Line { at_ms, what });
    }

    fn shown<'a>(&'a self, container: &'a Container) -> &'a str {
        match container {
            Container::Instance { segment, .. } => &self.names[*segment],
            Container::Foreign(name) => name,
        }
    }

    fn forecast(&mut self, forecast: Forecast, at_ms: f64) {
        let step = |step: &crate::weave::Step| StepLine {
            segment: &self.names[step.segment],
            confidence: step.confidence,
            expected_ms: step.expected_ms,
            position: step.position,
        };
        let path = forecast.path.iter().map(step).collect();
        let what = What::Forecast { id: forecast.id, trigger: &self.names[forecast.trigger], path };
        self.journal.write(&Line { at_ms, what });
        if self.forecasts.len() == SHOWN {
            self.forecasts.pop_front();
        }
        let steps = vec![Worth::default(); forecast.path.len()];
        self.forecasts.push_back(Told { at_ms, forecast, steps });
    }

    fn note(&mut self, note: &Note, now_ms: u64) {
        self.ledger.note(note);
        let what = match note {
            Note::Instance { instance, name, segment, graph, state, cause } => {
                if *state == crate::weave::InstanceState::Creating || !self.instances.contains_key(instance) {
                    self.instances.insert(*instance, name.clone());
                }
                let graph = graph.map(|graph| journal::graph(graph, &self.epoch));
                What::Instance {
                    instance: name,
                    segment: &self.names[*segment],
                    graph,
                    state: state.word(),
                    cause,
                }
            }
            Note::Graph { graph, state, cause } => {
                What::Graph { graph: journal::graph(*graph, &self.epoch), state: state.word(), cause }
            }
            Note::Weighed { forecast, bars } => {
                if let Some(told) = self.told(*forecast) {
                    told.steps.iter_mut().zip(bars).for_each(|(step, bar)| step.weighed = *bar);
                }
                return;
            }
            Note::Claimed { .. } | Note::Spent { .. } => return,
        };
        self.journal.write(&Line { at_ms: now_ms as f64, what });
        // Requests that were under way when it went still name it; a thousand names are enough for that.
        while self.instances.len() > 1024 {
            self.instances.pop_first();
        }
    }

    /// A forecast that is still shown.
    fn told(&mut self, forecast: u64) -> Option<&mut Told> {
        self.forecasts.iter_mut().rev().find(|told| told.forecast.id == forecast)
    }

    /// Keeps what a step was worth for those who look at its forecast.
    fn learned(&mut self, lesson: Lesson) {
        let Some(told) = self.told(lesson.forecast) else { return };
        let of_lesson = |step: &crate::weave::Step| step.segment == lesson.segment;
        if let Some(index) = told.forecast.path.iter().position(of_lesson) {
            told.steps[index].lesson = Some(lesson);
        }
    }

    fn beat(&mut self) {
        let now_ms = self.clock.exact_ms();
        while let Some((_, (arrival, at_ms))) = self.arrivals.peek_lru() {
            if at_ms + HALF_MS > now_ms {
                break;
            }
            let (arrival, at_ms) = (*arrival, *at_ms);
            self.arrivals.pop(&arrival.from);
            self.join(None, arrival, at_ms);
        }
        for lesson in self.ledger.close(now_ms as u64) {
            metrics::lesson(&self.names[lesson.segment], lesson.verdict.word());
            let what = What::Lesson {
                forecast: lesson.forecast,
                segment: &self.names[lesson.segment],
                outcome: lesson.verdict.word(),
                saved_ms: lesson.saved_ms,
                wasted_mb_s: lesson.wasted_mb_s(),
            };
            self.journal.write(&Line { at_ms: now_ms, what });
            self.learned(lesson);
        }
        for (name, totals) in self.names.iter().zip(self.ledger.totals()) {
            metrics::totals(name, totals.saved_ms, totals.wasted_mb_s, totals.idle_mb_s);
        }
    }
}

/// What the trainer and the store share.
pub type SharedStore = Arc<store::Store>;
