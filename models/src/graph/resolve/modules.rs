//! Which file an import means. In: the names of all modules. Out: the unit, or the path of a library. A name that only
//! the end of one module's name matches means that module: uploads often have a folder around the packages.

use rustc_hash::FxHashMap;

use crate::graph::ir::{Root, Unit, UnitId};
use crate::graph::language::{self, Importer};
use crate::graph::names::{Names, Symbol};
use crate::graph::source::LanguageId;

/// What an import means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graph) enum Imported {
    /// A file of the program.
    Unit(UnitId),
    /// A library, or a part of one.
    Library(String),
}

/// All modules by name.
#[derive(Debug, Default)]
pub(in crate::graph) struct Modules {
    by_name: FxHashMap<(LanguageId, Symbol), UnitId>,
    /// The files of a module that has several, by the first.
    packages: FxHashMap<UnitId, Vec<UnitId>>,
    /// By the last part of the name.
    by_end: FxHashMap<(LanguageId, Box<str>), Vec<UnitId>>,
    roots: Vec<Root>,
}

impl Modules {
    pub(in crate::graph) fn of(units: &[Unit], names: &Names, roots: &[Root]) -> Self {
        let mut modules = Self { roots: roots.to_vec(), ..Self::default() };
        for (at, unit) in units.iter().enumerate() {
            let id = UnitId::of(at);
            let family = unit.language.family();
            let first = *modules.by_name.entry((family, unit.module)).or_insert(id);
            if language::of(unit.language).rules().packages {
                modules.packages.entry(first).or_default().push(id);
            }
            let name = names.text(unit.module);
            let end = name.rsplit('.').next().unwrap_or(name);
            modules.by_end.entry((family, end.into())).or_default().push(id);
        }
        modules
    }

    /// The module of that name, in a language or its family.
    pub(in crate::graph) fn named(&self, names: &Names, language: LanguageId, name: &str) -> Option<UnitId> {
        self.by_name.get(&(language.family(), names.find(name)?)).copied()
    }

    /// All files of the module that begins with a file.
    pub(in crate::graph) fn files_of(&self, first: UnitId) -> Vec<UnitId> {
        self.packages.get(&first).cloned().unwrap_or_else(|| vec![first])
    }

    /// The first file of a file's module.
    pub(in crate::graph) fn first_of(&self, unit: &Unit, id: UnitId) -> UnitId {
        self.by_name.get(&(unit.language.family(), unit.module)).copied().unwrap_or(id)
    }

    pub(in crate::graph) fn resolve(
        &self,
        units: &[Unit],
        names: &Names,
        importer: UnitId,
        spec: Symbol,
    ) -> Imported {
        let unit = &units[importer.index()];
        let language = language::of(unit.language);
        let spec = names.text(spec);
        let importer = Importer { module: names.text(unit.module), path: &unit.path, roots: &self.roots };
        let candidates = language.candidates(spec, &importer);
        let found = candidates.iter().find_map(|name| self.named(names, unit.language, name));
        let found = found.or_else(|| self.by_ending(units, names, unit.language, candidates.first()?));
        found.map_or_else(|| Imported::Library(language.library_path(spec)), Imported::Unit)
    }

    /// The one module whose name ends so. A name of one part is too likely to be a library's.
    fn by_ending(&self, units: &[Unit], names: &Names, language: LanguageId, name: &str) -> Option<UnitId> {
        let (_, end) = name.rsplit_once('.')?;
        let ending = format!(".{name}");
        let same = self.by_end.get(&(language.family(), end.into()))?.iter().take(64);
        let mut fitting = same.filter(|id| names.text(units[id.index()].module).ends_with(&ending));
        let found = fitting.next()?;
        fitting.next().is_none().then_some(*found)
    }
}
