//! Peers that are neural networks, in Python with PyTorch. In: sessions in a file. Out: how right their forecasts are and
//! what they cost, as `peers.py` says. They run in an environment of their own below `target/`, which is set up at the
//! first time. Refused: a machine without Python's venv or with too little room; scores of other events than ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::sessions::Sessions;
use crate::{command, repository};

/// What they are called in the table, and by the script.
pub(super) const MODELS: [(&str, &str); 2] = [("LSTM", "lstm"), ("Transformer", "transformer")];

const REQUIREMENTS: &str = include_str!("requirements.txt");
/// What the environment takes, with room for what is unpacked meanwhile.
const ROOM_BYTES: u64 = 8 << 30;

/// What the script tells of one peer.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Told {
    pub(super) hit1: f64,
    pub(super) hit3: f64,
    scored: usize,
    pub(super) cpu_us_per_forecast: f64,
    pub(super) train_s: f64,
    epochs: f64,
    width: u32,
    rate: f64,
    eagerness: f64,
}

impl Told {
    /// What was chosen, in words.
    pub(super) fn chosen(&self) -> String {
        let Self { epochs, width, rate, eagerness, .. } = self;
        let later = if *eagerness > 0.0 {
            format!("learned on while scored, at {eagerness} of that")
        } else {
            "did not learn on".to_owned()
        };
        format!("width {width}, learning rate {rate}, {epochs:.1} times through the past; {later}")
    }
}

/// The environment that the script runs in.
#[derive(Debug)]
pub(super) struct Python {
    program: PathBuf,
    folder: PathBuf,
    /// CPU seconds that each peer may take for one trace.
    seconds: f64,
}

impl Python {
    /// Sets the environment up, unless it is.
    ///
    /// # Errors
    /// When Python, its venv, the room on the disk or a package is missing.
    pub(super) fn ready(seconds: f64) -> Result<Self> {
        let folder = repository::target().join("bench/foresee");
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let home = folder.join("python");
        let program = home.join("bin/python");
        // Written last: an environment without it is half done.
        let mark = home.join("installed.txt");
        if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == REQUIREMENTS) {
            return Ok(Self { program, folder, seconds });
        }
        ensure!(command::is_in_path("python3"), "python3 is not there: {INSTALL}");
        let room = free_bytes(&folder)?;
        ensure!(
            room >= ROOM_BYTES,
            "{}: {} GB are free, PyTorch needs {}; make room or leave out --peers",
            folder.display(),
            room >> 30,
            ROOM_BYTES >> 30
        );
        eprintln!("sets up Python with PyTorch in {} (once; about 4.5 GB)", home.display());
        let venv =
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home).stdin(Stdio::null()).output();
        let venv = venv.context("start python3")?;
        if !venv.status.success() {
            let said = [venv.stdout, venv.stderr].concat();
            bail!("python3 -m venv: {}; {INSTALL}", String::from_utf8_lossy(&said).trim());
        }
        let list = folder.join("requirements.txt");
        std::fs::write(&list, REQUIREMENTS).with_context(|| format!("write {}", list.display()))?;
        let mut install = Command::new(&program);
        install.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps"]);
        install.args(["--only-binary", ":all:", "--requirement"]).arg(&list);
        // Standard output is for the result.
        let status = install.stdin(Stdio::null()).stdout(Stdio::null()).status().context("start pip")?;
        ensure!(
            status.success(),
            "{} does not install: {status}; it wants Python 3.11 to 3.14 and a way to a package index",
            command::shown(&install)
        );
        std::fs::write(&mark, REQUIREMENTS).with_context(|| format!("write {}", mark.display()))?;
        Ok(Self { program, folder, seconds })
    }

    /// Writes the sessions for the script and returns where.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn give(&self, sessions: &Sessions) -> Result<PathBuf> {
        let path = self.folder.join(format!("{}.events", sessions.trace.name.replace(' ', "-")));
        sessions.write(&path)?;
        Ok(path)
    }

    /// Trains and scores one of [`MODELS`].
    ///
    /// # Errors
    /// When the script fails, or scored other events than ours.
    pub(super) fn score(&self, model: &str, sessions: &Sessions, events: &Path) -> Result<Told> {
        let mut script = Command::new(&self.program);
        script.arg(repository::root().join("xtask/src/bench/foresee/peers.py"));
        script.arg("--events").arg(events).args(["--model", model]);
        script.args(["--cut", &sessions.cut.to_string(), "--until", &sessions.until.to_string()]);
        script.args(["--seconds", &self.seconds.to_string()]);
        script.env("OMP_NUM_THREADS", "1").env("MKL_NUM_THREADS", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        let output = script.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("start {}", self.program.display()))?;
        ensure!(output.status.success(), "{}: {}", command::shown(&script), output.status);
        read(&output.stdout, sessions.scored())
    }
}

const INSTALL: &str = "install it with its venv and pip: `apt-get install python3 python3-venv python3-pip`";

fn free_bytes(folder: &Path) -> Result<u64> {
    let room =
        rustix::fs::statvfs(folder).with_context(|| format!("ask for the room in {}", folder.display()))?;
    Ok(room.f_bavail * room.f_frsize)
}

/// What the script printed.
fn read(printed: &[u8], scored: usize) -> Result<Told> {
    let told: Told = serde_json::from_slice(printed)
        .with_context(|| format!("the script told {:?}", String::from_utf8_lossy(printed)))?;
    ensure!(told.scored == scored, "the script scored {} events, weft {scored}", told.scored);
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"{"hit1": 0.5, "hit3": 0.75, "scored": 8, "cpu_us_per_forecast": 120.5, "train_s": 3.5,
        "epochs": 2.04, "width": 64, "rate": 0.002, "eagerness": 0.3}"#;

    #[test]
    fn what_the_script_tells_is_read_and_its_choice_put_into_words() {
        let told = read(PRINTED.as_bytes(), 8).unwrap();
        assert_eq!((told.hit1, told.hit3, told.cpu_us_per_forecast), (0.5, 0.75, 120.5));
        let words = "width 64, learning rate 0.002, 2.0 times through the past; learned on while scored, at 0.3 of that";
        assert_eq!(told.chosen(), words);
        let idle = Told { eagerness: 0.0, ..told };
        assert!(idle.chosen().ends_with("did not learn on"));
    }

    #[test]
    fn scores_of_other_events_than_ours_are_refused() {
        let error = read(PRINTED.as_bytes(), 9).unwrap_err().to_string();
        assert_eq!(error, "the script scored 8 events, weft 9");
        assert!(read(b"Killed", 8).unwrap_err().to_string().contains("Killed"));
    }

    #[test]
    fn every_package_has_one_exact_version() {
        let packages = REQUIREMENTS.lines().filter(|line| !line.starts_with('#'));
        assert!(packages.clone().all(|line| line.contains("==")) && packages.clone().count() > 2);
        assert!(REQUIREMENTS.contains("torch=="));
    }
}
