//! Source per second. In: folders of sources. Out: how much was read and resolved per second of processor time, by one
//! thread, in the median round, and how much tree-sitter alone parses of it, in turns; reading the files from the disk is not
//! counted. Leaves out links and what is no source.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use weft_models::graph::code::EdgeKind;
use weft_models::graph::{Bounds, LanguageId, SourceFile, analyse, parse};

/// The median round counts.
const ROUNDS: usize = 5;

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Speed {
    pub(super) mb_per_cpu_s: f64,
    pub(super) mb_per_wall_s: f64,
    /// By tree-sitter alone, with all comments.
    pub(super) parsed_mb_per_cpu_s: f64,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) nodes: u64,
    pub(super) edges: u64,
    pub(super) calls: u64,
    pub(super) diagnostics: u64,
}

/// Reads and resolves the folders, one program each.
///
/// # Errors
/// What cannot be read.
pub(super) fn measure(folders: &[&PathBuf]) -> Result<Speed> {
    let mut speed = Speed::default();
    let (mut cpu_s, mut wall_s, mut parse_s) = (0.0, 0.0, 0.0);
    for folder in folders {
        let mut files = Vec::new();
        read_tree(folder, "", &mut files)?;
        let mut rounds = Vec::with_capacity(ROUNDS);
        let mut parses = Vec::with_capacity(ROUNDS);
        let mut graph = None;
        for _ in 0..ROUNDS {
            let cpu = cpu_seconds();
            ensure!(parse(&files, &Bounds::default()) > 0, "{}: no source", folder.display());
            parses.push(cpu_seconds() - cpu);
            let (began, cpu) = (Instant::now(), cpu_seconds());
            graph = Some(analyse(&files, &Bounds::default()).graph);
            rounds.push((cpu_seconds() - cpu, began.elapsed().as_secs_f64()));
        }
        rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (cpu, wall) = rounds[ROUNDS / 2];
        cpu_s += cpu;
        parses.sort_by(f64::total_cmp);
        parse_s += parses[ROUNDS / 2];
        wall_s += wall;
        let graph = graph.context("no round was measured")?;
        speed.files += graph.files.len() as u64;
        let read = |file: &&SourceFile| graph.files.binary_search(&file.path).is_ok();
        speed.bytes += files.iter().filter(read).map(|file| file.bytes.len() as u64).sum::<u64>();
        speed.nodes += graph.nodes.len() as u64;
        speed.edges += graph.edges.len() as u64;
        speed.calls += graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Calls).count() as u64;
        speed.diagnostics += graph.diagnostics.len() as u64;
    }
    speed.mb_per_cpu_s = speed.bytes as f64 / 1e6 / cpu_s;
    speed.parsed_mb_per_cpu_s = speed.bytes as f64 / 1e6 / parse_s;
    speed.mb_per_wall_s = speed.bytes as f64 / 1e6 / wall_s;
    Ok(speed)
}

/// Of this thread: others on the machine do not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// All sources below a folder, by their paths from it; all with an ending, where one is given.
///
/// # Errors
/// What cannot be read.
pub(super) fn read_tree(root: &Path, ending: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
            let kind = entry.with_context(|| path.display().to_string())?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && LanguageId::of_path(&name).is_some() && name.ends_with(ending) {
                let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
                files.push(SourceFile::new(name, bytes));
            }
        }
    }
    Ok(())
}
