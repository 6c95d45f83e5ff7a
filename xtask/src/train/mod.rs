//! `cargo xtask train WHAT`: makes the models that come with weft. In: recorded measurements, or this machine to make
//! them on. Out: the model's bytes and its card beside it; the same measurements give the same bytes.
mod cgroup;
mod measure;
pub(crate) mod sizing;
pub(crate) mod table;

use anyhow::Result;
use clap::Subcommand;

/// Make the models that come with weft
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What code needs: memory, cores, storage, network
    Sizing(sizing::Arguments),
}

/// Makes a model.
///
/// # Errors
/// What could not be measured, learned or written.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::Sizing(arguments) => sizing::run(arguments),
    }
}
