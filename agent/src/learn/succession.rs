//! Which model is in charge. In: a model that did better, or the wish to go back. Out: the model in charge, for whoever
//! forecasts, and what it and the one before it are like. What a node learned outlives the agent; what it begins with is
//! the shipped model. One step leads back, from there to the shipped one; a model that was gone back from is not kept.

use std::sync::Arc;

use tokio::sync::watch;
use weft_models::{Card, Model, seed};

use super::store::{Item, Store, StoreError};
use crate::metrics;

/// The model that forecasts.
#[derive(Debug)]
pub struct InCharge {
    /// The model.
    pub model: Model,
    /// Whether it is the shipped one: then nothing of it is from this node.
    pub shipped: bool,
}

impl InCharge {
    fn shipped() -> Self {
        Self { model: seed::forecast(), shipped: true }
    }

    fn learned(model: Model) -> Self {
        Self { model, shipped: false }
    }

    /// Lessons of this node that it was trained on.
    pub fn own_rows(&self) -> usize {
        if self.shipped { 0 } else { self.model.card().rows }
    }
}

/// The model in charge, as it is handed out.
pub type Current = Arc<InCharge>;

/// What a model is like.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Whether it is the shipped one.
    pub shipped: bool,
    /// What it was trained on.
    pub card: Card,
}

/// What the models of a node are like.
#[derive(Debug, Clone, PartialEq)]
pub struct Models {
    /// The one in charge.
    pub current: About,
    /// The one that a rollback puts in charge; none where the shipped one is.
    pub before: Option<About>,
}

/// Why there is no way back, or none that could be gone.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// No earlier model.
    #[error("the shipped model is in charge, there is none before it")]
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
    /// Goes on with what is stored; with the shipped model where nothing is, or where it cannot be read, which is said.
    pub fn new(store: Arc<Store>) -> (Self, watch::Receiver<Current>) {
        let stored = read(&store, Item::Model).unwrap_or_else(|error| {
            tracing::warn!(%error, "the stored model cannot be read; the node begins with the shipped one");
            None
        });
        let model = stored.map_or_else(InCharge::shipped, InCharge::learned);
        metrics::model_rows(model.own_rows());
        let (current, receiver) = watch::channel(Arc::new(model));
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
        let about = |one: &InCharge| About { shipped: one.shipped, card: *one.model.card() };
        let current = self.current();
        let before = match self.before() {
            Ok(before) => Some(about(&before)),
            Err(RollbackError::Store(error)) => return Err(error),
            Err(_) => None,
        };
        Ok(Models { current: about(&current), before })
    }

    /// Puts a model in charge. It is in charge also where it cannot be stored, which is said.
    pub fn accept(&self, model: Model) {
        if let Err(error) = self.store_as_successor(&model) {
            tracing::warn!(error, "the model is in charge but could not be stored");
        }
        self.take_over(InCharge::learned(model));
    }

    /// Puts the model before the one in charge back in charge.
    ///
    /// # Errors
    /// [`RollbackError`]; then nothing has changed.
    pub fn roll_back(&self) -> Result<Models, RollbackError> {
        let before = self.before()?;
        let bytes = if before.shipped { None } else { Some(before.model.to_bytes()?) };
        self.store.write_all(&[(Item::Model, bytes.as_deref()), (Item::ModelBefore, None)])?;
        self.take_over(before);
        Ok(self.look()?)
    }

    fn before(&self) -> Result<InCharge, RollbackError> {
        if self.current().shipped {
            return Err(RollbackError::NothingBefore);
        }
        let before = read(&self.store, Item::ModelBefore)?;
        Ok(before.map_or_else(InCharge::shipped, InCharge::learned))
    }

    fn store_as_successor(&self, model: &Model) -> Result<(), String> {
        let bytes = model.to_bytes().map_err(|error| error.to_string())?;
        let current = self.current();
        let before = (!current.shipped).then(|| current.model.to_bytes()).transpose();
        let before = before.map_err(|error| error.to_string())?;
        let items = [(Item::Model, Some(&bytes[..])), (Item::ModelBefore, before.as_deref())];
        self.store.write_all(&items).map_err(|error| error.to_string())
    }

    fn take_over(&self, model: InCharge) {
        metrics::model_rows(model.own_rows());
        self.current.send_replace(Arc::new(model));
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

    /// Seeds of the models; `None` for the shipped one.
    fn seeds(models: &Models) -> (Option<u64>, Option<Option<u64>>) {
        let seed = |about: &About| (!about.shipped).then_some(about.card.seed);
        (seed(&models.current), models.before.as_ref().map(seed))
    }

    #[test]
    fn steps_lead_back_to_the_model_before_and_to_the_shipped_one_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Succession::new(Arc::new(Store::open(folder.path()).unwrap())).0;
        let models = open();
        assert!(matches!(models.roll_back(), Err(RollbackError::NothingBefore)));
        models.accept(model(1));
        assert_eq!(seeds(&models.look().unwrap()), (Some(1), Some(None)));
        models.accept(model(2));
        models.accept(model(3));
        assert_eq!(seeds(&models.look().unwrap()), (Some(3), Some(Some(2))));
        drop(models);
        let models = open();
        let receiver = models.current.subscribe();
        assert_eq!(seeds(&models.roll_back().unwrap()), (Some(2), Some(None)));
        assert_eq!(receiver.borrow().model.card().seed, 2);
        drop((models, receiver));
        let models = open();
        assert_eq!(seeds(&models.roll_back().unwrap()), (None, None));
        assert!(matches!(models.roll_back(), Err(RollbackError::NothingBefore)));
        drop(models);
        assert_eq!(seeds(&open().look().unwrap()), (None, None));
    }

    #[test]
    fn an_earlier_model_that_is_damaged_leaves_the_one_in_charge_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let (models, receiver) = Succession::new(store.clone());
        models.accept(model(1));
        store.write(Item::ModelBefore, b"damaged").unwrap();
        assert!(matches!(models.roll_back(), Err(RollbackError::Unreadable(_))));
        assert_eq!(seeds(&models.look().unwrap()), (Some(1), None));
        assert_eq!(receiver.borrow().model.card().seed, 1);
    }

    #[test]
    fn a_stored_model_that_is_damaged_does_not_keep_the_agent_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        store.write(Item::Model, b"damaged").unwrap();
        assert!(Succession::new(store).1.borrow().shipped);
    }
}
