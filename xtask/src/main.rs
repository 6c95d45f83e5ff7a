//! The developer's commands: `cargo xtask COMMAND`. In: arguments. Out: what each step does and what came of it; exit
//! 0 done, 1 failed, 2 wrong use.

mod bench;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The developer's commands
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure weft against a reference; as root
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Bench(arguments) => bench::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
