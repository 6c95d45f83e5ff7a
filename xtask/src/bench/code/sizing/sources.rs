//! Sources of measured functions. In: checkouts in which they are, and the functions' names. Out: their facts. A function is
//! the first folder, by path, that has its name and sources in it, or the first source file of its name; SeBS's functions go by
//! their number. What is not found stays unknown.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use weft_models::graph::{Bounds, LanguageId, SourceFile, analyse};
use weft_models::profile::{CodeFacts, Runtime};

use super::Subject;

/// Folders are entered no deeper.
const DEPTH_MAX: usize = 8;

/// Finds what can be found.
///
/// # Errors
/// What cannot be read.
pub(super) fn find(checkouts: &[PathBuf], subjects: &mut [Subject]) -> Result<()> {
    let mut sources = Vec::new();
    for checkout in checkouts.iter().filter(|folder| folder.is_dir()) {
        list(checkout, 0, &mut sources).with_context(|| checkout.display().to_string())?;
    }
    sources.sort();
    for subject in subjects {
        let own: Vec<&PathBuf> = of(&subject.name, subject.facts.runtime, &sources);
        if own.is_empty() {
            continue;
        }
        let file = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(SourceFile::new(name, fs::read(path).with_context(|| path.display().to_string())?))
        };
        let files = own.iter().map(file).collect::<Result<Vec<_>>>()?;
        subject.facts = CodeFacts::of(&analyse(&files, &Bounds::default()));
        subject.has_source = true;
    }
    Ok(())
}

fn list(folder: &Path, depth: usize, sources: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() && depth < DEPTH_MAX && entry.file_name() != ".git" {
            list(&path, depth + 1, sources)?;
        } else if kind.is_file() && LanguageId::of_path(&path.to_string_lossy()).is_some() {
            sources.push(path);
        }
    }
    Ok(())
}

/// The sources of a function among all.
fn of<'s>(name: &str, runtime: Option<Runtime>, sources: &'s [PathBuf]) -> Vec<&'s PathBuf> {
    let fits = |path: &&PathBuf| {
        let language = LanguageId::of_path(&path.to_string_lossy());
        language.is_some_and(|language| Runtime::of(language) == runtime)
    };
    let number = name.split('_').next().unwrap_or(name);
    let is_number = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_folder = |part: &str| {
        if is_number { part.starts_with(&format!("{number}.")) } else { alike(part, name) }
    };
    let folder = |path: &PathBuf| {
        let folders = path.parent()?.ancestors();
        let named =
            folders.filter(|one| one.file_name().is_some_and(|part| is_folder(&part.to_string_lossy())));
        named.last().map(Path::to_path_buf)
    };
    let first = sources.iter().filter(fits).find_map(folder);
    if let Some(first) = first {
        // SeBS has what makes inputs beside its functions.
        let is_own = |path: &&PathBuf| path.starts_with(&first) && !path.ends_with("input.py");
        return sources.iter().filter(fits).filter(is_own).collect();
    }
    let is_named =
        |path: &&PathBuf| path.file_stem().is_some_and(|stem| alike(&stem.to_string_lossy(), name));
    sources.iter().filter(fits).find(is_named).into_iter().collect()
}

fn alike(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_its_first_folder_its_number_or_a_file_of_its_name() {
        let sources: Vec<PathBuf> = [
            "s/aws/cpu/matmul/main.py",
            "s/benchmarks/210.thumbnailer/input.py",
            "s/benchmarks/210.thumbnailer/nodejs/function.js",
            "s/benchmarks/210.thumbnailer/python/function.py",
            "s/google/matmul/main.py",
            "s/src/wage-insert.js",
        ]
        .map(PathBuf::from)
        .to_vec();
        let found = |name: &str, runtime| {
            let paths = of(name, Some(runtime), &sources);
            paths.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found("matmul", Runtime::Python), ["s/aws/cpu/matmul/main.py"]);
        assert_eq!(found("210_node", Runtime::Node), ["s/benchmarks/210.thumbnailer/nodejs/function.js"]);
        assert_eq!(found("210_python", Runtime::Python), ["s/benchmarks/210.thumbnailer/python/function.py"]);
        assert_eq!(found("wage-insert", Runtime::Node), ["s/src/wage-insert.js"]);
        assert!(found("alloc_res", Runtime::Python).is_empty());
    }
}
