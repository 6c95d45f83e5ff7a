//! `weft code`: what weft reads out of source. In: files and folders, which are read here and now without an agent; or a
//! deployed segment, of whose upload the agent knows. Out: the code graph, answers to questions about it, and what may be
//! slow, as a table, as JSON, for Graphviz, or as SARIF. Refuses paths that are not there, those without source in a
//! language that weft reads, and names that nothing or several things have.

mod answer;
mod findings;
mod show;
mod walk;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use weft_models::graph::Bounds;
use weft_models::graph::query::Question;
use weft_models::reading::Reading;

use super::client::{connect, said};
use super::{Call, Output, block_on, say};
use crate::control::v1;
use crate::intake::graphs::READING_BYTES_MAX;

/// What to look at.
#[derive(Debug, Subcommand)]
pub(super) enum CodeCommand {
    /// Show who calls whom, and what is done outside: `~` marks what is inferred
    Graph {
        #[command(flatten)]
        code: Code,
        /// How to print
        #[arg(short, long, value_enum, default_value = "table")]
        output: GraphOutput,
    },
    /// Ask for callers, callees, the way between two, what a change reaches, costs, or what may be slow
    Query {
        #[command(subcommand)]
        query: Query,
    },
}

/// A question.
#[derive(Debug, Subcommand)]
pub(super) enum Query {
    /// What calls a function, class, library or effect
    Callers(Named),
    /// What a function calls and does
    Callees(Named),
    /// Everything that a change of it may change
    Impact(Named),
    /// The shortest way of calls from one to another
    Path {
        /// Where it begins
        from: String,
        /// Where it ends
        to: String,
        #[command(flatten)]
        code: Code,
        /// How to print
        #[arg(short, long, value_enum, default_value = "table")]
        output: GraphOutput,
    },
    /// How the time of each function grows, and what memory the program takes
    Costs {
        #[command(flatten)]
        code: Code,
        /// How to print
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// What may be slow
    Findings {
        #[command(flatten)]
        code: Code,
        /// How to print
        #[arg(short, long, value_enum, default_value = "table")]
        output: FindingsOutput,
    },
}

/// A question of one name.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its name, or the end of it as far as nothing else ends so
    name: String,
    #[command(flatten)]
    code: Code,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: GraphOutput,
}

/// Whose code.
#[derive(Debug, Args)]
pub(super) struct Code {
    /// Files and folders of one program
    #[arg(required_unless_present = "of", conflicts_with = "of")]
    paths: Vec<PathBuf>,
    /// A deployed segment instead
    #[arg(long, value_name = "SEGMENT")]
    of: Option<String>,
    /// The agent's control socket
    #[arg(long, default_value = "/run/weft/weft.sock")]
    socket: PathBuf,
}

/// How a graph is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphOutput {
    /// Columns for people.
    Table,
    /// Nodes and edges, for programs.
    Json,
    /// For Graphviz.
    Dot,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FindingsOutput {
    /// Columns for people.
    Table,
    /// A list, for programs.
    Json,
    /// SARIF 2.1.0, for editors and reviews.
    Sarif,
}

/// Does what the arguments say.
///
/// # Errors
/// What cannot be read, or is not there.
pub(super) fn run(command: &CodeCommand) -> anyhow::Result<()> {
    let json = |reading: &Reading| serde_json::to_string_pretty(&reading.graph).context("JSON");
    match command {
        CodeCommand::Graph { code, output } => {
            let reading = code.read()?;
            say(&match output {
                GraphOutput::Table => show::table(&reading.graph),
                GraphOutput::Json => format!("{}\n", json(&reading)?),
                GraphOutput::Dot => show::dot(&reading.graph),
            })
        }
        CodeCommand::Query { query } => ask(query),
    }
}

fn ask(query: &Query) -> anyhow::Result<()> {
    let of_name = |question, Named { name, code, output }: &Named| {
        let graph = code.read()?.graph;
        let node = graph.named(name)?;
        answer::answer(&graph, &graph.ask(question, node), *output)
    };
    say(&match query {
        Query::Callers(named) => of_name(Question::Callers, named)?,
        Query::Callees(named) => of_name(Question::Callees, named)?,
        Query::Impact(named) => of_name(Question::Impact, named)?,
        Query::Path { from, to, code, output } => {
            let graph = code.read()?.graph;
            let path = graph.path(graph.named(from)?, graph.named(to)?);
            ensure!(!path.is_empty(), "no call leads from `{from}` to `{to}`");
            answer::answer(&graph, &path, *output)?
        }
        Query::Costs { code, output } => findings::costs(&code.read()?.costs, *output)?,
        Query::Findings { code, output } => findings::findings(&code.read()?.costs, *output)?,
    })
}

impl Code {
    fn read(&self) -> anyhow::Result<Reading> {
        match &self.of {
            Some(segment) => block_on(self.deployed(segment)),
            None => self.here(),
        }
    }

    fn here(&self) -> anyhow::Result<Reading> {
        let bounds = Bounds::default();
        let files = walk::read(&self.paths, &bounds)?;
        ensure!(
            !files.is_empty(),
            "no source in a language that weft reads (Python, JavaScript, TypeScript, Go, Rust, Java). Name a file or \
             folder that has some"
        );
        Ok(Reading::of(&files, None, &bounds))
    }

    async fn deployed(&self, segment: &str) -> anyhow::Result<Reading> {
        let call = Call { socket: self.socket.clone(), output: Output::Json };
        let mut client = connect(&call).await?.max_decoding_message_size(READING_BYTES_MAX + 1024);
        let reply = client.code(v1::CodeRequest { segment: segment.to_owned() }).await.map_err(said)?;
        serde_json::from_slice(&reply.into_inner().json).context("the agent's answer")
    }
}
