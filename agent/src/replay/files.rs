//! Where a trace is. In: a file, `-` for standard input, a folder, or the beginning of the names of its tables. Out: the file to
//! begin with, and those that go with it. Refused: nothing there, several traces, a table without its companions.

use std::path::{Path, PathBuf};

use weft_models::trace::Format;

use super::ReplayError;
use super::packed::STDIN;

/// Endings of packed files.
const PACKED: [&str; 3] = ["", ".zst", ".gz"];
/// What the names of tables of counts hold.
const TABLES: [(&str, Format); 2] = [("invocations", Format::Azure2019), ("persecond", Format::Alibaba)];
/// Azure's own names of its tables of a day, and ours.
const MINUTES: [[&str; 3]; 2] = [
    ["invocations_per_function_md", "function_durations_percentiles", "app_memory_percentiles"],
    ["invocations", "durations", "memory"],
];
/// Names that are told of.
const TOLD_MAX: usize = 8;

/// What goes with a file.
#[derive(Debug, PartialEq)]
pub(super) enum Located {
    /// Nothing.
    Alone,
    /// Tables with what minutes do not tell.
    Minutes { durations: PathBuf, memory: Option<PathBuf> },
    /// A table with what seconds do not tell.
    Seconds { functions: PathBuf },
}

/// The file that a trace begins with.
pub(super) fn locate(path: &Path, format: Option<Format>) -> Result<PathBuf, ReplayError> {
    let open = |path: &Path| {
        let path = path.to_owned();
        |source| ReplayError::Open { path, source }
    };
    if path == Path::new(STDIN) {
        return Ok(path.to_owned());
    }
    let (folder, begin, absent) = match path.metadata() {
        Ok(there) if there.is_dir() => (path, String::new(), None),
        Ok(_) => return Ok(path.to_owned()),
        Err(error) => {
            let begin = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let folder = path.parent().filter(|_| error.kind() == std::io::ErrorKind::NotFound);
            match (folder, begin) {
                (Some(folder), Some(begin)) => (folder, begin, Some(error)),
                _ => return Err(open(path)(error)),
            }
        }
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(open(path))? {
        let name = entry.map_err(open(path))?.file_name().to_string_lossy().into_owned();
        let table =
            TABLES.iter().any(|(word, of)| name.contains(word) && format.is_none_or(|one| one == *of));
        if table && name.starts_with(&begin) {
            names.push(name);
        }
    }
    names.sort();
    match (&names[..], absent) {
        ([name], _) => Ok(folder.join(name)),
        ([], None) => Err(ReplayError::NoTable { path: path.to_owned() }),
        ([], Some(error)) => Err(open(path)(error)),
        _ => {
            names.truncate(TOLD_MAX);
            Err(ReplayError::Several { path: path.to_owned(), names })
        }
    }
}

/// The files that go with the one that a trace begins with.
pub(super) fn companions(path: &Path, format: Format, memory_known: bool) -> Result<Located, ReplayError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = PACKED.iter().rev().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let beside = |wanted: &str| {
        let files = PACKED.iter().map(|end| path.with_file_name(format!("{wanted}{end}")));
        files.into_iter().find(|file| file.is_file())
    };
    let missing = |wanted: String, remedy| ReplayError::NoCompanion { path: path.to_owned(), wanted, remedy };
    if path == Path::new(STDIN) && matches!(format, Format::Azure2019 | Format::Alibaba) {
        let remedy =
            "Name the file of its table instead: only a trace of one file can come through standard input";
        return Err(missing("another table".to_owned(), remedy));
    }
    match format {
        Format::Azure2019 => {
            let Some([from, durations, memory]) = MINUTES.iter().find(|[from, ..]| plain.contains(from))
            else {
                let wanted = "a name with `invocations` in it, after which the others are found,".to_owned();
                return Err(missing(
                    wanted,
                    "Rename the three tables alike: …invocations…, …durations…, …memory…",
                ));
            };
            let (durations, memory) = (plain.replace(from, durations), plain.replace(from, memory));
            let remedy = "Put the table there; it may be packed";
            let found = beside(&durations).ok_or_else(|| missing(durations, remedy))?;
            let remedy = "Put the table there, or say with --memory-mib what an instance takes";
            let memory = match beside(&memory) {
                None if !memory_known => return Err(missing(memory, remedy)),
                memory => memory,
            };
            Ok(Located::Minutes { durations: found, memory })
        }
        Format::Alibaba => {
            let functions = plain.replace("persecond", "metas").replace(".csv", ".jsonl");
            let remedy = "Put the list of functions there; it may be packed";
            let found = beside(&functions).filter(|_| functions != plain);
            let functions = found.ok_or_else(|| missing(functions, remedy))?;
            Ok(Located::Seconds { functions })
        }
        _ => Ok(Located::Alone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_is_a_trace_of_one_file_and_no_tables() {
        let stdin = Path::new(STDIN);
        assert_eq!(locate(stdin, None).unwrap(), stdin);
        assert_eq!(companions(stdin, Format::Http, false).unwrap(), Located::Alone);
        for format in [Format::Azure2019, Format::Alibaba] {
            let told = companions(stdin, format, true).unwrap_err().to_string();
            assert!(told.contains("Name the file of its table"), "{told}");
        }
    }
}
