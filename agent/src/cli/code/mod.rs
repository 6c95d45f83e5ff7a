//! `weft code`: what weft makes of source, without an agent. In: files and folders. Out: their code graph as a table, as
//! JSON or for Graphviz. Refuses paths that are not there, and those without source in a language that weft reads.

mod show;
mod walk;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Subcommand, ValueEnum};
use weft_models::graph::{Bounds, analyse};

use super::say;

/// What to look at.
#[derive(Debug, Subcommand)]
pub(super) enum CodeCommand {
    /// Show who calls whom, and what is done outside: `~` marks what is inferred
    Graph {
        /// Files and folders of one program
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// How to print
        #[arg(short, long, value_enum, default_value = "table")]
        output: GraphOutput,
    },
}

/// How a graph is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphOutput {
    /// Columns for people.
    Table,
    /// All nodes and edges, for programs.
    Json,
    /// Calls, imports and effects, for Graphviz.
    Dot,
}

/// Does what the arguments say.
///
/// # Errors
/// What cannot be read.
pub(super) fn run(command: &CodeCommand) -> anyhow::Result<()> {
    let CodeCommand::Graph { paths, output } = command;
    let bounds = Bounds::default();
    let files = walk::read(paths, &bounds)?;
    ensure!(
        !files.is_empty(),
        "no source in a language that weft reads (Python, JavaScript, TypeScript). Name a file or folder that has some"
    );
    let graph = analyse(&files, &bounds).graph;
    say(&match output {
        GraphOutput::Table => show::table(&graph),
        GraphOutput::Json => format!("{}\n", serde_json::to_string_pretty(&graph).context("JSON")?),
        GraphOutput::Dot => show::dot(&graph),
    })
}
