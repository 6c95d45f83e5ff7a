//! The harness keeps what it promises: images run, and a private containerd leaves nothing.
use std::path::{Path, PathBuf};

use anyhow::Result;
use weft_tests::containerd::{PrivateContainerd, Unpack};
use weft_tests::image::{ImageBuilder, build_all, segment_image};

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

#[test]
fn the_same_image_is_the_same_bytes() -> Result<()> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("same-bytes");
    std::fs::create_dir_all(&directory)?;
    let image = ImageBuilder::new("same:1").layer_file("bytes", "/etc/file", 0o644).env("A", "b");
    image.build(&directory.join("cache-1"), &directory.join("1.tar"))?;
    image.build(&directory.join("cache-2"), &directory.join("2.tar"))?;
    assert_eq!(std::fs::read(directory.join("1.tar"))?, std::fs::read(directory.join("2.tar"))?);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

#[test]
fn python_of_debian_runs_with_its_modules() -> Result<()> {
    let archive = cache().join("python.tar");
    let python = ImageBuilder::new("shop/python:1").layer_debs(&["python3-minimal", "python3-flask"]);
    let shop = python.clone().named("shop/flask:1").layer_file(
        "import flask, sqlite3, json\nprint('imported')\n",
        "/app.py",
        0o644,
    );
    build_all(&[python, shop.entrypoint(&["/usr/bin/python3", "/app.py"])], &cache(), &archive)?;
    let containerd = PrivateContainerd::start(format!("/run/weft-test-python-{}", std::process::id()))?;
    containerd.import("weft", &archive, Unpack::Now)?;
    let run = ["-n", "weft", "run", "--rm", "--runc-root"];
    let root = containerd.runc_root().display().to_string();
    let printed = containerd.ctr(&[&run[..], &[&root, "shop/flask:1", "python"]].concat())?;
    assert_eq!(printed.trim(), "imported");
    std::fs::remove_file(archive)?;
    containerd.stop()
}

#[test]
fn a_killed_containerd_and_its_containers_leave_nothing() -> Result<()> {
    let directory = format!("/run/weft-test-nothing-{}", std::process::id());
    let archive = cache().join("nothing.tar");
    segment_image("shop/nothing:1", &cache())?.build(&cache(), &archive)?;
    let mut containerd = PrivateContainerd::start(&directory)?;
    containerd.import("weft", &archive, Unpack::Now)?;
    let cgroup = format!("/weft-test-nothing-{}/one", std::process::id());
    containerd.ctr(&["-n", "weft", "run", "-d", "--cgroup", &cgroup, "shop/nothing:1", "nothing"])?;
    assert!(shims(&directory) == 1 && mounts(&directory) > 0);
    containerd.kill9()?;
    containerd.stop()?;
    assert_eq!((shims(&directory), mounts(&directory)), (0, 0));
    assert!(!Path::new(&directory).exists());
    let trees = std::fs::read_dir("/sys/fs/cgroup")?.flatten();
    let left = trees.map(|tree| tree.path().join(&cgroup[1..])).filter(|path| path.exists());
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    std::fs::remove_file(archive)?;
    Ok(())
}

fn shims(directory: &str) -> usize {
    let commands = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let commands = commands.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    commands
        .filter(|command| command.starts_with("/usr/bin/containerd-shim") && command.contains(directory))
        .count()
}

fn mounts(directory: &str) -> usize {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    mounts.lines().filter(|line| line.contains(directory)).count()
}
