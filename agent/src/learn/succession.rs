//! Which model is in charge. In: a model that did better, or the wish to go back. Out: the model in charge, for whoever
//! forecasts, and what it and the one before it are like. Both outlive the agent. One step leads back; a model that was
//! gone back from is not kept.

use std::sync::Arc;

use tokio::sync::watch;
use weft_models::{Card, Model};

use super::store::{Item, Store, StoreError};
use crate::metrics;

/// The model in charge, if there is one.
pub type Current = Option<Arc<Model>>;

/// What the models of a node are like.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Models {
    /// The one in charge.
    pub current: Option<Card>,
    /// The one that it took over from.
    pub before: Option<Card>,
}

/// Why there is no way back, or none that could be gone.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// No earlier model.
    #[error("no earlier model is kept: the one in charge is the first, or this node went back to it already")]
    NothingBefore,
    /// What is kept cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is kept is no model of this version.
    #[error("the earlier model cannot be read: {0}; the one in charge stays")]
    Unreadable(#[from] weft_models::ArtifactError),
}

/// The model in charge and the one before it.
#[derive(Debug)]
pub struct Succession {
    current: watch::Sender<Current>,
    store: Arc<Store>,
}

impl Succession {
    /// Goes on with what is stored. A stored model that cannot be read is left out with a warning: the node learns anew.
    pub fn new(store: Arc<Store>) -> (Self, watch::Receiver<Current>) {
        let stored = read(&store, Item::Model).unwrap_or_else(|error| {
            tracing::warn!(%error, "the stored model cannot be read; the node learns anew");
            None
        });
        metrics::model_rows(stored.as_ref().map_or(0, |model| model.card().rows));
        let (current, receiver) = watch::channel(stored.map(Arc::new));
        (Self { current, store }, receiver)
    }

    /// The model in charge.
    pub fn current(&self) -> Current {
        self.current.borrow().clone()
    }

    /// What the models are like.
    ///
    /// # Errors
    /// When the store cannot be read. An earlier model that is damaged counts as none.
    pub fn look(&self) -> Result<Models, StoreError> {
        let before = match read(&self.store, Item::ModelBefore) {
            Ok(before) => before.map(|model| model.card().clone()),
            Err(RollbackError::Store(error)) => return Err(error),
            Err(_) => None,
        };
        Ok(Models { current: self.current().map(|model| model.card().clone()), before })
    }

    /// Puts a model in charge. It is in charge also where it cannot be stored, which is said.
    pub fn accept(&self, model: Model) {
        if let Err(error) = self.store_as_successor(&model) {
            tracing::warn!(error, "the model is in charge but could not be stored");
        }
        self.take_over(Some(model));
    }

    /// Puts the model before the one in charge back in charge.
    ///
    /// # Errors
    /// [`RollbackError`]; then nothing has changed.
    pub fn roll_back(&self) -> Result<Models, RollbackError> {
        let before = read(&self.store, Item::ModelBefore)?.ok_or(RollbackError::NothingBefore)?;
        let bytes = before.to_bytes()?;
        self.store.write_all(&[(Item::Model, Some(&bytes)), (Item::ModelBefore, None)])?;
        self.take_over(Some(before));
        Ok(self.look()?)
    }

    fn store_as_successor(&self, model: &Model) -> Result<(), String> {
        let bytes = model.to_bytes().map_err(|error| error.to_string())?;
        let before = self.current().map(|model| model.to_bytes()).transpose();
        let before = before.map_err(|error| error.to_string())?;
        let items = [(Item::Model, Some(&bytes[..])), (Item::ModelBefore, before.as_deref())];
        self.store.write_all(&items).map_err(|error| error.to_string())
    }

    fn take_over(&self, model: Option<Model>) {
        metrics::model_rows(model.as_ref().map_or(0, |model| model.card().rows));
        self.current.send_replace(model.map(Arc::new));
    }
}

fn read(store: &Store, item: Item) -> Result<Option<Model>, RollbackError> {
    let bytes = store.read(item)?;
    Ok(bytes.map(|bytes| Model::from_bytes(&bytes)).transpose()?)
}

#[cfg(test)]
mod tests {
    use weft_models::{Lesson, Options, Outcome, SegmentId};

    use super::*;

    /// A model of lessons whose outcome hangs on the first feature, told apart by its seed.
    fn model(seed: u64) -> Model {
        let lesson = |row: u64| {
            let comes = row.is_multiple_of(2);
            let mut features = [0.0; weft_models::N];
            features[0] = f32::from(u8::from(comes));
            let segment = SegmentId(1);
            let outcome = if comes { Outcome::Came } else { Outcome::NothingCame };
            Lesson { moment: row, segment, features, outcome, came: comes.then_some(segment) }
        };
        let lessons: Vec<Lesson> = (0..400).map(lesson).collect();
        Model::train(&lessons, Options::default(), seed).unwrap()
    }

    fn seeds(models: &Models) -> [Option<u64>; 2] {
        [&models.current, &models.before].map(|card| card.as_ref().map(|card| card.seed))
    }

    #[test]
    fn one_step_leads_back_to_the_model_before_also_after_a_restart_and_a_second_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Succession::new(Arc::new(Store::open(folder.path()).unwrap())).0;
        let models = open();
        assert!(matches!(models.roll_back(), Err(RollbackError::NothingBefore)));
        models.accept(model(1));
        assert!(matches!(models.roll_back(), Err(RollbackError::NothingBefore)));
        models.accept(model(2));
        models.accept(model(3));
        assert_eq!(seeds(&models.look().unwrap()), [Some(3), Some(2)]);
        drop(models);
        let models = open();
        let receiver = models.current.subscribe();
        assert_eq!(seeds(&models.roll_back().unwrap()), [Some(2), None]);
        assert_eq!(receiver.borrow().as_ref().unwrap().card().seed, 2);
        assert!(matches!(models.roll_back(), Err(RollbackError::NothingBefore)));
        drop((models, receiver));
        assert_eq!(seeds(&open().look().unwrap()), [Some(2), None]);
    }

    #[test]
    fn an_earlier_model_that_is_damaged_leaves_the_one_in_charge_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let (models, receiver) = Succession::new(store.clone());
        models.accept(model(1));
        store.write(Item::ModelBefore, b"damaged").unwrap();
        assert!(matches!(models.roll_back(), Err(RollbackError::Unreadable(_))));
        assert_eq!(seeds(&models.look().unwrap()), [Some(1), None]);
        assert_eq!(receiver.borrow().as_ref().unwrap().card().seed, 1);
    }

    #[test]
    fn a_stored_model_that_is_damaged_does_not_keep_the_agent_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        store.write(Item::Model, b"damaged").unwrap();
        assert!(Succession::new(store).1.borrow().is_none());
    }
}
