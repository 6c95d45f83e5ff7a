//! `cargo xtask train WHAT`: makes the models that come with weft. In: programs of known cost, recorded measurements, or
//! this machine to make them on. Out: the model's bytes and its card beside it; the same of them give the same bytes.
mod cgroup;
mod cost;
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
    /// How the time of code grows: the trees of the analysis of cost
    Cost(cost::Arguments),
    /// What code needs: memory, cores, storage, network
    Sizing(sizing::Arguments),
}

/// Makes a model.
///
/// # Errors
/// What could not be measured, learned or written.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::Cost(arguments) => cost::run(arguments),
        What::Sizing(arguments) => sizing::run(arguments),
    }
}
