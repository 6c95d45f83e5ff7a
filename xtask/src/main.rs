//! The developer's commands: `cargo xtask COMMAND`. In: arguments. Out: what each step does and what came of it; exit
//! 0 done, 1 failed, 2 wrong use. Everything beyond cargo and a C compiler is installed by `setup`, or named.

mod bench;
mod ci;
mod command;
mod data;
mod demo;
mod ebpf;
mod repository;
mod setup;
mod stop;
mod test;
mod tidy;
mod train;

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
    /// Install what building, testing and the demonstration need; as root on Debian, else say what to install
    Setup(setup::Arguments),
    /// Build the kernel programs written in Rust and show what became of them
    Ebpf,
    Demo(demo::Arguments),
    /// The demo's users; started by it inside the watched cgroup
    #[command(hide = true)]
    DemoPlayer,
    /// Run every test; the system tests need root
    Test(test::Arguments),
    /// Measure weft against a reference; as root
    Bench(bench::Arguments),
    Train(train::Arguments),
    /// Check the repository's own rules
    Tidy(tidy::Arguments),
    /// Run what every change must pass: format, lints, rules, tests
    Ci,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = command::with_tools_in_path().and_then(|()| match arguments.task {
        Task::Setup(arguments) => setup::run(&arguments),
        Task::Ebpf => ebpf::run(),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::DemoPlayer => demo::play(),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Train(arguments) => train::run(&arguments),
        Task::Tidy(arguments) => tidy::run(&arguments),
        Task::Ci => ci::run(),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain, so that the cause stands beside what it kept from happening.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
