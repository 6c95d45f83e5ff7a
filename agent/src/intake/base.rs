//! The systems that uploads run on. In: a language. Out: a layer of Debian packages with all they depend on, unpacked as
//! they are: no script of a package runs, documentation is left out, Python's own modules are compiled. Layers are kept by
//! the versions of their packages. Refuses nothing that apt resolves, and needs apt's lists, `dpkg-deb` and `tar`.
//!
//! All of this blocks; it is to be called where that does not matter.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::layer::{Layer, LayerWriter};
use super::project::{Language, Linked};

/// Raised when the way of unpacking changes: it is part of the cache's key.
const FORM: &str = "2";
/// Directories that are links into `/usr` on a merged system.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
const EMPTY: [&str; 11] =
    ["app", "dev", "etc", "home", "libraries", "proc", "root", "run", "sys", "tmp", "var/tmp"];
/// What nobody reads in a container.
const LEFT_OUT: [&str; 5] = ["doc", "man", "locale", "info", "lintian"];
/// Where apt keeps what it knows of packages; changed by `apt-get update` alone.
const LISTS: &str = "/var/lib/apt/lists";
/// A mirror that does not answer must not hold an upload for ever.
const APT: [&str; 6] =
    ["-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30", "-o", "Acquire::Retries=2"];

/// Why a system cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A program is missing or cannot be started.
    #[error(
        "`{program}` cannot be run: {source}. The agent makes images on Debian, with apt, dpkg and tar installed"
    )]
    Program {
        /// Which.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed: {message}. Where packages are not found, `apt-get update` may be needed")]
    Failed {
        /// Which.
        program: String,
        /// Its last words.
        message: String,
    },
    /// The cache cannot be used.
    #[error("{}: {source}. The cache of systems needs room and the right to write", path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The packages of a language, and those that install its libraries on top of them.
pub(super) fn packages(language: &Language) -> (&'static [&'static str], &'static [&'static str]) {
    match language {
        // Libraries that come built for any Linux count on these.
        Language::Python => {
            (&["python3", "libgomp1", "libstdc++6", "zlib1g"], &["python3-pip", "dash", "coreutils"])
        }
        Language::Node => (&["nodejs"], &["npm", "dash", "coreutils"]),
        Language::Executable { linked: Linked::Dynamically } => (&["libc6", "libgcc-s1"], &[]),
        Language::Executable { linked: Linked::Statically } => (&[], &[]),
    }
}

/// A folder of layers by the versions of their packages.
pub(super) struct BaseCache<'a> {
    directory: &'a Path,
}

impl<'a> BaseCache<'a> {
    pub(super) fn new(directory: &'a Path) -> Self {
        Self { directory }
    }

    /// The layer of `packages` without what the layer of `below` holds, from the cache where the same versions were
    /// unpacked before.
    pub(super) fn layer(&self, packages: &[&str], below: &[&str]) -> Result<Layer, BaseError> {
        fs::create_dir_all(self.directory).map_err(|source| self.cache(self.directory, source))?;
        // One at a time per cache: a second that wants the same finds it made.
        let lock = self.directory.join("lock");
        let held = File::create(&lock).map_err(|source| self.cache(&lock, source))?;
        flock(&held, FlockOperation::LockExclusive).map_err(|errno| self.cache(&lock, errno.into()))?;
        let under = if below.is_empty() { Vec::new() } else { self.resolve(below)? };
        let wanted: Vec<_> =
            self.resolve(packages)?.into_iter().filter(|package| !under.contains(package)).collect();
        let key = format!(
            "{:.32}",
            format!("{:x}", Sha256::digest(format!("{FORM} {} {}", under.join(" "), wanted.join(" "))))
        );
        let (tar, note) =
            (self.directory.join(format!("{key}.tar")), self.directory.join(format!("{key}.digest")));
        if let Some(layer) = fs::read_to_string(&note).ok().and_then(|digest| Layer::open(&tar, &digest)) {
            return Ok(layer);
        }
        let stage = Stage::new(self.directory.join(format!("stage-{key}")))?;
        let root = stage.0.join("root");
        self.unpack_all(&wanted, under.is_empty(), &stage.0, &root)?;
        if under.is_empty() {
            compile_python(&root);
        }
        let layer = pack(&root, &stage.0.join("layer.tar")).map_err(|source| self.cache(&root, source))?;
        fs::rename(&layer.path, &tar).map_err(|source| self.cache(&tar, source))?;
        fs::write(&note, &layer.digest).map_err(|source| self.cache(&note, source))?;
        Ok(Layer { path: tar, ..layer })
    }

    fn cache(&self, path: &Path, source: io::Error) -> BaseError {
        BaseError::Cache { path: path.to_owned(), source }
    }

    /// What has to be there for these packages on an empty system, as `name=version`, sorted. Asked of apt once per
    /// state of its lists: it takes two seconds to answer.
    fn resolve(&self, packages: &[&str]) -> Result<Vec<String>, BaseError> {
        let changed = fs::metadata(LISTS).and_then(|metadata| metadata.modified());
        let changed = changed.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let note = self.directory.join(format!("{}.{}.packages", packages.join("+"), changed.as_nanos()));
        if let Ok(text) = fs::read_to_string(&note) {
            return Ok(text.lines().map(str::to_owned).collect());
        }
        let status = self.directory.join("empty-status");
        fs::write(&status, "").map_err(|source| self.cache(&status, source))?;
        let mut command = Command::new("apt-get");
        command.args(["--simulate", "--no-install-recommends", "-o"]);
        command.arg(format!("Dir::State::status={}", status.display())).arg("install").args(packages);
        let plan = run(&mut command)?;
        // "Inst NAME (VERSION ORIGIN [ARCHITECTURE])"
        let lines = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_once(" ("));
        let mut resolved: Vec<_> = lines
            .filter_map(|(name, rest)| Some(format!("{name}={}", rest.split_whitespace().next()?)))
            .collect();
        resolved.sort();
        fs::write(&note, resolved.join("\n")).map_err(|source| self.cache(&note, source))?;
        Ok(resolved)
    }

    fn unpack_all(
        &self,
        packages: &[String],
        ground: bool,
        stage: &Path,
        root: &Path,
    ) -> Result<(), BaseError> {
        let failed = |source| self.cache(root, source);
        fs::create_dir_all(root).map_err(failed)?;
        lay_out(root, ground).map_err(failed)?;
        let debs = stage.join("debs");
        fs::create_dir_all(&debs).map_err(failed)?;
        run(Command::new("apt-get").args(APT).arg("download").args(packages).current_dir(&debs))?;
        for deb in fs::read_dir(&debs).map_err(failed)? {
            unpack(&deb.map_err(failed)?.path(), root)?;
        }
        for directory in LEFT_OUT {
            // Not every package has each.
            let _ = fs::remove_dir_all(root.join("usr/share").join(directory));
        }
        Ok(())
    }
}

/// A merged system's folders; the ground also holds those that are empty in an image.
fn lay_out(root: &Path, ground: bool) -> io::Result<()> {
    for name in MERGED {
        fs::create_dir_all(root.join("usr").join(name))?;
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name))?;
    }
    if !ground {
        return places_to_install(root);
    }
    for name in EMPTY {
        fs::create_dir_all(root.join(name))?;
    }
    for name in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o1777))?;
    }
    // What base-passwd's script would have written.
    let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/false\n";
    fs::write(root.join("etc/passwd"), users)?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")
}

/// What is mounted while libraries are installed; a root that is read-only must have the places for it.
fn places_to_install(root: &Path) -> io::Result<()> {
    for name in ["declared", "scratch", "etc/ssl/certs"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), "")
}

fn unpack(deb: &Path, root: &Path) -> Result<(), BaseError> {
    let program = |program: &str, source| BaseError::Program { program: program.to_owned(), source };
    let mut reader = Command::new("dpkg-deb");
    let reader = reader.arg("--fsys-tarfile").arg(deb).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut reader = reader.spawn().map_err(|source| program("dpkg-deb", source))?;
    let mut writer = Command::new("tar");
    // A package that has /lib must not replace the link by a directory.
    writer.args(["--extract", "--keep-directory-symlink", "--directory"]).arg(root);
    writer.stdin(reader.stdout.take().map_or_else(Stdio::null, Stdio::from));
    let written = writer.output().map_err(|source| program("tar", source))?;
    let read = reader.wait().map_err(|source| program("dpkg-deb", source))?;
    if read.success() && written.status.success() {
        return Ok(());
    }
    let message = format!("{}: {}", deb.display(), tail(&written.stderr));
    Err(BaseError::Failed { program: "dpkg-deb | tar".to_owned(), message })
}

/// As the packages' scripts would: without it every start compiles what it imports. By hash, since a layer has no times.
/// What runs here is Debian's alone.
fn compile_python(root: &Path) {
    if !root.join("usr/bin/python3").exists() {
        return;
    }
    let mut command = Command::new("chroot");
    command.arg(root).args(["/usr/bin/python3", "-m", "compileall", "-qq"]);
    command.args(["--invalidation-mode", "unchecked-hash"]);
    let libraries = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
    let libraries = libraries.map(|entry| entry.file_name());
    let libraries = libraries.filter(|name| name.to_string_lossy().starts_with("python3"));
    command.args(libraries.map(|name| Path::new("/usr/lib").join(name)));
    // A module that does not compile here is one that would not run either; uncompiled ones only start slower.
    if let Err(error) = run(&mut command) {
        tracing::debug!(%error, "not every module of Python was compiled");
    }
}

fn pack(root: &Path, tar: &Path) -> io::Result<Layer> {
    let mut writer = LayerWriter::create(tar)?;
    writer.folder("", root)?;
    writer.finish()
}

/// Runs a program of Debian's to its end and returns what it printed.
fn run(command: &mut Command) -> Result<String, BaseError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output();
    let output = output.map_err(|source| BaseError::Program { program: program.clone(), source })?;
    if !output.status.success() {
        return Err(BaseError::Failed { program, message: tail(&output.stderr) });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The end of what a program said.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}

/// A folder that is gone at the end.
struct Stage(PathBuf);

impl Stage {
    fn new(path: PathBuf) -> Result<Self, BaseError> {
        // Left by a build that was killed: the lock says that nobody is in it.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|source| BaseError::Cache { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a folder of the build is left");
        }
    }
}
