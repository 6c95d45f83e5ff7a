//! `cargo xtask demo`: the whole of weft in a few minutes. In: a bare machine. Out: a small shop whose users are served
//! twice, first with weft only watching, then with weft weaving; a table, `target/demo/report.json`, and a picture.
//! Refuses to end well if one request failed. Leaves nothing on the machine, also after Ctrl-C.
mod live;
mod picture;
mod player;
mod record;
mod report;
mod shop;
mod stage;
mod upload;
mod users;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weft_tests::image::build_all;

use crate::stop::Stop;
use live::Progress;
use player::Part;
pub(crate) use player::play;
use record::Phase;
use report::Report;
use stage::{Act, Stage};
use users::{USERS, User};

use crate::command;
use crate::repository::root;
use crate::setup::{self, Purpose};

/// Play a small shop twice, with weft watching and with weft weaving, and show what it was worth
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run this weft instead of building one
    #[arg(long)]
    weft: Option<PathBuf>,
    /// What users and sessions are drawn from
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How long weft only watches, in seconds
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(20..=3600))]
    watch: u64,
    /// How long it weaves, in seconds
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(20..=3600))]
    weave: u64,
    /// Only draw the picture of the last run again
    #[arg(long)]
    redraw: bool,
}

/// Plays the demo.
///
/// # Errors
/// What does not start or work, an interruption, or requests that failed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let output = root().join("target/demo");
    if arguments.redraw {
        let phases = [Phase::read(&kept(&output, 1))?, Phase::read(&kept(&output, 2))?];
        return picture::draw([&phases[0], &phases[1]], &output);
    }
    let stop = Stop::listen()?;
    let outcome = ready(arguments).and_then(|weft| {
        stop.check()?;
        fs::create_dir_all(&output)?;
        story(arguments, &weft, &output, &stop)
    });
    // Whatever failed because of it: this was the cause.
    stop.check()?;
    outcome
}

/// What has to be there before the story begins: other programs, and a weft.
fn ready(arguments: &Arguments) -> Result<PathBuf> {
    setup::ready(&[Purpose::Demo])?;
    arguments.weft.clone().map_or_else(build, Ok)
}

fn story(arguments: &Arguments, weft: &Path, output: &Path, stop: &Stop) -> Result<()> {
    let progress = Progress::start();
    progress.stage("build the images of the shop: front, catalog, cart, checkout, price, stock");
    let archive = output.join("images.tar");
    let cache = root().join("target/images");
    build_all(&shop::images(&cache)?, &cache, &archive)?;
    stop.check()?;
    progress.stage("start a private containerd with these images, and weft, which only watches");
    let mut stage = Stage::open(weft, &archive)?;
    fs::remove_file(archive)?;
    stop.check()?;
    progress.stage(&format!("{USERS} users come to the shop; weft watches and learns"));
    let phase1 = act(&mut stage, arguments, false, stop)?;
    progress.stage("the same users come again, to other sessions; weft weaves");
    let phase2 = act(&mut stage, arguments, true, stop)?;
    progress.stage("a function is deployed from source: its graph, its costs, and the first request to it");
    let uploaded = stage.upload(output)?;
    progress.stage("end everything");
    stage.close()?;
    progress.stage("nothing is left on the machine; draw what happened");
    let report = Report::new([&phase1, &phase2], uploaded, arguments.seed, USERS, progress.seconds())?;
    fs::write(output.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    phase1.write(&kept(output, 1))?;
    phase2.write(&kept(output, 2))?;
    picture::draw([&phase1, &phase2], output)?;
    progress.stage("written:");
    for name in ["report.json", "timeline.svg", "timeline.png"] {
        println!("        {}", output.join(name).display());
    }
    print!("{}", report.tables());
    tell_failures([&phase1, &phase2]);
    ensure!(report.failed_requests == 0, "{} requests failed", report.failed_requests);
    Ok(())
}

fn act(stage: &mut Stage, arguments: &Arguments, weaving: bool, stop: &Stop) -> Result<Phase> {
    let (first, second) = (Duration::from_secs(arguments.watch), Duration::from_secs(arguments.weave));
    let phase = if weaving { first..first + second } else { Duration::ZERO..first };
    let part = |number| {
        let user = User::new(arguments.seed, number);
        Part { user: number, token: user.token(), sessions: user.sessions(arguments.seed, &phase) }
    };
    let plan: Vec<_> = (0..USERS).map(part).collect();
    let name = if weaving { "weaving " } else { "watching" };
    stage.play(&Act { name, weaving, length: phase.end - phase.start, plan: &plan }, stop)
}

/// The first few requests that failed, in words.
fn tell_failures(phases: [&Phase; 2]) {
    let failed = phases.into_iter().flat_map(|phase| &phase.asked).filter(|asked| !asked.succeeded());
    for asked in failed.take(5) {
        eprintln!("{} of {}: status {}: {}", asked.path, asked.segment, asked.status, asked.error);
    }
}

/// Builds the agent and returns where it is.
fn build() -> Result<PathBuf> {
    println!("demo: building weft");
    command::run(&mut command::cargo(["build", "--release", "--package", "weft"]))?;
    // The caller of the last act is started from beside this program.
    command::run(&mut command::cargo(["build", "--package", "xtask", "--package", "weft-tests", "--bins"]))?;
    let exe = std::env::current_exe()?;
    let target = exe.ancestors().nth(2).context("xtask is not in a target directory")?;
    Ok(target.join("release/weft"))
}

fn kept(output: &Path, phase: u64) -> PathBuf {
    output.join(format!("phase{phase}.json"))
}
