//! The language and the handler. In: a tree and what its manifest says. Out: both, checked to be there. Refuses a tree in
//! which nothing or several things could be run.

use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

use super::{Language, Linked, ProjectError, Written, text};
use crate::intake::tree::{Entry, Tree};

/// Names that say by themselves what to run, the first found wins.
const PYTHON_FILES: [&str; 3] = ["app.py", "main.py", "handler.py"];
const NODE_FILES: [&str; 6] = ["index.js", "index.mjs", "index.cjs", "app.js", "main.js", "handler.js"];
const NODE_ENDINGS: [&str; 3] = ["js", "mjs", "cjs"];
const ELF: &[u8] = b"\x7fELF";
/// What is read of a program: its headers stand at its beginning.
const HEAD_BYTES: u64 = 64 << 10;

pub(super) fn detect(
    tree: &Tree,
    language: Option<Written>,
    handler: Option<&str>,
) -> Result<(Language, String), ProjectError> {
    let language = match (language, handler) {
        (Some(language), _) => language,
        (None, Some(handler)) => by_handler(tree, handler)?,
        (None, None) => by_files(tree)?,
    };
    match (language, handler) {
        (Written::Python, Some(handler)) => python(tree, handler),
        (Written::Python, None) => python(tree, &default_of(tree, &PYTHON_FILES, &["py"])?),
        (Written::Node, Some(handler)) => node(tree, handler),
        (Written::Node, None) => {
            let main = package_main(tree)?;
            node(tree, &main.map_or_else(|| default_of(tree, &NODE_FILES, &NODE_ENDINGS), Ok)?)
        }
        (Written::Executable, Some(handler)) => executable(tree, handler),
        (Written::Executable, None) => match &programs(tree)?[..] {
            [one] => executable(tree, one),
            [] => Err(ProjectError::Unknown),
            several => Err(ProjectError::Ambiguous { found: several.to_vec() }),
        },
    }
}

/// A handler that is declared without a language tells it by the file that it is in.
fn by_handler(tree: &Tree, handler: &str) -> Result<Written, ProjectError> {
    let (file, _) = handler.split_once(':').unwrap_or((handler, ""));
    if python_files(file).iter().any(|path| tree.has_file(path)) {
        return Ok(Written::Python);
    }
    if node_files(file).iter().any(|path| tree.has_file(path)) {
        return Ok(Written::Node);
    }
    if head(tree, file)?.starts_with(ELF) {
        return Ok(Written::Executable);
    }
    let looked_for = [python_files(file), node_files(file), vec![file.to_owned()]].concat();
    Err(ProjectError::NoHandler { handler: handler.to_owned(), looked_for })
}

fn by_files(tree: &Tree) -> Result<Written, ProjectError> {
    let has = |names: &[&str]| names.iter().any(|name| tree.has_file(name));
    let python = has(&PYTHON_FILES) || has(&["requirements.txt", "pyproject.toml"]);
    let node = has(&NODE_FILES) || has(&["package.json"]);
    match (python, node) {
        (true, true) => {
            let known = PYTHON_FILES.iter().chain(&NODE_FILES).filter(|name| tree.has_file(name));
            Err(ProjectError::Ambiguous { found: known.map(|name| (*name).to_owned()).collect() })
        }
        (true, false) => Ok(Written::Python),
        (false, true) => Ok(Written::Node),
        (false, false) if !programs(tree)?.is_empty() => Ok(Written::Executable),
        (false, false) if !at_top(tree, &["py"]).is_empty() => Ok(Written::Python),
        (false, false) if !at_top(tree, &NODE_ENDINGS).is_empty() => Ok(Written::Node),
        (false, false) => Err(ProjectError::Unknown),
    }
}

/// The file that is run when none is named: one of the usual names, or the only one of its kind.
fn default_of(tree: &Tree, usual: &[&str], endings: &[&str]) -> Result<String, ProjectError> {
    if let Some(found) = usual.iter().find(|name| tree.has_file(name)) {
        return Ok((*found).to_owned());
    }
    let mut found = at_top(tree, endings);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let looked_for = usual.iter().map(|name| (*name).to_owned()).collect();
            Err(ProjectError::NoHandler { handler: usual[0].to_owned(), looked_for })
        }
        _ => Err(ProjectError::Ambiguous { found }),
    }
}

fn at_top(tree: &Tree, endings: &[&str]) -> Vec<String> {
    let ends = |path: &str| path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending));
    let files = tree
        .iter()
        .filter(|(path, entry)| matches!(entry, Entry::File { .. }) && !path.contains('/') && ends(path));
    files.map(|(path, _)| path.to_owned()).collect()
}

/// `file`, `file.py` or `package.module`, with or without `:name`; the name is looked for at the start of the program.
fn python(tree: &Tree, handler: &str) -> Result<(Language, String), ProjectError> {
    let (file, name) = handler.split_once(':').unwrap_or((handler, ""));
    let module = file.strip_suffix(".py").unwrap_or(file).replace('/', ".");
    let looked_for = python_files(file);
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let named = name.is_empty() || name.split('.').all(word);
    if !named || !module.split('.').all(word) || !looked_for.iter().any(|path| tree.has_file(path)) {
        return Err(ProjectError::NoHandler { handler: handler.to_owned(), looked_for });
    }
    Ok((Language::Python, format!("{module}:{name}")))
}

fn python_files(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".py").unwrap_or(file).replace('.', "/");
    vec![format!("{path}.py"), format!("{path}/__init__.py")]
}

fn node(tree: &Tree, handler: &str) -> Result<(Language, String), ProjectError> {
    let (file, name) = handler.split_once(':').unwrap_or((handler, ""));
    let file = file.strip_prefix("./").unwrap_or(file);
    let looked_for = node_files(file);
    match looked_for.iter().find(|path| tree.has_file(path)) {
        Some(path) => Ok((Language::Node, format!("{path}:{name}"))),
        None => Err(ProjectError::NoHandler { handler: handler.to_owned(), looked_for }),
    }
}

fn node_files(file: &str) -> Vec<String> {
    if NODE_ENDINGS.iter().any(|ending| file.ends_with(&format!(".{ending}"))) {
        return vec![file.to_owned()];
    }
    NODE_ENDINGS.iter().map(|ending| format!("{file}.{ending}")).collect()
}

/// What `package.json` calls its main file.
fn package_main(tree: &Tree) -> Result<Option<String>, ProjectError> {
    let Some(text) = text(tree, "package.json")? else { return Ok(None) };
    let package: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| ProjectError::Syntax { file: "package.json", message: error.to_string() })?;
    Ok(package["main"].as_str().filter(|main| !main.is_empty()).map(str::to_owned))
}

/// Programs at the top of the tree.
fn programs(tree: &Tree) -> Result<Vec<String>, ProjectError> {
    let mut found = Vec::new();
    for (path, _) in tree
        .iter()
        .filter(|(path, entry)| matches!(entry, Entry::File { executable: true, .. }) && !path.contains('/'))
    {
        if head(tree, path)?.starts_with(ELF) {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

fn head(tree: &Tree, path: &str) -> Result<Vec<u8>, ProjectError> {
    tree.head(path, HEAD_BYTES).map_err(|source| ProjectError::Unreadable { file: path.to_owned(), source })
}

fn executable(tree: &Tree, path: &str) -> Result<(Language, String), ProjectError> {
    let foreign = |cause| ProjectError::Foreign { file: path.to_owned(), cause };
    if !tree.has_file(path) {
        let looked_for = vec![path.to_owned()];
        return Err(ProjectError::NoHandler { handler: path.to_owned(), looked_for });
    }
    let head = head(tree, path)?;
    if !head.starts_with(ELF) {
        return Err(foreign("it is no ELF program"));
    }
    let data = head.as_slice();
    let broken = |_| foreign("its ELF headers cannot be read");
    let header = FileHeader64::<object::Endianness>::parse(data).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let machine = if cfg!(target_arch = "aarch64") { EM_AARCH64 } else { EM_X86_64 };
    if header.e_machine(endian) != machine {
        return Err(foreign("it is built for another processor"));
    }
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Err(foreign("it is an object file or a core dump"));
    }
    let segments = header.program_headers(endian, data).map_err(broken)?;
    let mut linked = Linked::Statically;
    for segment in segments {
        if segment.interpreter(endian, data).map_err(broken)?.is_some() {
            linked = Linked::Dynamically;
        }
    }
    Ok((Language::Executable { linked }, path.to_owned()))
}
