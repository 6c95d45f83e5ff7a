//! What was left out, and why. In: troubles, as they are met. Out: a bounded list in the order of meeting; beyond the
//! bound the last entry counts the rest.

use serde::{Deserialize, Serialize};

/// What kept a part of the source out of the graph, or made it less certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Files beyond the bound are left out.
    TooManyFiles,
    /// The file is left out.
    FileTooLarge,
    /// This file and those behind it are left out.
    SourceTooLarge,
    /// The file is no text, or not wholly.
    NotText,
    /// The parser met what is no program of the language; what stands around it is read.
    SyntaxError,
    /// The parser took too long; the file is left out.
    ParseTooLong,
    /// What is nested deeper is left out.
    NestedTooDeep,
    /// The rest of the file is left out.
    FileTooManyNodes,
    /// The manifest is not read: it is no text, too large or broken.
    BadManifest,
    /// Resolution stopped before its fixpoint; edges are missing.
    ResolutionStopped,
    /// Some expressions have more values than are followed; edges are missing.
    ValuesDropped,
    /// Edges beyond the bound are left out.
    TooManyEdges,
    /// Diagnostics beyond the bound; the detail counts them.
    More,
}

/// One trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// What it is.
    pub trouble: Trouble,
    /// The file; empty where it is the whole.
    pub path: String,
    /// From 1; 0 is the whole file.
    pub line: u32,
    /// What exactly, in words.
    pub detail: String,
}

/// The list under construction.
#[derive(Debug)]
pub(super) struct Diagnostics {
    kept: Vec<Diagnostic>,
    kept_max: usize,
    more: usize,
}

impl Diagnostics {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept: Vec::new(), kept_max, more: 0 }
    }

    pub(super) fn add(&mut self, trouble: Trouble, path: &str, line: u32, detail: String) {
        if self.kept.len() < self.kept_max {
            self.kept.push(Diagnostic { trouble, path: path.to_owned(), line, detail });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<Diagnostic> {
        if self.more > 0 {
            let detail = format!("{} more are not kept", self.more);
            self.kept.push(Diagnostic { trouble: Trouble::More, path: String::new(), line: 0, detail });
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_beyond_the_bound_are_counted() {
        let mut diagnostics = Diagnostics::new(2);
        (0..5).for_each(|line| diagnostics.add(Trouble::SyntaxError, "a.py", line, String::new()));
        let kept = diagnostics.into_vec();
        assert_eq!(kept.len(), 3);
        assert_eq!((kept[2].trouble, kept[2].detail.as_str()), (Trouble::More, "3 more are not kept"));
    }
}
