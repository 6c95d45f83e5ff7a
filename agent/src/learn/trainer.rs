//! Trains in the background. In: lessons. Out: the model in charge, replaced only by one that did better on lessons
//! that neither was trained on. A node without history has no model, and says so.
//!
//! Bounded: the last [`LESSONS_MAX`] lessons; older ones are forgotten first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use weft_models::{Accuracy, AccuracyLimits, Lesson, Model, Options, Verdict, Weather, better};

use super::store::{Item, Store};
use crate::metrics;

/// Lessons that are trained on.
pub const LESSONS_MAX: usize = 50_000;
/// Batches of lessons that wait for the trainer; what does not fit is dropped and counted by the sender.
pub const BATCHES_MAX: usize = 4096;
/// New lessons that make another training worth while, at first and later, as a share of those known.
const FRESH_MIN: usize = 100;
const FRESH_SHARE: usize = 10;
/// The youngest fifth is held out to compare on.
const HELD_OUT: usize = 5;
/// The least pause between two trainings.
const PAUSE: Duration = Duration::from_secs(2);

/// The model in charge, if there is one.
pub type Current = Option<Arc<Model>>;

/// The trainer.
pub struct Trainer {
    lessons: VecDeque<Lesson>,
    fresh: usize,
    accuracy: Accuracy,
    current: watch::Sender<Current>,
    store: Arc<Store>,
}

impl Trainer {
    /// A trainer that starts with the stored model, and where its successors appear. A stored model that cannot be
    /// read is left out with a warning: the node learns anew.
    pub fn new(store: Arc<Store>) -> (Self, watch::Receiver<Current>) {
        let stored = match store.read(Item::Model) {
            Ok(Some(bytes)) => match Model::from_bytes(&bytes) {
                Ok(model) => Some(Arc::new(model)),
                Err(error) => {
                    tracing::warn!(%error, "the stored model cannot be read; the node learns anew");
                    None
                }
            },
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "the stored model cannot be read; the node learns anew");
                None
            }
        };
        metrics::model_rows(stored.as_ref().map_or(0, |model| model.card().rows));
        let (current, receiver) = watch::channel(stored);
        let accuracy = Accuracy::new(AccuracyLimits::default());
        (Self { lessons: VecDeque::new(), fresh: 0, accuracy, current, store }, receiver)
    }

    /// Runs until every sender is gone.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Vec<Lesson>>) {
        let mut tick = tokio::time::interval(PAUSE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = inbox.recv() => match batch {
                    Some(batch) => self.keep(batch),
                    None => return,
                },
                _ = tick.tick() => {
                    if self.fresh >= FRESH_MIN.max(self.lessons.len() / FRESH_SHARE) {
                        self.train().await;
                    }
                }
            }
        }
    }

    fn keep(&mut self, batch: Vec<Lesson>) {
        let model = self.current.borrow().clone();
        let weather = model.map_or(Weather::Steady, |model| self.accuracy.note(&model, &batch));
        self.fresh += batch.len();
        self.lessons.extend(batch);
        if let Weather::Changed { forecasts } = weather {
            tracing::info!(
                forecasts,
                "forecasts have become worse; the next model learns from what came since"
            );
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

    async fn train(&mut self) {
        self.fresh = 0;
        let lessons: Vec<Lesson> = self.lessons.iter().cloned().collect();
        let incumbent = self.current.borrow().clone();
        let store = self.store.clone();
        let trained =
            tokio::task::spawn_blocking(move || successor(&lessons, incumbent.as_deref(), &store)).await;
        match trained {
            Ok(Some(model)) => {
                metrics::model("accepted");
                metrics::model_rows(model.card().rows);
                self.current.send_replace(Some(Arc::new(model)));
            }
            Ok(None) => metrics::model("refused"),
            Err(error) => {
                metrics::model("failed");
                tracing::error!(%error, "training ended without a word");
            }
        }
    }
}

/// A model that may take over, stored already.
fn successor(lessons: &[Lesson], incumbent: Option<&Model>, store: &Store) -> Option<Model> {
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
    if !matches!(better(incumbent, &candidate, held_out), Verdict::Replace { .. }) {
        return None;
    }
    let written = candidate.to_bytes().map_err(|error| error.to_string());
    let written =
        written.and_then(|bytes| store.write(Item::Model, &bytes).map_err(|error| error.to_string()));
    if let Err(error) = written {
        tracing::warn!(error, "the model is in charge but could not be stored");
    }
    Some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_lessons_gets_no_model() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(successor(&[], None, &store).is_none());
        assert_eq!(store.read(Item::Model).unwrap(), None);
    }

    #[test]
    fn when_the_world_changes_the_lessons_from_before_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trainer, _current) = Trainer::new(Arc::new(Store::open(folder.path()).unwrap()));
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

    #[test]
    fn a_stored_model_that_is_damaged_does_not_keep_the_agent_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        store.write(Item::Model, b"damaged").unwrap();
        assert!(Trainer::new(store).1.borrow().is_none());
    }
}
