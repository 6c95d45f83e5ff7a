//! Installing the libraries that an upload declares. In: what it declares and the layers of its language. Out: a layer of
//! the installed libraries, from the cache where the same was installed before. Refuses what the package manager refuses,
//! and what takes too long or grows too large. The package manager and whatever it builds run in a hardened container that
//! reaches the package registries alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::egress::{Egress, Hosts};
use super::layer::{Layer, LayerWriter};
use super::project::Libraries;
use super::sandboxed::{Watch, last_words};
use super::{IntakeError, Settings};
use crate::runtime::containerd::{Access, Bind, Containerd, Launch, NewImage, SandboxSpec};
use crate::runtime::{Confinement, ImageRef, InstanceId, Recipe};

/// Raised when the way of installing changes: it is part of the cache's key.
const FORM: &str = "1";
/// Layers of libraries that are kept; the ones that were not used for longest go.
const KEPT_MAX: usize = 64;
/// Where the node's certificates are seen inside.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Who installs, inside.
const USER: u32 = 65534;

/// What the container runs: the declared files are in /declared, what it leaves in /libraries becomes the layer.
const PIP: &str = "set -e; cd /declared; \
    python3 -m pip install --no-input --no-compile --no-cache-dir --disable-pip-version-check --progress-bar off \
    --no-warn-script-location --root-user-action=ignore --target /libraries -r weft-libraries; \
    python3 -m compileall -qq --invalidation-mode unchecked-hash /libraries || true";
const NPM: &str = "set -e; cp /declared/* /libraries/; cd /libraries; act=install; \
    if [ -e package-lock.json ] || [ -e npm-shrinkwrap.json ]; then act=ci; fi; \
    npm $act --omit=dev --no-audit --no-fund --no-update-notifier --loglevel=error; \
    rm -f package.json package-lock.json npm-shrinkwrap.json";

/// What is needed to install.
pub(super) struct Installer<'a> {
    pub(super) containerd: &'a Containerd,
    pub(super) settings: &'a Settings,
    /// An empty folder of the upload's own.
    pub(super) stage: &'a Path,
    pub(super) id: &'a InstanceId,
}

impl Installer<'_> {
    /// The layer of the libraries, or none where none are declared. `system` holds the layers of the language and of its
    /// package manager.
    pub(super) async fn install(
        &self,
        libraries: &Libraries,
        system: &[Layer],
    ) -> Result<Option<Layer>, IntakeError> {
        let Some(manager) = libraries.manager() else { return Ok(None) };
        let cache = self.settings.cache.join("libraries");
        let key = key(libraries, system);
        let (tar, note) = (cache.join(format!("{key}.tar")), cache.join(format!("{key}.digest")));
        let locked = (cache.clone(), key.clone());
        let locked = tokio::task::spawn_blocking(move || lock(&locked.0, &locked.1)).await;
        // Agents share the cache, and two installs of one declaration are not the same to the byte: one is made, once.
        let _one = locked
            .map_err(|error| io::Error::other(error.to_string()))
            .flatten()
            .map_err(|source| IntakeError::stage(&cache, source))?;
        if let Some(layer) = fs::read_to_string(&note).ok().and_then(|digest| Layer::open(&tar, &digest)) {
            // The newest are kept.
            let _ = fs::File::open(&note).and_then(|file| file.set_modified(std::time::SystemTime::now()));
            return Ok(Some(layer));
        }
        let folders = self.lay_out(libraries).map_err(|source| IntakeError::stage(self.stage, source))?;
        self.run(libraries, manager, system, &folders).await?;
        let above = if matches!(libraries, Libraries::Pip(_)) { "libraries" } else { "app" };
        let made = self.stage.join("libraries.tar");
        let pack = move |folder: PathBuf, made: PathBuf| {
            let mut writer = LayerWriter::create(&made)?;
            writer.directory(above)?;
            writer.folder(above, &folder)?;
            writer.finish()
        };
        let packed = tokio::task::spawn_blocking(move || pack(folders.libraries, made)).await;
        let layer = packed
            .map_err(|error| io::Error::other(error.to_string()))
            .flatten()
            .map_err(|source| IntakeError::stage(self.stage, source))?;
        keep(&cache, &layer, &tar, &note).map_err(|source| IntakeError::stage(&cache, source))?;
        Ok(Some(Layer { path: tar, ..layer }))
    }

    fn lay_out(&self, libraries: &Libraries) -> io::Result<Folders> {
        let folder = |name: &str| {
            let path = self.stage.join(name);
            fs::create_dir(&path)?;
            Ok::<_, io::Error>(path)
        };
        let folders = Folders {
            declared: folder("declared")?,
            libraries: folder("installed")?,
            scratch: folder("scratch")?,
        };
        // Read by the container's user, whatever the agent lets others do with files of its own.
        fs::set_permissions(&folders.declared, fs::Permissions::from_mode(0o755))?;
        for (name, bytes) in libraries.files() {
            let path = folders.declared.join(name);
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        }
        let owner = Containerd::user_of(Confinement::Hardened, self.id) + USER;
        for path in [&folders.libraries, &folders.scratch] {
            chown(path, Some(owner), Some(owner))?;
        }
        Ok(folders)
    }

    async fn run(
        &self,
        libraries: &Libraries,
        manager: &'static str,
        system: &[Layer],
        folders: &Folders,
    ) -> Result<(), IntakeError> {
        let image = self.tools_image(system).await?;
        let hosts = Hosts { allowed: self.settings.registries.clone() };
        let egress = Egress::to(hosts).await.map_err(|source| IntakeError::Network { source })?;
        let log = self.stage.join("install.log");
        let script = if matches!(libraries, Libraries::Pip(_)) { PIP } else { NPM };
        let spec = SandboxSpec {
            id: self.id.clone(),
            recipe: Recipe {
                image,
                memory_bytes: self.settings.build_memory,
                cpu_millis: self.settings.build_cpu_millis,
                env: self.environment(),
                args: Some(["/bin/dash", "-c", script].map(str::to_owned).to_vec()),
                confinement: Confinement::Hardened,
                port: 0,
                machine: None,
            },
            netns: egress.netns(),
            binds: self.binds(folders),
            log: log.clone(),
        };
        let watch = Watch {
            folders: vec![folders.libraries.clone(), folders.scratch.clone(), log.clone()],
            bytes_max: self.settings.libraries_bytes,
            free_bytes_min: self.settings.free_bytes_min,
            limit: self.settings.build_time,
        };
        let sandbox = self.containerd.start_sandbox(&spec).await?;
        let ended = watch.until_end(self.containerd, self.id).await;
        let starved = crate::runtime::Runtime::ran_out_of_memory(self.containerd, &sandbox.cgroup);
        let removed = self.containerd.remove_sandbox(self.id).await;
        let status = ended?;
        removed?;
        if status == 0 {
            return Ok(());
        }
        let said = if starved {
            format!("it needed more than {} bytes of memory", self.settings.build_memory)
        } else {
            last_words(&log)
        };
        Err(IntakeError::Libraries { manager, status, said, refused: egress.refused() })
    }

    /// The language with its package manager, as an image that all uploads share.
    async fn tools_image(&self, system: &[Layer]) -> Result<ImageRef, IntakeError> {
        let launch = Launch { user: format!("{USER}:{USER}"), ..Launch::default() };
        let image = NewImage::new(&launch, system.iter().map(super::layer_file).collect());
        let digest = image.digest();
        let name = ImageRef::new(format!("weft/intake:{:.12}", digest.trim_start_matches("sha256:")));
        self.containerd.import(&name, &image).await?;
        Ok(name)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let proxy = Egress::proxy();
        let own = [
            ("HOME", "/scratch"),
            ("TMPDIR", "/scratch"),
            ("HTTPS_PROXY", &proxy),
            ("https_proxy", &proxy),
            ("npm_config_cache", "/scratch/npm"),
            ("PIP_CERT", CERTIFICATES),
            ("SSL_CERT_FILE", CERTIFICATES),
            ("NODE_EXTRA_CA_CERTS", CERTIFICATES),
            ("npm_config_cafile", CERTIFICATES),
            ("LANG", "C.UTF-8"),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        // What the node's owner says holds.
        let said = self.settings.build_env.iter().map(|(name, value)| (name.clone(), value.clone()));
        own.into_iter().chain(said).collect::<BTreeMap<_, _>>().into_iter().collect()
    }

    fn binds(&self, folders: &Folders) -> Vec<Bind> {
        let bind = |source: &Path, destination: &str, access| Bind {
            source: source.to_owned(),
            destination: destination.to_owned(),
            access,
        };
        let mut binds = vec![
            bind(&folders.declared, "/declared", Access::Read),
            bind(&folders.libraries, "/libraries", Access::Write),
            bind(&folders.scratch, "/scratch", Access::Write),
        ];
        if self.settings.certificates.exists() {
            binds.push(bind(&self.settings.certificates, CERTIFICATES, Access::Read));
        }
        binds
    }
}

struct Folders {
    declared: PathBuf,
    libraries: PathBuf,
    scratch: PathBuf,
}

/// What was declared, and for which system.
fn key(libraries: &Libraries, system: &[Layer]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(FORM);
    for layer in system {
        hasher.update(&layer.digest);
    }
    for (name, bytes) in libraries.files() {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    format!("{:.32}", format!("{:x}", hasher.finalize()))
}

/// Waits until nobody else makes what is kept under a key, and holds it until the file is dropped.
fn lock(cache: &Path, key: &str) -> io::Result<fs::File> {
    fs::create_dir_all(cache)?;
    let file = fs::File::create(cache.join(format!("{key}.lock")))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Puts a layer into the cache, and takes the oldest out when there are many.
fn keep(cache: &Path, layer: &Layer, tar: &Path, note: &Path) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    // The stage may be on another file system.
    if fs::rename(&layer.path, tar).is_err() {
        fs::copy(&layer.path, tar)?;
        fs::remove_file(&layer.path)?;
    }
    fs::write(note, &layer.digest)?;
    let mut notes: Vec<_> = fs::read_dir(cache)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "digest"))
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .collect();
    notes.sort();
    for (_, old) in notes.iter().take(notes.len().saturating_sub(KEPT_MAX)) {
        fs::remove_file(old)?;
        // A tar without its note is nobody's.
        let _ = fs::remove_file(old.with_extension("tar"));
        let _ = fs::remove_file(old.with_extension("lock"));
    }
    Ok(())
}
