//! `weft` as people call it.
//!
//! In: arguments. Out: what it said on each side and how it ended. Refuses to wait longer than [`PATIENCE`]: a command
//! that hangs is killed and told as such.
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binary;
use crate::wait::wait_for_some;

const PATIENCE: Duration = Duration::from_secs(120);

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\nout: {}\nerr: {}", self.code, self.out, self.err)
    }
}

impl Said {
    /// Whether it failed as a tool should: exit 1, the reason on standard error alone, holding each of `words`, and
    /// neither a panic nor a wall of text.
    pub fn refuses(&self, words: &[&str]) -> bool {
        let told = words.iter().all(|word| self.err.contains(word));
        self.code == Some(1) && self.out.is_empty() && told && self.is_short()
    }

    /// Whether standard error holds no panic and at most a screen of text.
    pub fn is_short(&self) -> bool {
        !self.err.contains("panicked")
            && !self.err.contains("RUST_BACKTRACE")
            && self.err.lines().count() <= 12
    }
}

/// Runs the `weft` beside the running program.
///
/// # Errors
/// When it is missing, or does not end.
pub fn weft(arguments: &[&str]) -> Result<Said> {
    run_to_end(Command::new(binary("weft")?).args(arguments))
}

/// What a process may not do.
#[derive(Debug, Clone, Copy)]
pub enum Privileges {
    /// All of them are taken, and it is no root.
    All,
    /// It is root and has these alone, in the words of `setpriv`.
    AllBut(&'static [&'static str]),
}

/// Runs `weft` without privileges, from a copy that everybody may read.
///
/// # Errors
/// As [`weft`], and when `setpriv` (util-linux) is missing.
pub fn weft_without(privileges: Privileges, arguments: &[&str]) -> Result<Said> {
    let folder = Folder::new("unprivileged")?;
    let copy = folder.path().join("weft");
    std::fs::copy(binary("weft")?, &copy).context("copy weft")?;
    let mut command = Command::new("setpriv");
    match privileges {
        Privileges::All => {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
        }
        Privileges::AllBut(kept) => {
            let kept: String = kept.iter().map(|name| format!(",+{name}")).collect();
            command.arg(format!("--bounding-set=-all{kept}")).arg(format!("--inh-caps=-all{kept}"));
        }
    }
    run_to_end(command.arg(copy).args(arguments))
}

/// A command under way whose output is read line by line.
#[derive(Debug)]
pub struct Piped {
    child: Child,
    /// Its standard output.
    pub out: BufReader<ChildStdout>,
    err: thread::JoinHandle<String>,
}

impl Piped {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let out = BufReader::new(child.stdout.take().context("a command has an output")?);
        let err = read(child.stderr.take());
        Ok(Self { child, out, err })
    }

    /// Reads no more and waits for the end.
    ///
    /// # Errors
    /// When it goes on.
    pub fn close(self) -> Result<Said> {
        let Self { mut child, out, err } = self;
        drop(out);
        let ended = ended(&mut child, "a command that nobody reads");
        let err = err.join().unwrap_or_default();
        Ok(Said { code: ended?.code(), out: String::new(), err })
    }
}

/// Runs a command to its end.
pub(crate) fn run_to_end(command: &mut Command) -> Result<Said> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
    let out = read(child.stdout.take());
    let err = read(child.stderr.take());
    let ended = ended(&mut child, &format!("{command:?}"));
    let text = |thread: thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Said { code: ended?.code(), out: text(out), err: text(err) })
}

fn ended(child: &mut Child, what: &str) -> Result<ExitStatus> {
    let ended = wait_for_some(&format!("the end of {what}"), PATIENCE, || child.try_wait().ok().flatten());
    if ended.is_err() {
        // It may have ended in between.
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}

fn read(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what was said.
        let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A folder of one's own that everybody may read, removed when dropped.
#[derive(Debug)]
pub struct Folder(std::path::PathBuf);

impl Folder {
    /// Makes one; `name` tells its traces apart.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("weft-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it and returns its path as text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> Result<String> {
        let path = self.0.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a test moved away is as good as removed.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
