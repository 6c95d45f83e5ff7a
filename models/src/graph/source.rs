//! What is to be read. In: paths and bytes, as the caller has them. Out: files in the order of their paths, each with
//! its language. Refuses files in no known language, binary files and what is beyond [`Bounds`], with a diagnostic.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::diagnostic::{Diagnostics, Trouble};

/// One file of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// From the root of the upload, with slashes: modules are named by it.
    pub path: String,
    /// What is in it, as it was uploaded.
    pub bytes: Vec<u8>,
}

impl SourceFile {
    /// A file.
    pub fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: bytes.into() }
    }
}

/// A language that weft reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LanguageId {
    /// Python 3.
    Python,
    /// JavaScript, with JSX.
    JavaScript,
    /// TypeScript, without JSX.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// Go.
    Go,
    /// Java.
    Java,
    /// Rust.
    Rust,
}

impl LanguageId {
    /// By the ending of a path.
    pub fn of_path(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
        match ending {
            "py" | "pyi" => Some(Self::Python),
            "js" | "mjs" | "cjs" | "jsx" => Some(Self::JavaScript),
            "ts" | "mts" | "cts" => Some(Self::TypeScript),
            "tsx" => Some(Self::Tsx),
            "go" => Some(Self::Go),
            "java" => Some(Self::Java),
            "rs" => Some(Self::Rust),
            _ => None,
        }
    }

    /// The language whose modules it can import.
    pub fn family(self) -> Self {
        match self {
            Self::JavaScript | Self::TypeScript | Self::Tsx => Self::JavaScript,
            other => other,
        }
    }

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Tsx => "tsx",
            Self::Go => "go",
            Self::Java => "java",
            Self::Rust => "rust",
        }
    }
}

/// A file that is to be parsed.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    pub(super) path: &'a str,
    pub(super) text: Cow<'a, str>,
    pub(super) language: LanguageId,
}

/// The files that are parsed, in the order of their paths.
pub(super) fn accept<'a>(
    files: &'a [SourceFile],
    bounds: &Bounds,
    trouble: &mut Diagnostics,
) -> Vec<Accepted<'a>> {
    let known = files.iter().filter_map(|file| Some((file, LanguageId::of_path(&file.path)?)));
    let mut known: Vec<_> = known.collect();
    known.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    if let Some((first, _)) = known.get(bounds.files) {
        let detail = format!("{} files, of which the first {} are read", known.len(), bounds.files);
        trouble.add(Trouble::TooManyFiles, &first.path, 0, detail);
        known.truncate(bounds.files);
    }
    let mut accepted = Vec::with_capacity(known.len());
    let mut total = 0_usize;
    for (file, language) in known {
        if file.bytes.len() > bounds.file_bytes {
            let detail = format!("more than {} bytes", bounds.file_bytes);
            trouble.add(Trouble::FileTooLarge, &file.path, 0, detail);
        } else if total + file.bytes.len() > bounds.total_bytes {
            let detail = format!("more than {} bytes in all", bounds.total_bytes);
            trouble.add(Trouble::SourceTooLarge, &file.path, 0, detail);
            break;
        } else if file.bytes.contains(&0) {
            trouble.add(Trouble::NotText, &file.path, 0, "a zero byte".into());
        } else {
            total += file.bytes.len();
            let text = String::from_utf8_lossy(&file.bytes);
            if matches!(text, Cow::Owned(_)) {
                trouble.add(
                    Trouble::NotText,
                    &file.path,
                    0,
                    "read in spite of bytes that are no UTF-8".into(),
                );
            }
            accepted.push(Accepted { path: &file.path, text, language });
        }
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beyond_the_bounds_and_binary_files_are_left_out_and_told() {
        let bounds = Bounds { files: 4, file_bytes: 5, total_bytes: 8, ..Bounds::default() };
        let file = |path: &str, text: &str| SourceFile::new(path, text);
        let files = [
            file("d.py", "1234"),
            file("e.py", "1"),
            file("a.py", "123456"),
            file("b.py", "\0"),
            file("c.py", "12345"),
            file("read.me", "no language"),
        ];
        let mut trouble = Diagnostics::new(10);
        let accepted: Vec<_> = accept(&files, &bounds, &mut trouble).iter().map(|file| file.path).collect();
        assert_eq!(accepted, ["c.py"]);
        let told: Vec<_> = trouble.into_vec().into_iter().map(|one| (one.trouble, one.path)).collect();
        let expected = [
            (Trouble::TooManyFiles, "e.py"),
            (Trouble::FileTooLarge, "a.py"),
            (Trouble::NotText, "b.py"),
            (Trouble::SourceTooLarge, "d.py"),
        ];
        assert_eq!(told, expected.map(|(trouble, path)| (trouble, path.to_owned())));
    }

    #[test]
    fn text_that_is_no_utf_8_is_read_and_told() {
        let files = [SourceFile::new("a.py", b"x = '\xff'\n".to_vec())];
        let mut trouble = Diagnostics::new(10);
        assert_eq!(accept(&files, &Bounds::default(), &mut trouble).len(), 1);
        assert_eq!(trouble.into_vec().len(), 1);
    }
}
