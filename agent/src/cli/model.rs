//! `weft model`: what forecasts are made by, and the way back. In: a running agent's socket, or the state folder of one
//! that does not run. Out: what the models are like. Refused: a rollback where no earlier model is kept, and a state
//! folder that an agent has in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::table::Table;
use super::{Call, client};
use crate::control::v1::{ModelCard, ModelsReply, ModelsRequest};
use crate::learn::store::Store;
use crate::learn::succession::Succession;

#[derive(Debug, clap::Subcommand)]
pub(super) enum ModelCommand {
    /// Show the model in charge and the one before it
    Show(Place),
    /// Put the model before the one in charge back in charge
    Rollback(Place),
}

/// Where the models are.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    call: Call,
    /// The state folder of an agent that does not run; a running one is asked over its socket
    #[arg(long)]
    state: Option<PathBuf>,
}

pub(super) async fn run(command: &ModelCommand) -> anyhow::Result<()> {
    let (place, roll_back) = match command {
        ModelCommand::Show(place) => (place, false),
        ModelCommand::Rollback(place) => (place, true),
    };
    let reply = match &place.state {
        Some(folder) => stored(folder, roll_back)?,
        None => {
            let mut agent = client::connect(&place.call).await?;
            agent.models(ModelsRequest { roll_back }).await.map_err(client::said)?.into_inner()
        }
    };
    client::print(&place.call, &reply, table)
}

/// Asks the folder itself.
fn stored(folder: &Path, roll_back: bool) -> anyhow::Result<ModelsReply> {
    // A folder that is not there is a mistyped name, not a new node.
    anyhow::ensure!(
        folder.is_dir(),
        "{}: there is no such folder; name the one of [agent] state",
        folder.display()
    );
    let store = Store::open(folder).context("An agent that runs is asked without --state")?;
    let (models, _current) = Succession::new(Arc::new(store));
    let models = if roll_back { models.roll_back()? } else { models.look()? };
    Ok(crate::control::models::models(&models))
}

fn table(reply: &ModelsReply) -> String {
    let head = ["model", "from", ">lessons", ">came", ">trees", ">leaves", ">depth", ">squared error"];
    let mut table = Table::new(&head);
    for (place, card) in [("in charge", &reply.current), ("before", &reply.before)] {
        if let Some(card) = card {
            table.row(row(place, card));
        }
    }
    table.text()
}

fn row(place: &str, card: &ModelCard) -> [String; 8] {
    let [rows, positives, trees, leaves, depth] =
        [card.rows, card.positives, card.trees, card.leaves, card.depth].map(|count| count.to_string());
    let from = if card.shipped { "shipped with weft" } else { "learned here" };
    let brier = card.brier.map_or_else(String::new, |brier| format!("{brier:.4}"));
    [place.to_owned(), from.to_owned(), rows, positives, trees, leaves, depth, brier]
}
