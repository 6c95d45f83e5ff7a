//! The command line. In: arguments. Out: a table or JSON on standard output; errors, with cause and remedy, on
//! standard error. Exit 0 done, 1 failed, 2 wrong use.

mod client;
mod code;
mod deploy;
mod model;
mod record;
mod replay;
mod show;
mod table;
mod train;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};

use crate::config::Config;

/// Has the containers ready before the request.
#[derive(Debug, Parser)]
#[command(name = "weft", version, about)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// How a listing is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people.
    Table,
    /// JSON for programs.
    Json,
}

/// A call to a running agent.
#[derive(Debug, clap::Args)]
struct Call {
    /// The agent's control socket
    #[arg(long, default_value = "/run/weft/weft.sock")]
    socket: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent
    Agent {
        /// Configuration file, or a folder of them
        #[arg(long, default_value = "/etc/weft")]
        config: PathBuf,
    },
    /// Show what the agent does and how well
    Status {
        #[command(flatten)]
        call: Call,
    },
    /// Show the execution graphs that are alive
    Graphs {
        #[command(flatten)]
        call: Call,
        /// Show them again whenever they change, until the agent ends or nobody reads
        #[arg(short, long)]
        watch: bool,
    },
    /// Show the latest forecasts
    Forecasts {
        #[command(flatten)]
        call: Call,
        /// Show the way of each candidate of the latest forecast through the trees
        #[arg(long)]
        explain: bool,
        /// Show how well forecasts did, over all and for each segment
        #[arg(long, conflicts_with = "explain")]
        accuracy: bool,
    },
    /// Look at the model that forecasts, or go back to the one before
    Model {
        #[command(subcommand)]
        command: model::ModelCommand,
    },
    /// Show what a segment needs and its syscalls, or a line for each
    Profile {
        /// The segment
        segment: Option<String>,
        #[command(flatten)]
        call: Call,
    },
    /// Follow what happens, line by line
    Watch {
        /// The agent's control socket
        #[arg(long, default_value = "/run/weft/weft.sock")]
        socket: PathBuf,
        /// How to print
        #[arg(short, long, value_enum, default_value = "json")]
        output: Output,
    },
    /// Serve code: a folder, a file, a zip or a tar.gz; or the segment that a .toml file describes
    Deploy {
        /// What to serve
        path: PathBuf,
        #[command(flatten)]
        call: Call,
    },
    /// End the agent once its instances have no work left
    Drain {
        #[command(flatten)]
        call: Call,
    },
    /// Tell what this kernel and host can do
    Probe {
        /// How to print
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// Record the requests that a running agent sees, for `weft replay`
    Record(record::Arguments),
    /// Try policies on a trace of calls, on a virtual clock
    Replay(Box<replay::Replay>),
    /// Make the shipped models again from the traces
    Train(train::Train),
    /// Look at source as weft does
    Code {
        #[command(subcommand)]
        command: code::CodeCommand,
    },
    /// Check a configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read a configuration and say what is wrong with it
    Check {
        /// Configuration file, or a folder of them
        path: PathBuf,
    },
}

/// Does what the arguments say.
///
/// # Errors
/// What failed, with its cause and its remedy.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Agent { config } => agent(&config),
        Command::Probe { output } => show::probe(output),
        Command::Record(arguments) => block_on(record::record(arguments)),
        Command::Replay(arguments) => replay::replay(*arguments),
        Command::Code { command } => code::run(&command),
        Command::Config { command: ConfigCommand::Check { path } } => {
            let config = Config::load(&path)?;
            say(&format!("{}: {} segments, nothing wrong\n", path.display(), config.segments.len()))
        }
        Command::Status { call } => block_on(client::status(&call)),
        Command::Graphs { call, watch: false } => block_on(client::graphs(&call)),
        Command::Graphs { call, .. } => block_on(client::watch_graphs(&call)),
        Command::Forecasts { call, accuracy: true, .. } => block_on(client::accuracy(&call)),
        Command::Train(arguments) => train::train(&arguments),
        Command::Model { command } => block_on(model::run(&command)),
        Command::Forecasts { call, explain, .. } => block_on(client::forecasts(&call, explain)),
        Command::Profile { segment, call } => block_on(client::profile(&call, segment.unwrap_or_default())),
        Command::Watch { socket, output } => block_on(client::watch(&Call { socket, output })),
        Command::Deploy { path, call } => block_on(deploy::deploy(&call, &path)),
        Command::Drain { call } => block_on(client::drain(&call)),
    }
}

/// An error in words: the whole chain, so that the cause stands beside what it kept from happening. A cause that was told
/// with its effect is not told again.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn agent(path: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    raise_file_limit();
    // State and sockets are the agent's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the async runtime")?;
    let result = runtime.block_on(crate::app::run(config));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// As many open files as this process may have: each held connection takes two.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn block_on<T>(call: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the async runtime")?
        .block_on(call)
}

/// Prints; a reader that has gone away (as `head` does) is no failure.
fn say(text: &str) -> anyhow::Result<()> {
    say_more(text).map(drop)
}

/// Prints, and tells whether somebody still reads.
fn say_more(text: &str) -> anyhow::Result<Reader> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        result => result.map(|()| Reader::There).context("standard output"),
    }
}

/// Whoever reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error =
            anyhow::anyhow!("the door is locked").context("a: the door is locked. Open it").context("b");
        assert_eq!(told(&error), "b: a: the door is locked. Open it");
    }
}
