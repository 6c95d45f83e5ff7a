//! What libraries do outside the program. In: the path of a library function. Out: the kind of effect, by the longest
//! entry of a table that the path begins with.

use serde::{Deserialize, Serialize};

/// Something outside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Reads from or writes to a database, a cache or an object store.
    Database,
    /// Asks another service over HTTP.
    Http,
    /// Talks over a network in another way, or through a message broker.
    Network,
    /// Reads, writes, lists or removes files.
    File,
    /// Starts another process or ends one.
    Process,
}

impl EffectKind {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Http => "http",
            Self::Network => "network",
            Self::File => "file",
            Self::Process => "process",
        }
    }
}

/// Paths, or beginnings of paths, and what they do. `None` takes out of a longer table what does nothing outside.
pub(crate) type EffectTable = &'static [(&'static str, Option<EffectKind>)];

/// The effect of a path by a table: that of the longest entry which is the path or the path's beginning up to a dot.
pub(crate) fn effect_in(table: EffectTable, path: &str) -> Option<EffectKind> {
    let fits = |entry: &str| {
        path.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
    };
    let best = table.iter().filter(|(entry, _)| fits(entry)).max_by_key(|(entry, _)| entry.len());
    best.and_then(|(_, effect)| *effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_entry_that_the_path_begins_with_says_the_effect() {
        let table: EffectTable =
            &[("os", Some(EffectKind::File)), ("os.path", None), ("os.system", Some(EffectKind::Process))];
        assert_eq!(effect_in(table, "os.remove"), Some(EffectKind::File));
        assert_eq!(effect_in(table, "os.system"), Some(EffectKind::Process));
        assert_eq!((effect_in(table, "os.path.join"), effect_in(table, "osmosis")), (None, None));
    }
}
