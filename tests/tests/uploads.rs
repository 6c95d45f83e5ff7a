//! Real functions on their way to their first request, as their senders and callers see it: an instance stands and listens
//! before anybody asks, and that instance serves.
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_tests::agent::{Agent, Uploads, Watch};
use weft_tests::http::Request;
use weft_tests::image::segment_binary;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);
const ACCESS: &str = "WEFTDEPLOYS";
const SECRET: &str = "a secret of the test alone";

const THUMBNAIL: &str = "
import numpy
from PIL import Image

def handler(event):
    pixels = numpy.full((10, 20, 3), 200, dtype=numpy.uint8)
    small = Image.fromarray(pixels).resize((int(event['query']['width']), 5))
    return {'size': small.size, 'mean': float(numpy.asarray(small).mean())}
";
const CLOCK: &str =
    "const ms = require('ms');\nexports.handler = async (event) => ({ long: ms(Number(event.query.ms)) });\n";
const CLOCK_PACKAGE: &str = r#"{ "name": "clock", "dependencies": { "ms": "2.1.3" } }"#;

/// A function, how it is asked, and what it answers.
struct Function {
    name: &'static str,
    folder: PathBuf,
    target: &'static str,
    answers: &'static str,
}

/// Python with two libraries in C, Node with one, and a program that needs nothing.
fn functions(root: &Path, cache: &Path) -> Result<Vec<Function>> {
    let write = |name: &str, files: &[(&str, &str)]| {
        let folder = root.join(name);
        fs::create_dir_all(&folder)?;
        files.iter().try_for_each(|(file, text)| fs::write(folder.join(file), text))?;
        anyhow::Ok(folder)
    };
    let thumbnail = write("thumbnail", &[("app.py", THUMBNAIL), ("requirements.txt", "numpy\npillow\n")])?;
    let clock = write("clock", &[("index.js", CLOCK), ("package.json", CLOCK_PACKAGE)])?;
    let program = write("program", &[("weft.toml", "name = 'program'\n")])?;
    fs::copy(segment_binary(cache)?, program.join("serve"))?;
    let size = r#"{"size": [7, 5], "mean": 200.0}"#;
    Ok(vec![
        Function { name: "thumbnail", folder: thumbnail, target: "/?width=7", answers: size },
        Function { name: "clock", folder: clock, target: "/?ms=60000", answers: r#"{"long":"1m"}"# },
        Function { name: "program", folder: program, target: "/", answers: "program" },
    ])
}

/// Asks a function for the first time: what served it was ready before, and is what served it.
fn first_request(agent: &Agent, watch: &Watch, function: &Function) -> Result<()> {
    let status = agent.status()?;
    let instances = status["instances"].as_array().context("a list of instances")?;
    let its: Vec<_> = instances.iter().filter(|one| one["segment"] == function.name).collect();
    let [instance] = its[..] else { anyhow::bail!("{}: {status}", function.name) };
    assert_eq!((&instance["state"], &instance["uses"]), (&"ready".into(), &0.into()), "{instance}");
    let segments = status["segments"].as_array().context("a list of segments")?;
    let segment = segments.iter().find(|one| one["name"] == function.name).context("it is served")?;
    let address: SocketAddr = segment["address"].as_str().context("an address")?.parse()?;

    let reply = agent.caller()?.send(&Request::get(address, function.target).patience(PATIENCE))?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.body.contains(function.answers), "{}", reply.body);

    let line = |wanted: &dyn Fn(&Value) -> bool| watch.lines().into_iter().find(|line| wanted(line));
    let is_request = |line: &Value| line["kind"] == "request" && line["segment"] == function.name;
    wait_for("the request to be told", PATIENCE, || line(&is_request).is_some())?;
    let request = line(&is_request).context("it was told")?;
    let is_ready = |line: &Value| {
        line["kind"] == "instance" && line["instance"] == instance["name"] && line["state"] == "ready"
    };
    let ready = line(&is_ready).context("the instance was told to be ready")?;
    assert_eq!(request["instance"], instance["name"], "another instance served it");
    let at = |line: &Value| line["at_ms"].as_f64().context("a time");
    ensure!(at(&ready)? < at(&request)?, "ready at {ready}, asked at {request}");
    Ok(())
}

/// Files of a test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("left behind: {}: {error}", self.0.display());
        }
    }
}

#[test]
fn functions_that_the_aws_client_copies_listen_before_their_first_request() -> Result<()> {
    let folder = Folder::new("weft-uploads")?;
    let secret_file = folder.0.join("secret");
    fs::write(&secret_file, SECRET)?;
    fs::set_permissions(&secret_file, fs::Permissions::from_mode(0o600))?;
    // Free when it is looked for; nobody else takes ports from this range meanwhile.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let uploads = Uploads { address, access_key: ACCESS.to_owned(), secret_file };
    let builder = Agent::builder("aws").keep_alive(Duration::from_secs(300)).uploads(uploads);
    let functions = functions(&folder.0, builder.cache_path())?;
    let agent = builder.start()?;
    let watch = agent.watch()?;
    for function in &functions {
        let zip = folder.0.join(format!("{}.zip", function.name));
        let mut pack = Command::new("python3");
        pack.args(["-m", "zipfile", "-c"]).arg(&zip).arg(&function.folder);
        ensure!(pack.status()?.success(), "the zip could not be made");
        let target = format!("s3://weft/{}.zip", function.name);
        let copied = Command::new("aws")
            .args(["--endpoint-url", &format!("http://{address}"), "--cli-read-timeout", "0", "s3", "cp"])
            .arg(&zip)
            .arg(target)
            .env("AWS_ACCESS_KEY_ID", ACCESS)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("HOME", &folder.0)
            .output()
            .context("start aws (pip install awscli)")?;
        ensure!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        first_request(&agent, &watch, function)?;
    }
    agent.stop()
}

#[test]
fn functions_that_weft_deploys_listen_before_their_first_request_and_are_told_their_profile() -> Result<()> {
    let folder = Folder::new("weft-deploys")?;
    let builder = Agent::builder("deploys").keep_alive(Duration::from_secs(300));
    let functions = functions(&folder.0, builder.cache_path())?;
    let agent = builder.start()?;
    let watch = agent.watch()?;
    for function in &functions {
        let path = function.folder.to_str().context("a path in UTF-8")?;
        let said = agent.weft(&["deploy", path])?;
        ensure!(said.contains(", profile "), "{said}");
        first_request(&agent, &watch, function)?;
    }
    // What was read of the code can be asked for, and says what the graph and the costs are.
    let costs: Value =
        serde_json::from_str(&agent.weft(&["code", "query", "costs", "--of", "thumbnail", "-o", "json"])?)?;
    assert_eq!(costs["entry"]["time"], "constant", "{costs}");
    let callees: Value = serde_json::from_str(&agent.weft(&[
        "code",
        "query",
        "callees",
        "handler",
        "--of",
        "thumbnail",
        "-o",
        "json",
    ])?)?;
    let names: Vec<_> =
        callees.as_array().context("a list")?.iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"numpy.full"), "{names:?}");
    agent.stop()
}

/// Both say whether something was there when they were asked, and load it then.
const LATE_PYTHON: &str = "import sys
def handler(event):
    loaded = 'colorsys' in sys.modules
    import colorsys
    return 'loaded' if loaded else 'late'
";
const LATE_NODE: &str = "exports.handler = async () => {
  const loaded = Object.keys(require.cache).some((file) => file.endsWith('/late.js'));
  require('./late.js');
  return loaded ? 'loaded' : 'late';
};
";

#[test]
fn what_a_handler_loads_only_when_it_is_asked_is_loaded_before_its_first_request() -> Result<()> {
    let folder = Folder::new("weft-late")?;
    let agent = Agent::builder("late").keep_alive(Duration::from_secs(300)).start()?;
    let caller = agent.caller()?;
    let files: [(&str, &[(&str, &str)]); 3] = [
        ("python", &[("app.py", LATE_PYTHON)]),
        ("node", &[("index.js", LATE_NODE), ("late.js", "")]),
        // Being asked for nothing in particular ends it; it is served all the same.
        (
            "touchy",
            &[(
                "app.py",
                "import os\ndef handler(event):\n    event['query'].get('a') or os._exit(3)\n    return 'loaded'\n",
            )],
        ),
    ];
    for (name, files) in files {
        let code = folder.0.join(name);
        fs::create_dir_all(&code)?;
        files.iter().try_for_each(|(file, text)| fs::write(code.join(file), text))?;
        let said = agent.weft(&["deploy", code.to_str().context("a path in UTF-8")?])?;
        let address: SocketAddr = said.trim_end().rsplit(' ').next().context("an address")?.parse()?;
        let reply = caller.send(&Request::get(address, "/?a=1").patience(PATIENCE))?;
        assert_eq!((reply.status, reply.body.as_str()), (200, "loaded"), "{name}");
    }
    agent.stop()
}

#[test]
fn limits_that_were_forecast_follow_what_the_runs_took() -> Result<()> {
    let folder = Folder::new("weft-light")?;
    let code = "def handler(event):\n    return sum(range(200_000))\n";
    let light = folder.0.join("light");
    fs::create_dir_all(&light)?;
    fs::write(light.join("app.py"), code)?;
    let path = light.to_str().context("a path in UTF-8")?;
    let often = Duration::from_secs(1);
    let mut agent = Agent::builder("light").keep_alive(Duration::from_secs(300)).resize(often).start()?;
    let said = agent.weft(&["deploy", path])?;
    let address: SocketAddr = said.trim_end().rsplit(' ').next().context("an address")?.parse()?;
    let profile = |agent: &Agent| -> Result<Value> {
        let text = agent.weft(&["profile", "light", "-o", "json"])?;
        Ok(serde_json::from_str::<Value>(&text)?["segments"][0].clone())
    };
    let limit_mib = |of: &Value| of["memory_limit_bytes"].as_u64().map(|bytes| bytes >> 20);
    let before = profile(&agent)?;
    assert_eq!((limit_mib(&before), &before["need"]["runs"]), (Some(128), &0.into()), "{before}");
    let caller = agent.caller()?;
    let asked = || {
        let reply = caller.send(&Request::get(address, "/").patience(PATIENCE));
        assert_eq!(reply.expect("an answer").status, 200, "while its limits change, too");
        profile(&agent).is_ok_and(|now| limit_mib(&now).is_some_and(|mib| mib < 100))
    };
    wait_for("the limit to follow the runs", PATIENCE, asked)?;
    let after = profile(&agent)?;
    let need = &after["need"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    assert!(number(&need["runs"]) >= 3.0 && number(&need["memory_mib"]["low"]) > 5.0, "{after}");
    // It computes from the request to the answer.
    assert!(number(&need["vcpu"]["low"]) > 0.1, "{after}");
    agent.restart()?;
    assert_eq!(limit_mib(&profile(&agent)?), limit_mib(&after), "the next agent knows what it needs");
    // What came last may still have been on its way to the disk.
    let kept = number(&profile(&agent)?["need"]["runs"]);
    assert!(kept >= 3.0, "{kept} runs are kept");
    fs::write(light.join("app.py"), code.replace("200_000", "200_001"))?;
    agent.weft(&["deploy", path])?;
    let next = profile(&agent)?;
    assert!(limit_mib(&next).is_some_and(|mib| mib < 100), "runs of the former version count: {next}");
    agent.stop()
}

#[test]
fn a_function_that_dies_of_a_memory_limit_that_was_forecast_gets_more_at_once() -> Result<()> {
    let folder = Folder::new("weft-hungry")?;
    let code = "held = b'x' * (180 << 20)\ndef handler(event):\n    more = b'y' * (int(event['query'].get('mib', '0')) << 20)\n    return len(more) >> 20\n";
    let hungry = folder.0.join("hungry");
    fs::create_dir_all(&hungry)?;
    fs::write(hungry.join("app.py"), code)?;
    let mut agent = Agent::builder("hungry").keep_alive(Duration::from_secs(300)).start()?;
    let said = agent.weft(&["deploy", hungry.to_str().context("a path in UTF-8")?])?;
    let address: SocketAddr = said.trim_end().rsplit(' ').next().context("an address")?.parse()?;
    let caller = agent.caller()?;
    let ask = |mib: u32| caller.send(&Request::get(address, &format!("/?mib={mib}")).patience(PATIENCE));
    // Its trial died of the first limit, and it was tried with more. An instance that dies while it answers gets a successor
    // with more memory.
    for mib in [1, 400] {
        let holds = || ask(mib).is_ok_and(|reply| reply.body == mib.to_string());
        wait_for("an instance that can hold it", PATIENCE, holds)?;
    }
    agent.restart()?;
    assert_eq!(ask(400)?.body, "400", "the next agent knows what it needs");
    agent.stop()
}
