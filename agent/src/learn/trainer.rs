//! Trains in the background, and keeps account of how well forecasts do. In: lessons. Out: the model in charge, replaced
//! only by one that did better on lessons that neither was trained on, or by the one before it on request; scores of the
//! recent past. A node without history has the shipped model.
//!
//! Bounded: the last [`LESSONS_MAX`] lessons; older ones are forgotten first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use weft_models::{
    Accuracy, AccuracyLimits, Lesson, Model, Options, Scorecard, SegmentId, SegmentScore, Verdict, Weather,
    better, score,
};

use super::store::{Store, StoreError};
use super::succession::{Current, Models, RollbackError, Succession};
use crate::metrics;
use crate::predict::Identities;
use crate::segments::Segments;

/// Lessons that are trained on.
pub const LESSONS_MAX: usize = 50_000;
/// Messages that wait for the trainer; lessons that do not fit are dropped and counted by the sender.
pub const MESSAGES_MAX: usize = 4096;
/// New lessons that make another training worth while, at first and later, as a share of those known.
const FRESH_MIN: usize = 100;
const FRESH_SHARE: usize = 10;
/// The youngest fifth is held out to compare on.
const HELD_OUT: usize = 5;
/// The least pause between two trainings.
const PAUSE: Duration = Duration::from_secs(2);

/// What other stages say to this one.
#[derive(Debug)]
pub enum Message {
    /// Forecasts whose outcome is known.
    Lessons(Vec<Lesson>),
    /// Somebody asks how well forecasts do.
    Look(oneshot::Sender<View>),
    /// Somebody asks for the models.
    Models(oneshot::Sender<Result<Models, StoreError>>),
    /// Somebody wants the model before the one in charge back.
    RollBack(oneshot::Sender<Result<Models, RollbackError>>),
}

/// How well forecasts did.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Over all, during the last windows of forecasts.
    pub recent: Scorecard,
    /// Hits at 1 that the best simple rule would have had beyond the models'.
    pub regret: u64,
    /// How often the world was found changed.
    pub changes: u64,
    /// By segment.
    pub segments: Vec<(SegmentId, SegmentScore)>,
}

type Training = JoinHandle<Option<Model>>;

/// The trainer.
pub struct Trainer {
    lessons: VecDeque<Lesson>,
    fresh: usize,
    accuracy: Accuracy,
    changes: u64,
    models: Succession,
    training: Option<Training>,
    segments: Arc<Segments>,
    identities: Identities,
}

impl Trainer {
    /// A trainer that goes on with the stored model, and where its successors appear.
    pub fn new(segments: Arc<Segments>, store: Arc<Store>) -> (Self, watch::Receiver<Current>) {
        let (models, current) = Succession::new(store);
        let trainer = Self {
            lessons: VecDeque::new(),
            fresh: 0,
            accuracy: Accuracy::new(AccuracyLimits::default()),
            changes: 0,
            models,
            training: None,
            segments,
            identities: Identities::new([]),
        };
        (trainer, current)
    }

    /// Runs until every sender is gone.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut tick = tokio::time::interval(PAUSE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                trained = end_of(&mut self.training) => self.trained(trained),
                _ = tick.tick() => self.beat(),
            }
        }
    }

    fn take(&mut self, message: Message) {
        // Whoever asked may have given up.
        match message {
            Message::Lessons(batch) => self.keep(batch),
            Message::Look(reply) => drop(reply.send(self.view())),
            Message::Models(reply) => drop(reply.send(self.models.look())),
            Message::RollBack(reply) => {
                let models = self.models.roll_back();
                if models.is_ok() {
                    self.forget_all();
                }
                drop(reply.send(models));
            }
        }
    }

    fn view(&self) -> View {
        View {
            recent: self.accuracy.recent(),
            regret: self.accuracy.regret(),
            changes: self.changes,
            segments: self.accuracy.segments().map(|(segment, score)| (segment, *score)).collect(),
        }
    }

    /// What the model that was gone back from had learned is learned no second time: its successor learns from what
    /// comes, and one that is being trained comes too late.
    fn forget_all(&mut self) {
        self.lessons.clear();
        self.fresh = 0;
        self.training = None;
        self.accuracy = Accuracy::new(AccuracyLimits::default());
    }

    fn beat(&mut self) {
        self.tell();
        let enough = self.fresh >= FRESH_MIN.max(self.lessons.len() / FRESH_SHARE);
        if enough && self.training.is_none() {
            self.fresh = 0;
            let lessons: Vec<Lesson> = self.lessons.iter().cloned().collect();
            let incumbent = self.models.current();
            let train = move || successor(&lessons, &incumbent.model);
            self.training = Some(tokio::task::spawn_blocking(train));
        }
    }

    fn tell(&mut self) {
        let all = self.segments.all();
        all.iter().skip(self.identities.len()).for_each(|new| self.identities.add(&new.segment.name));
        metrics::accuracy(&self.accuracy.recent(), self.accuracy.regret());
        for (segment, score) in self.accuracy.segments() {
            // A segment that the configuration no longer has is history.
            if let Some(segment) = self.identities.segment(segment) {
                metrics::accuracy_of(self.identities.name(segment), score);
            }
        }
    }

    fn keep(&mut self, batch: Vec<Lesson>) {
        let weather = self.accuracy.note(&self.models.current().model, &batch);
        self.fresh += batch.len();
        self.lessons.extend(batch);
        if let Weather::Changed { forecasts } = weather {
            tracing::info!(
                forecasts,
                "forecasts have become worse; the next model learns from what came since"
            );
            self.changes += 1;
            metrics::changed();
            self.forget_before(forecasts);
        }
        let excess = self.lessons.len().saturating_sub(LESSONS_MAX);
        self.lessons.drain(..excess);
    }

    /// Keeps the lessons of the last so many forecasts, as many as a training needs at least, and asks for one.
    fn forget_before(&mut self, forecasts: u64) {
        let lessons = self.lessons.make_contiguous();
        let mut first = lessons.len();
        for moment in lessons.chunk_by(|a, b| a.moment == b.moment).rev().take(forecasts as usize) {
            first -= moment.len();
        }
        let first = first.min(lessons.len().saturating_sub(2 * Options::default().rows_min));
        self.lessons.drain(..first);
        self.fresh = self.lessons.len();
    }

    fn trained(&mut self, trained: Result<Option<Model>, JoinError>) {
        self.training = None;
        match trained {
            Ok(Some(model)) => {
                metrics::model("accepted");
                self.models.accept(model);
            }
            Ok(None) => metrics::model("refused"),
            Err(error) => {
                metrics::model("failed");
                tracing::error!(%error, "training ended without a word");
            }
        }
    }
}

/// Waits for a training; for ever if there is none.
async fn end_of(training: &mut Option<Training>) -> Result<Option<Model>, JoinError> {
    match training {
        Some(training) => training.await,
        None => std::future::pending().await,
    }
}

/// A model that may take over.
fn successor(lessons: &[Lesson], incumbent: &Model) -> Option<Model> {
    // Lessons of one moment stay together: a forecast is judged as a whole.
    let cut = lessons.len() - lessons.len() / HELD_OUT;
    let moment = lessons.get(cut)?.moment;
    let cut = lessons.partition_point(|lesson| lesson.moment < moment);
    let (past, held_out) = lessons.split_at(cut);
    let candidate = match Model::train(past, Options::default(), lessons.len() as u64) {
        Ok(candidate) => candidate,
        Err(error) => {
            tracing::debug!(%error, "no model yet");
            return None;
        }
    };
    let brier = score(&candidate, held_out, AccuracyLimits::default().bar).brier();
    let better = matches!(better(Some(incumbent), &candidate, held_out), Verdict::Replace { .. });
    better.then(|| candidate.with_score(brier as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_lessons_gets_no_model_of_its_own() {
        assert!(successor(&[], &weft_models::seed::forecast()).is_none());
    }

    #[test]
    fn when_the_world_changes_the_lessons_from_before_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let (mut trainer, _current) = Trainer::new(Arc::new(Segments::new(Vec::new())), store);
        let lesson = |moment| Lesson {
            moment,
            segment: weft_models::SegmentId(1),
            features: [0.0; weft_models::N],
            outcome: weft_models::Outcome::NothingCame,
            came: None,
        };
        trainer.keep((0..5_000).map(|row| lesson(row / 5)).collect());
        trainer.forget_before(300);
        assert_eq!((trainer.lessons.len(), trainer.lessons[0].moment), (1_500, 700));
        assert!(trainer.fresh >= FRESH_MIN);
    }
}
