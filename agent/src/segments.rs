//! The segments that this agent serves: those of the configuration, then those that were deployed since. In: a segment
//! and where its misses go. Out: its index, which holds until the agent ends, and what is known by that index now.
//!
//! Stages keep what they know of a segment by its index, and grow when they meet one that is new to them. An index is
//! never given to another name; a version takes the place of its predecessor.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::config::Segment;

/// Segments of one node, those included that failed to be deployed: each has a listener of its own for its misses.
pub const SEGMENTS_MAX: usize = 1024;

/// A segment and how it is served.
#[derive(Debug, Clone)]
pub struct Served {
    /// As configured or deployed.
    pub segment: Arc<Segment>,
    /// Where its misses are taken in, if the activator takes them.
    pub activator: Option<SocketAddr>,
    /// Whether it is served; one that is being deployed for the first time is not yet.
    pub live: bool,
}

/// All of them, shared by the stages.
#[derive(Debug, Default)]
pub struct Segments {
    all: ArcSwap<Vec<Served>>,
    changing: Mutex<()>,
}

impl Segments {
    /// Those of the configuration, in its order.
    pub fn new(all: Vec<Served>) -> Self {
        Self { all: ArcSwap::from_pointee(all), changing: Mutex::default() }
    }

    /// What is known now; the place in it is the index.
    pub fn all(&self) -> Arc<Vec<Served>> {
        self.all.load_full()
    }

    /// How many there are, dead ones included.
    pub fn len(&self) -> usize {
        self.all.load().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The segment of an index that was given out.
    pub fn get(&self, index: usize) -> Arc<Segment> {
        self.all.load()[index].segment.clone()
    }

    /// Its name.
    pub fn name(&self, index: usize) -> String {
        self.get(index).name.clone()
    }

    /// The index of a name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.all.load().iter().position(|served| served.segment.name == name)
    }

    /// The index under which a segment will be served: its predecessor's, or a new one that is not live yet. `None` if
    /// there are too many.
    pub fn reserve(&self, segment: &Arc<Segment>) -> Option<usize> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.position(&segment.name) {
            return Some(known);
        }
        let mut all = self.all.load().to_vec();
        if all.len() >= SEGMENTS_MAX {
            return None;
        }
        all.push(Served { segment: segment.clone(), activator: None, live: false });
        self.all.store(Arc::new(all));
        Some(self.len() - 1)
    }

    /// From now on the index stands for this.
    pub fn put(&self, index: usize, served: Served) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all.load().to_vec();
        if let Some(place) = all.get_mut(index) {
            *place = served;
            self.all.store(Arc::new(all));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(name: &str, image: &str) -> Arc<Segment> {
        let text = format!("name = '{name}'\nimage = '{image}'\nport = 80\naddress = '10.96.0.1:80'");
        Arc::new(Segment::from_toml(&text).unwrap())
    }

    #[test]
    fn a_version_keeps_the_index_of_its_predecessor_and_a_new_name_gets_a_new_one() {
        let live = |segment| Served { segment, activator: None, live: true };
        let segments = Segments::new(vec![live(segment("cart", "cart:1"))]);
        let second = segment("cart", "cart:2");
        assert_eq!(segments.reserve(&second), Some(0));
        assert_eq!(segments.get(0).image, "cart:1", "a reservation changes nothing");
        segments.put(0, live(second));
        assert_eq!(segments.get(0).image, "cart:2");
        let pay = segment("pay", "pay:1");
        assert_eq!((segments.reserve(&pay), segments.reserve(&pay)), (Some(1), Some(1)));
        assert!(!segments.all()[1].live);
        assert_eq!(segments.position("pay"), Some(1));
    }
}
