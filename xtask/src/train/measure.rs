//! Runs of the seed functions, measured. In: their folder. Out: a record per run. Each run is a new process in its own
//! cgroup and its own network, in which a small server answers; one run before the others warms the page cache. The
//! length of a run is that on an idle machine: what its main thread waited for processors that others had is taken off. The
//! peak is the larger of the cgroup's and the process's own: pages of libraries that others hold are charged to those.
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::cgroup::Cgroup;
use super::table::Record;

/// Runs per size.
const RUNS: u32 = 3;
/// Starts of the functions' first lines, before their sizes.
const SIZES: [&str; 2] = ["# sizes: ", "// sizes: "];
/// What is no function in the folder.
const DRIVERS: [&str; 3] = ["run.py", "run.js", "serve.py"];

/// What a driver prints.
#[derive(Deserialize)]
struct Took {
    cpu_us: u64,
    wall_us: u64,
    storage_bytes: u64,
    network_bytes: u64,
    peak_rss_bytes: u64,
}

/// The files of the functions, in the order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn functions(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_source = name.ends_with(".py") || name.ends_with(".js");
        if is_source && !DRIVERS.contains(&name.as_str()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Runs all of them.
///
/// # Errors
/// What cannot be started, fails, or is not counted by the kernel.
pub(super) fn all(folder: &Path) -> Result<Vec<Record>> {
    let scratch = std::env::temp_dir().join(format!("weft-sizing-{}", std::process::id()));
    let mut records = Vec::new();
    for path in functions(folder)? {
        let function = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for size in sizes(&path)? {
            eprintln!("train: {function} {size}");
            fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
            let runs = of_size(folder, &path, size, &scratch).with_context(|| format!("{function} {size}"));
            fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
            let record = |(run, took): (usize, Record)| Record {
                function: function.clone(),
                size,
                run: run as u32,
                ..took
            };
            records.extend(runs?.into_iter().enumerate().map(record));
        }
    }
    Ok(records)
}

fn sizes(path: &Path) -> Result<Vec<u64>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let first = text.lines().next().unwrap_or_default();
    let list = SIZES.iter().find_map(|start| first.strip_prefix(start));
    let list = list.with_context(|| format!("{}: the first line tells no sizes", path.display()))?;
    list.split_whitespace().map(|size| size.parse().with_context(|| format!("size `{size}`"))).collect()
}

fn of_size(folder: &Path, path: &Path, size: u64, scratch: &Path) -> Result<Vec<Record>> {
    let driver = |url: &str, mode: &str| {
        let (program, driver) = match path.extension().is_some_and(|ending| ending == "py") {
            true => ("/usr/bin/python3", "run.py"),
            false => ("node", "run.js"),
        };
        let mut words = vec![program.to_owned(), folder.join(driver).display().to_string()];
        words.extend([path.display().to_string(), size.to_string(), scratch.display().to_string()]);
        words.extend([url.to_owned(), mode.to_owned()]);
        words
    };
    let words = driver("-", "prepare");
    let prepared = Command::new(&words[0]).args(&words[1..]).env("PYTHONDONTWRITEBYTECODE", "1").status();
    let prepared = prepared.with_context(|| format!("start {}", words[0]))?;
    ensure!(prepared.success(), "it cannot be prepared: {prepared}");
    let server = Server::start(folder)?;
    let mut records = Vec::new();
    for run in 0..=RUNS {
        let record = one(&server, &driver)?;
        if run > 0 {
            records.push(record);
        }
    }
    Ok(records)
}

/// One process in a new cgroup.
fn one(server: &Server, driver: &dyn Fn(&str, &str) -> Vec<String>) -> Result<Record> {
    let cgroup = Cgroup::make()?;
    let enter = cgroup.doors().iter().map(|door| format!("echo $$ > {}", door.display())).collect::<Vec<_>>();
    let script = format!("set -e; {}; exec \"$@\"", enter.join("; "));
    let mut command = server.beside("sh");
    command.args(["-c", &script, "sh"]).args(driver(&server.url, "run"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.stdin(Stdio::null()).output().context("start nsenter")?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let took: Took = serde_json::from_slice(&output.stdout).context("the driver's answer")?;
    Ok(Record {
        function: String::new(),
        size: 0,
        run: 0,
        cpu_us: took.cpu_us,
        wall_us: took.wall_us,
        memory_peak_bytes: cgroup.memory_peak()?.max(took.peak_rss_bytes),
        storage_bytes: took.storage_bytes.max(cgroup.io_bytes()),
        network_bytes: took.network_bytes,
    })
}

/// A server alone in a network of its own.
struct Server {
    child: Child,
    /// Held open: the server would not outlive a broken pipe.
    _output: BufReader<ChildStdout>,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(folder: &Path) -> Result<Self> {
        let script = "ip link set lo up && exec /usr/bin/python3 \"$1\"";
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", script, "sh"]).arg(folder.join("serve.py"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("start unshare; run it as root")?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut server = Self { child, _output: BufReader::new(output), url: String::new() };
        let mut port = String::new();
        server._output.read_line(&mut port).context("the server's port")?;
        ensure!(!port.trim().is_empty(), "the server did not start");
        server.url = format!("http://127.0.0.1:{}", port.trim());
        Ok(server)
    }

    /// A command in the server's network.
    fn beside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([&format!("--net=/proc/{}/ns/net", self.child.id()), program]);
        command
    }
}
