//! The `weft` binary: reads its arguments, does what they say, and is the only place that ends the process.

use std::process::ExitCode;

use clap::Parser;
use weft::cli::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain, so that the cause stands beside what it kept from happening.
            eprintln!("weft: {error:#}");
            ExitCode::FAILURE
        }
    }
}
