//! The chart, rendered and judged without helm and without a cluster.
//!
//! In: values, as YAML. Out: the manifests that `helm template` would print, and the word of Kubernetes' own schemas on
//! them. Refuses what the chart's schema refuses. A machine that lacks a tool is told what to install.
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use serde_json::Value;

/// Debian's packages that the renderer is built from.
const GO_PACKAGES: &str = "golang-go golang-github-masterminds-sprig-dev golang-github-xeipuuv-gojsonschema-dev \
                           golang-k8s-sigs-yaml-dev";
const PYTHON_PACKAGES: &str = "python3 python3-venv";
/// Carries the schemas of Kubernetes 1.25 to 1.37.
const KUBERNETES_VALIDATE: &str = "kubernetes-validate==1.37.0";

/// The chart's folder.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm/weft")
}

/// What a chart becomes.
#[derive(Debug, Clone, Deserialize)]
pub struct Rendered {
    /// What the installer is shown.
    pub notes: String,
    /// The manifests, in the order of their templates' names.
    pub manifests: Vec<Manifest>,
}

/// One object for the cluster.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// The template it comes from.
    pub source: String,
    /// As printed.
    pub text: String,
    /// What the text means.
    pub value: Value,
}

impl Rendered {
    /// The only object of a kind.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn only(&self, kind: &str) -> Result<&Value> {
        let mut found =
            self.manifests.iter().map(|manifest| &manifest.value).filter(|value| value["kind"] == kind);
        let first = found.next().with_context(|| format!("no {kind} is rendered"))?;
        if found.next().is_some() {
            bail!("more than one {kind} is rendered");
        }
        Ok(first)
    }
}

/// `tests/helm-render`, built.
#[derive(Debug, Clone)]
pub struct Renderer(PathBuf);

impl Renderer {
    /// Builds it below `cache`.
    ///
    /// # Errors
    /// When Go or one of its packages is missing; the message says what to install.
    pub fn build(cache: &Path) -> Result<Self> {
        let _lock = lock(cache)?;
        let program = cache.join("helm-render");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(".");
        go.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("helm-render"));
        // Debian puts Go packages there, and modules would be downloaded.
        go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", cache.join("go"));
        go.env("GOENV", "off").env("GOFLAGS", "");
        run(go, b"")
            .with_context(|| format!("the chart's renderer is not built: apt-get install {GO_PACKAGES}"))?;
        Ok(Self(program))
    }

    /// Renders the chart with `values` (YAML) for a cluster of version `kubernetes`.
    ///
    /// # Errors
    /// What the chart's schema or its templates say against the values.
    pub fn render(&self, values: &str, kubernetes: &str) -> Result<Rendered> {
        let mut render = Command::new(&self.0);
        render.args(["--values", "-", "--kube-version", kubernetes]).arg(chart());
        Ok(serde_json::from_slice(&run(render, values.as_bytes())?)?)
    }
}

/// The schemas of Kubernetes.
#[derive(Debug, Clone)]
pub struct Schemas(PathBuf);

impl Schemas {
    /// Installs their validator into an environment of its own below `cache`.
    ///
    /// # Errors
    /// When Python or its package index is missing; the message says what to install.
    pub fn install(cache: &Path) -> Result<Self> {
        let _lock = lock(cache)?;
        let home = cache.join("kubernetes-validate");
        let (python, done) = (home.join("bin/python"), home.join(KUBERNETES_VALIDATE));
        if !done.exists() {
            let mut make = Command::new("python3");
            make.args(["-m", "venv", "--clear"]).arg(&home);
            run(make, b"")
                .with_context(|| format!("no environment for Python: apt-get install {PYTHON_PACKAGES}"))?;
            let mut install = Command::new(&python);
            install.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                KUBERNETES_VALIDATE,
            ]);
            run(install, b"")
                .with_context(|| format!("pip install {KUBERNETES_VALIDATE}; is the index reached?"))?;
            fs::write(done, "")?;
        }
        Ok(Self(python))
    }

    /// Judges each manifest by the schemas of a version, where unknown fields are errors too. Answers with the kinds
    /// that Kubernetes itself does not know.
    ///
    /// # Errors
    /// The first object, field and reason against it.
    pub fn check(&self, rendered: &Rendered, version: &str) -> Result<Vec<String>> {
        let mut check = Command::new(&self.0);
        check.args(["-m", "kubernetes_validate", "--strict", "--kubernetes-version", version, "-"]);
        let texts: Vec<_> = rendered.manifests.iter().map(|manifest| manifest.text.as_str()).collect();
        let said = run(check, texts.join("\n---\n").as_bytes())?;
        // A line for each object, in their order.
        let said = String::from_utf8(said)?;
        let lines: Vec<_> = said.lines().collect();
        ensure!(lines.len() == texts.len(), "{} objects, and this was said of them: {said}", texts.len());
        let mut unknown = Vec::new();
        for (line, manifest) in lines.iter().zip(&rendered.manifests) {
            if line.starts_with("WARN") && line.contains("find schema") {
                unknown.extend(manifest.value["kind"].as_str().map(str::to_owned));
            } else {
                ensure!(line.ends_with(&format!("against version {version}")), "{}: {line}", manifest.source);
            }
        }
        Ok(unknown)
    }
}

/// Two test programs that run at the same time take turns. Released when dropped.
fn lock(cache: &Path) -> Result<fs::File> {
    fs::create_dir_all(cache).with_context(|| format!("make {}", cache.display()))?;
    let file = fs::File::create(cache.join("lock"))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Runs a command to its end and returns what it printed; an error is what it complained of.
fn run(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = Path::new(command.get_program()).file_name().unwrap_or(OsStr::new("?")).to_owned();
    let mut child = command.spawn().with_context(|| format!("start {}", name.display()))?;
    // All that is ever sent fits the pipe, and one who does not read it has ended: its own words tell more.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input));
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    if !status.success() {
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        bail!("{}: {status}: {}{}", name.display(), out, err.trim());
    }
    Ok(stdout)
}
