//! The repository's text files. In: its root. Out: their paths and texts, in the order of the paths. What `.gitignore`
//! names and what is no text is left out.

use std::path::Path;

use anyhow::{Context, Result};

/// All files.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

/// One file.
pub(super) struct File {
    /// From the root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
}

impl Tree {
    /// Reads the files below `root`.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let ignored = std::fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let ignored: Vec<&str> = ignored.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let mut files = Vec::new();
        walk(root, "", &ignored, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// A tree of these paths and texts.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        Self { files: files.iter().map(file).collect() }
    }

    /// The text of a file, if it is there.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether there is such a file or folder.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }

    /// Files in Rust.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }
}

fn walk(folder: &Path, above: &str, ignored: &[&str], files: &mut Vec<File>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().with_context(|| entry.path().display().to_string())?;
        // A work tree beside others has a file of that name.
        if name == ".git" || is_ignored(&name, kind.is_dir(), ignored) {
            continue;
        }
        let path = if above.is_empty() { name } else { format!("{above}/{name}") };
        if kind.is_dir() {
            walk(&entry.path(), &path, ignored, files)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).with_context(|| path.clone())?;
            match String::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => files.push(File { path, text }),
                // Pictures, models and archives have no lines.
                _ => {}
            }
        }
    }
    Ok(())
}

/// By the forms that the file has: `name/`, `*.ending`, `name`.
fn is_ignored(name: &str, is_folder: bool, ignored: &[&str]) -> bool {
    ignored.iter().any(|pattern| match (pattern.strip_suffix('/'), pattern.strip_prefix('*')) {
        (Some(folder), _) => is_folder && name == folder.trim_start_matches('/'),
        (_, Some(ending)) => name.ends_with(ending),
        _ => name == *pattern,
    })
}

/// A line of code.
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    /// Without its comment.
    pub(super) code: &'a str,
    /// Whether it is compiled for tests only.
    pub(super) test: bool,
}

impl File {
    /// Whether it is Rust.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is for tests: by its folder, or since it holds a module's tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests") || self.path.ends_with("tests.rs")
    }

    /// Its lines as code. A module's own tests begin with a `#[cfg(test)]` that stands before a module with a body, and
    /// go on to the end, as all of the repository's do.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let tests_at = self.tests_at();
        self.text.lines().enumerate().map(move |(index, text)| Line {
            number: index + 1,
            code: without_comment(text),
            test: self.is_test() || tests_at.is_some_and(|at| index >= at),
        })
    }

    fn tests_at(&self) -> Option<usize> {
        let lines: Vec<&str> = self.text.lines().collect();
        let begins = |at: &usize| {
            let module =
                lines.get(at + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
            lines[*at] == "#[cfg(test)]" && module
        };
        (0..lines.len()).find(begins)
    }
}

/// A line up to its comment. A quoted `//`, as in an address, begins none.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' && before != '\'' => quoted = !quoted,
            '/' if !quoted && before == '/' => return &line[..at - 1],
            _ => {}
        }
        before = c;
    }
    line
}

/// Whether `word` stands in `text` as a word of its own.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gitignore_names_is_left_out() {
        let ignored = ["target/", "*.pyc", "secret"];
        assert!(is_ignored("target", true, &ignored) && !is_ignored("target", false, &ignored));
        assert!(is_ignored("a.pyc", false, &ignored) && is_ignored("secret", false, &ignored));
        assert!(!is_ignored("src", true, &ignored));
    }

    #[test]
    fn comments_are_no_code_and_addresses_are_no_comments() {
        assert_eq!(without_comment("let a = 1; // b"), "let a = 1; ");
        assert_eq!(without_comment("/// all of it"), "");
        assert_eq!(without_comment(r#"let a = "http://b"; // c"#), r#"let a = "http://b"; "#);
        assert_eq!(without_comment(r#"let a = '"'; // c"#), r#"let a = '"'; "#);
    }

    #[test]
    fn a_module_s_tests_begin_at_its_test_module() {
        let tree =
            Tree::of(&[("a/src/b.rs", "//! B.\n#[cfg(test)]\nfn help() {}\n#[cfg(test)]\nmod tests {\n}\n")]);
        let tests: Vec<_> = tree.files[0].lines().map(|line| line.test).collect();
        assert_eq!(tests, [false, false, false, true, true, true]);
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert!(has_word("use aya::maps", "aya") && !has_word("use aya_ebpf::maps", "aya"));
        assert!(!has_word("malaya::x", "aya"));
    }
}
