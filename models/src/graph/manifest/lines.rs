//! Where words stand. In: a text. Out: the first line of each of its words, from 1. A word goes up to a blank, a quote or
//! a bracket.

use rustc_hash::FxHashMap;

/// The first line of each word.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    first: FxHashMap<&'t str, u32>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let mut first = FxHashMap::default();
        for (number, line) in text.lines().enumerate() {
            let part = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@'));
            for word in line.split(part).filter(|word| !word.is_empty()) {
                first.entry(word).or_insert(number as u32 + 1);
            }
        }
        Self { first }
    }

    /// 0 where the word does not stand by itself.
    pub(super) fn line(&self, word: &str) -> u32 {
        self.first.get(word).copied().unwrap_or(0)
    }
}
