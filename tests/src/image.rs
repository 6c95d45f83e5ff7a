//! Images without a registry.
//!
//! In: directories, single files and names of Debian packages. Out: an OCI layout in a tar archive that
//! `ctr images import` takes, the same bytes for the same input. Layers are kept in a cache by their content's key,
//! so images with equal layers share them. Refuses what `tar` or `apt-get` refuse, with their words.
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::containerd::run;

mod debs;

/// Describes an image; [`ImageBuilder::build`] or [`build_all`] writes it.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    name: String,
    layers: Vec<Layer>,
    env: Vec<String>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    working_dir: String,
    user: String,
}

#[derive(Debug, Clone)]
enum Layer {
    Directory(PathBuf),
    Files(Vec<File>),
    Debs(Vec<String>),
}

#[derive(Debug, Clone)]
struct File {
    path: String,
    bytes: Vec<u8>,
    mode: u32,
}

impl ImageBuilder {
    /// An image without layers, `name` as containerd lists it, e.g. `shop/cart:1`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            layers: Vec::new(),
            env: Vec::new(),
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            working_dir: String::new(),
            user: String::new(),
        }
    }

    /// Gives the image another name, to make a variant of one that was described before.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a directory's content as a layer.
    pub fn layer_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.layers.push(Layer::Directory(directory.into()));
        self
    }

    /// Adds a layer of one file; `path` is absolute in the image.
    pub fn layer_file(mut self, bytes: impl Into<Vec<u8>>, path: impl Into<String>, mode: u32) -> Self {
        self.layers.push(Layer::Files(vec![File { path: path.into(), bytes: bytes.into(), mode }]));
        self
    }

    /// Adds Debian packages with all they depend on as a layer, their Python modules compiled.
    pub fn layer_debs(mut self, packages: &[&str]) -> Self {
        self.layers.push(Layer::Debs(packages.iter().map(|&package| package.to_owned()).collect()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// Sets the program and its fixed arguments.
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Sets the default arguments.
    pub fn cmd(mut self, words: &[&str]) -> Self {
        self.cmd = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Sets the working directory.
    pub fn working_dir(mut self, path: &str) -> Self {
        path.clone_into(&mut self.working_dir);
        self
    }

    /// Sets the user, `uid[:gid]`.
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// Writes this image alone.
    ///
    /// # Errors
    /// As [`build_all`].
    pub fn build(&self, cache: &Path, archive: &Path) -> Result<()> {
        build_all(std::slice::from_ref(self), cache, archive)
    }

    fn config(&self, layers: &[Blob]) -> Value {
        let digests: Vec<_> = layers.iter().map(|layer| &layer.digest).collect();
        json!({
            "architecture": go_architecture(),
            "os": "linux",
            "config": {
                "Env": self.env,
                "Entrypoint": self.entrypoint,
                "Cmd": self.cmd,
                "WorkingDir": self.working_dir,
                "User": self.user,
            },
            "rootfs": { "type": "layers", "diff_ids": digests },
        })
    }
}

/// A file of the layout.
#[derive(Debug, Clone)]
struct Blob {
    digest: String,
    size: u64,
}

impl Blob {
    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.size })
    }
}

/// Writes several images into one archive; a layer they share is in it once. `cache` is made when absent and may
/// be kept between runs.
///
/// # Errors
/// When two images have the same name, a package cannot be fetched, or a file not be read or written.
pub fn build_all(images: &[ImageBuilder], cache: &Path, archive: &Path) -> Result<()> {
    let mut names = std::collections::HashSet::new();
    for image in images {
        // containerd would keep the last one and collect the others while it still imports them.
        ensure!(names.insert(&image.name), "two images are called {}", image.name);
    }
    // One at a time per cache: tar takes a layer that another build links or replaces for one that changes.
    fs::create_dir_all(cache).with_context(|| format!("make {}", cache.display()))?;
    let lock = fs::File::create(cache.join("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    let stage = Stage::new(cache)?;
    let blobs = stage.path().join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let mut manifests = Vec::new();
    let mut made = BTreeMap::new();
    for image in images {
        let layers = image.layers.iter().map(|layer| cached_layer(layer, cache, &blobs, &mut made));
        let layers =
            layers.collect::<Result<Vec<_>>>().with_context(|| format!("layers of {}", image.name))?;
        let config = write_blob(&blobs, &serde_json::to_vec(&image.config(&layers))?)?;
        let tars: Vec<_> =
            layers.iter().map(|layer| layer.descriptor("application/vnd.oci.image.layer.v1.tar")).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": tars,
        });
        let manifest = write_blob(&blobs, &serde_json::to_vec(&manifest)?)?;
        let mut entry = manifest.descriptor("application/vnd.oci.image.manifest.v1+json");
        // containerd takes this name as it stands; of the OCI's own annotation it would use the tag alone.
        entry["annotations"] = json!({ "io.containerd.image.name": image.name });
        manifests.push(entry);
    }
    fs::write(stage.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    fs::write(stage.path().join("index.json"), serde_json::to_vec(&index)?)?;
    tar(stage.path(), archive)
}

/// Layers of packages that this build has made: asking apt-get what they are takes longer than all the rest.
type Made = BTreeMap<Vec<String>, Blob>;

/// Puts a layer into the layout, from the cache where it is there.
fn cached_layer(layer: &Layer, cache: &Path, blobs: &Path, made: &mut Made) -> Result<Blob> {
    let blob = match layer {
        Layer::Directory(directory) => store(cache, |archive| tar(directory, archive))?,
        Layer::Files(files) => store(cache, |archive| tar_files(files, cache, archive))?,
        Layer::Debs(packages) => match made.get(packages) {
            Some(blob) => blob.clone(),
            None => {
                let blob = debs::layer(packages, cache)?;
                made.entry(packages.clone()).or_insert(blob).clone()
            }
        },
    };
    let name = hex_of(&blob.digest)?;
    match fs::hard_link(cache.join(name), blobs.join(name)) {
        // Two equal layers in one layout are one.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error).context("link a layer"),
        _ => Ok(blob),
    }
}

/// Makes an archive and keeps it in the cache under its digest.
fn store(cache: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<Blob> {
    let stage = Stage::new(cache)?;
    let archive = stage.path().join("layer.tar");
    make(&archive)?;
    let blob = Blob { digest: digest_of_file(&archive)?, size: fs::metadata(&archive)?.len() };
    fs::rename(&archive, cache.join(hex_of(&blob.digest)?))?;
    Ok(blob)
}

fn tar_files(files: &[File], cache: &Path, archive: &Path) -> Result<()> {
    let stage = Stage::new(cache)?;
    for file in files {
        let path = stage.path().join(file.path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().context("a file needs a name")?)?;
        fs::write(&path, &file.bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    }
    tar(stage.path(), archive)
}

/// The same tree gives the same bytes: sorted, without times and owners.
fn tar(directory: &Path, archive: &Path) -> Result<()> {
    ensure!(directory.is_dir(), "{} is no directory", directory.display());
    let mut command = Command::new("tar");
    command.args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    command.args(["--format=gnu", "--hard-dereference", "--file"]).arg(archive);
    command.arg("--directory").arg(directory).arg(".");
    run(&mut command).map(drop)
}

fn write_blob(blobs: &Path, bytes: &[u8]) -> Result<Blob> {
    let blob = Blob { digest: digest(bytes), size: bytes.len() as u64 };
    fs::write(blobs.join(hex_of(&blob.digest)?), bytes)?;
    Ok(blob)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn digest_of_file(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("sha256:{:x}", hasher.finalize())),
            length => hasher.write_all(&buffer[..length])?,
        }
    }
}

fn hex_of(digest: &str) -> Result<&str> {
    digest.strip_prefix("sha256:").context("a digest is a sha256")
}

fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A temporary directory beside the cache's files, so that renaming and linking work; removed when dropped.
#[derive(Debug)]
struct Stage(PathBuf);

impl Stage {
    fn new(cache: &Path) -> Result<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("stage-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = cache.join(name);
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Builds the fixture server of this package as one static file, once per state of its source, and returns where
/// it is. Needs `rustc`, nothing else: it has no dependency.
///
/// # Errors
/// What the compiler said.
pub fn segment_binary(cache: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("segment/src");
    static_binary("segment", &source, &["main.rs", "http.rs", "calls.rs"], cache)
}

/// Builds a Rust program without dependencies as one static file, once per state of its source, and returns where it
/// is. The first of `files` is its root.
///
/// # Errors
/// What the compiler said.
pub fn static_binary(name: &str, source: &Path, files: &[&str], cache: &Path) -> Result<PathBuf> {
    let mut hasher = Sha256::new();
    for file in files {
        let path = source.join(file);
        hasher.update(fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    let binary = cache.join(format!("{name}-{:.16}", format!("{:x}", hasher.finalize())));
    if binary.exists() {
        return Ok(binary);
    }
    fs::create_dir_all(cache)?;
    let stage = Stage::new(cache)?;
    let made = stage.path().join(name);
    let mut command = Command::new("rustc");
    command.args([
        "--edition=2024",
        "-O",
        "-Cstrip=symbols",
        "-Cpanic=abort",
        "-Ctarget-feature=+crt-static",
    ]);
    let root = files.first().context("a program has a root file")?;
    run(command.arg("-o").arg(&made).arg(source.join(root)))?;
    fs::rename(&made, &binary)?;
    Ok(binary)
}

/// The image of the fixture server: from scratch, one static file, which listens on port 8080.
///
/// # Errors
/// As [`segment_binary`].
pub fn segment_image(name: &str, cache: &Path) -> Result<ImageBuilder> {
    let binary = fs::read(segment_binary(cache)?)?;
    Ok(ImageBuilder::new(name).layer_file(binary, "/segment", 0o755).entrypoint(&["/segment"]))
}

/// Makes a symbolic link, unless one is there.
fn link_unless_there(target: &str, link: &Path) -> Result<()> {
    match symlink(target, link) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}
