//! The `weft` binary: reads its arguments, does what they say, and is the only place that ends the process.

use std::process::ExitCode;

use clap::Parser;
use weft::cli::{Arguments, run, told};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}
