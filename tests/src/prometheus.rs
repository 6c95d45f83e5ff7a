//! A Prometheus of one's own.
//!
//! In: whom to scrape. Out: answers of the real program, which scrapes a few times a second and keeps its data in the
//! agent's directory. It ends with its handle. Refuses to go on without the program.
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::agent::Agent;
use crate::http::http_get;
use crate::wait::wait_for;

const READY: Duration = Duration::from_secs(90);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one that scrapes `agent`.
    ///
    /// # Errors
    /// When the program is missing (apt-get install prometheus), or does not get ready.
    pub fn scraping(agent: &Agent) -> Result<Self> {
        let directory = agent.place().directory().join("prometheus");
        fs::create_dir_all(&directory)?;
        let config = directory.join("prometheus.yml");
        let target = agent.metrics_address();
        let text = format!(
            "global:\n  scrape_interval: 250ms\n  scrape_timeout: 250ms\nscrape_configs:\n\
             - job_name: weft\n  static_configs:\n  - targets: ['{target}']\n"
        );
        fs::write(&config, text)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = fs::File::create(directory.join("log"))?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let process = command.spawn().context("start prometheus (apt-get install prometheus)")?;
        let this = Self { process, address };
        let ready = || http_get(address, "/-/ready", &[]).is_ok_and(|reply| reply.status == 200);
        wait_for("prometheus to get ready", READY, ready)?;
        Ok(this)
    }

    /// The value of an expression that has one; `None` as long as it has none.
    ///
    /// # Errors
    /// When Prometheus does not answer, or does not take the expression.
    pub fn value(&self, expression: &str) -> Result<Option<f64>> {
        let mut path = String::from("/api/v1/query?query=");
        for byte in expression.bytes() {
            write!(path, "%{byte:02x}")?;
        }
        let reply: Value = serde_json::from_str(&http_get(self.address, &path, &[])?.body)?;
        ensure!(reply["status"] == "success", "{expression}: {reply}");
        let value = reply["data"]["result"][0]["value"][1].as_str();
        Ok(value.map(str::parse).transpose()?)
    }

    /// Waits until an expression has this value.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait_for(&self, expression: &str, value: f64) -> Result<()> {
        let what = format!("{expression} to be {value}");
        wait_for(&what, READY, || self.value(expression).is_ok_and(|found| found == Some(value)))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `promtool check metrics` has to say about a scrape: nothing, if all is well.
///
/// # Errors
/// When the program is missing.
pub fn objections(text: &str) -> Result<String> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().context("start promtool (apt-get install prometheus)")?;
    let mut input = process.stdin.take().context("promtool has an input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = process.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Ok(if output.status.success() { said } else { format!("{}: {said}", output.status) })
}
