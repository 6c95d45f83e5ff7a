//! A layer of Debian packages.
//!
//! In: names of packages. Out: a cached layer with them and all they depend on, unpacked as they are (no maintainer
//! script runs), documentation left out, Python modules compiled. Refuses what `apt-get` cannot resolve.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::{Blob, Stage, hex_of, link_unless_there, run, store, tar};

/// Raised when the way of unpacking changes: it is part of the cache's key.
const FORM: &str = "1";

/// Directories that are links into `/usr` on a merged system.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// What nobody reads in a container.
const LEFT_OUT: [&str; 5] = ["doc", "man", "locale", "info", "lintian"];

/// The layer, from the cache where the same versions were unpacked before.
pub(super) fn layer(packages: &[String], cache: &Path) -> Result<Blob> {
    let resolved = resolve(packages, cache)?;
    let key = Sha256::digest(format!("{FORM} {}", resolved.join(" ")));
    let note = cache.join(format!("debs-{:.32}", format!("{key:x}")));
    if let Ok(digest) = fs::read_to_string(&note)
        && let Ok(metadata) = fs::metadata(cache.join(hex_of(&digest)?))
    {
        return Ok(Blob { digest, size: metadata.len() });
    }
    let stage = Stage::new(cache)?;
    let root = stage.path().join("root");
    lay_out(&root)?;
    fetch(&resolved, cache)?;
    for package in &resolved {
        unpack(package, &file_of(package, cache), &root)?;
    }
    for directory in LEFT_OUT {
        let _ = fs::remove_dir_all(root.join("usr/share").join(directory));
    }
    compile_python(&root)?;
    let blob = store(cache, |archive| tar(&root, archive))?;
    fs::write(note, &blob.digest)?;
    Ok(blob)
}

/// What has to be there for these packages on an empty system, as `name=version`, sorted.
fn resolve(packages: &[String], cache: &Path) -> Result<Vec<String>> {
    let stage = Stage::new(cache)?;
    let status = stage.path().join("status");
    fs::write(&status, "")?;
    let mut command = Command::new("apt-get");
    command.args(["--simulate", "--no-install-recommends", "-o"]);
    command.arg(format!("Dir::State::status={}", status.display())).arg("install").args(packages);
    let plan = run(&mut command).context("resolve packages (apt-get update may be needed)")?;
    // "Inst NAME (VERSION ORIGIN [ARCHITECTURE])"
    let lines = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_once(" ("));
    let mut resolved: Vec<_> = lines
        .filter_map(|(name, rest)| Some(format!("{name}={}", rest.split_whitespace().next()?)))
        .collect();
    ensure!(!resolved.is_empty(), "apt-get names no package for {packages:?}");
    resolved.sort();
    Ok(resolved)
}

/// Where a package is in the cache.
fn file_of(package: &str, cache: &Path) -> PathBuf {
    cache.join(format!("{}.deb", package.replace(['=', '/'], "_")))
}

/// Downloads into the cache what is not there, all at once: apt-get takes two seconds to begin, and fifty packages are
/// nothing unusual.
fn fetch(packages: &[String], cache: &Path) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|package| !file_of(package, cache).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let stage = Stage::new(cache)?;
    run(Command::new("apt-get").arg("download").args(&missing).current_dir(stage.path()))?;
    for downloaded in fs::read_dir(stage.path())?.flatten().map(|entry| entry.path()) {
        let mut asked = Command::new("dpkg-deb");
        asked.args(["--show", "--showformat=${Package}=${Version}"]).arg(&downloaded);
        fs::rename(&downloaded, file_of(&run(&mut asked)?, cache))?;
    }
    let lacking = missing.into_iter().find(|package| !file_of(package, cache).exists());
    ensure!(lacking.is_none(), "apt-get downloaded no {}", lacking.map_or("", String::as_str));
    Ok(())
}

fn lay_out(root: &Path) -> Result<()> {
    for name in MERGED {
        fs::create_dir_all(root.join("usr").join(name))?;
        link_unless_there(&format!("usr/{name}"), &root.join(name))?;
    }
    for name in ["etc", "tmp", "var/tmp", "proc", "sys", "dev", "run", "root"] {
        fs::create_dir_all(root.join(name))?;
    }
    // What base-passwd's script would have written.
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    Ok(())
}

fn unpack(package: &str, file: &Path, root: &Path) -> Result<()> {
    let mut reader = Command::new("dpkg-deb");
    let mut reader = reader.arg("--fsys-tarfile").arg(file).stdout(Stdio::piped()).spawn()?;
    let mut writer = Command::new("tar");
    // A package that has /lib must not replace the link by a directory.
    writer.args(["--extract", "--keep-directory-symlink", "--directory"]).arg(root);
    writer.stdin(reader.stdout.take().context("dpkg-deb has an output")?);
    let written = writer.status()?;
    ensure!(reader.wait()?.success() && written.success(), "cannot unpack {package}");
    Ok(())
}

/// As the packages' scripts would: without it every start compiles what it imports. By hash, since a layer has no
/// times.
fn compile_python(root: &Path) -> Result<()> {
    if !root.join("usr/bin/python3").exists() {
        return Ok(());
    }
    let mut command = Command::new("chroot");
    command.arg(root).args(["/usr/bin/python3", "-m", "compileall", "-qq"]);
    command.args(["--invalidation-mode", "unchecked-hash"]);
    // /usr/lib/python3 holds the packages' modules, /usr/lib/python3.N the standard library.
    let libraries = fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.file_name());
    let libraries = libraries.filter(|name| name.to_string_lossy().starts_with("python3"));
    command.args(libraries.map(|name| Path::new("/usr/lib").join(name)));
    // A module written for another version of Python does not compile; it would not run either.
    let _ = run(&mut command);
    Ok(())
}
