//! Numbers by which models know segments. In: the names of the configuration. Out: a number for each that depends on
//! the name, not on its place in the file: what was learned outlives a change of the configuration.

use std::collections::HashMap;
use std::hash::Hasher;

use weft_models::SegmentId;

/// Both ways between the configuration's order and the models' numbers.
#[derive(Debug, Clone)]
pub struct Identities {
    names: Vec<String>,
    ids: Vec<SegmentId>,
    segments: HashMap<SegmentId, usize>,
}

impl Identities {
    /// Numbers for these names, which differ.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut identities = Self { names: Vec::new(), ids: Vec::new(), segments: HashMap::new() };
        names.into_iter().for_each(|name| identities.add(name));
        identities
    }

    /// A number for one more name.
    pub fn add(&mut self, name: &str) {
        let mut hasher = siphasher::sip::SipHasher13::new();
        hasher.write(name.as_bytes());
        let mut id = SegmentId(hasher.finish() as u32);
        // Two of a thousand names meet once in ten thousand nodes; the later one then moves on.
        while self.segments.contains_key(&id) {
            id = SegmentId(id.0.wrapping_add(1));
        }
        self.segments.insert(id, self.names.len());
        self.names.push(name.to_owned());
        self.ids.push(id);
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The name of a segment of the configuration.
    pub fn name(&self, segment: usize) -> &str {
        &self.names[segment]
    }

    /// The models' number of a segment of the configuration.
    pub fn id(&self, segment: usize) -> SegmentId {
        self.ids[segment]
    }

    /// The segment of the configuration with that number, if it still has it.
    pub fn segment(&self, id: SegmentId) -> Option<usize> {
        self.segments.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_keeps_its_number_when_the_configuration_is_reordered() {
        let (one, other) = (Identities::new(["cart", "price"]), Identities::new(["price", "stock", "cart"]));
        assert_eq!(one.id(0), other.id(2));
        assert_eq!(other.segment(one.id(1)), Some(0));
        assert_eq!(one.segment(other.id(1)), None);
    }
}
