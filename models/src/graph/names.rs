//! Names as numbers. In: text. Out: a [`Symbol`] that is equal for equal text, and the text again. Refuses nothing; the
//! caller bounds how much text there is.

use rustc_hash::FxHashMap;

/// A name that stands in some [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub(crate) u32);

/// All names of a program.
#[derive(Debug, Default)]
pub struct Names {
    by_text: FxHashMap<Box<str>, Symbol>,
    texts: Vec<Box<str>>,
}

impl Names {
    /// The symbol of a text.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(&symbol) = self.by_text.get(text) {
            return symbol;
        }
        let symbol = Symbol(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(text.into());
        self.by_text.insert(text.into(), symbol);
        symbol
    }

    /// The symbol of a text that was seen before.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    /// The text of a symbol.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.texts.get(symbol.0 as usize).map_or("", |text| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_symbol_and_it_gives_the_text_again() {
        let mut names = Names::default();
        let (a, b) = (names.intern("cart"), names.intern("item"));
        assert!(a != b && names.intern("cart") == a);
        assert_eq!((names.text(a), names.text(b)), ("cart", "item"));
        assert_eq!((names.find("item"), names.find("none")), (Some(b), None));
    }
}
