//! Builds `ebpf/probes` for the kernel. In: the repository and a folder for the result. Out: the object file. Takes
//! Debian's rustc, which has a core library for the target, or rustup's nightly with rust-src, whichever is found;
//! refuses to go on without a tool, and names the command that installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's compiler; rustup's own stands before it in the path.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const TARGET: &str = "bpfel-unknown-none";

/// Why the programs cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No toolchain can compile for the kernel.
    #[error(
        "no Rust toolchain here can compile for {TARGET}. On Debian: apt-get install rustc-web libstd-rust-web-dev-bpf. \
         Elsewhere: rustup toolchain install nightly --component rust-src"
    )]
    NoToolchain,
    /// The linker is missing.
    #[error(
        "bpf-linker is missing. On Debian: apt-get install llvm-22-dev libpolly-22-dev, then \
         LLVM_PREFIX=/usr/lib/llvm-22 RUSTFLAGS='-L /usr/lib/llvm-22/lib' cargo install bpf-linker \
         --no-default-features --features llvm-22. Elsewhere: cargo install bpf-linker"
    )]
    NoLinker,
    /// cargo cannot be started.
    #[error("cargo cannot be started: {0}")]
    NoCargo(#[source] std::io::Error),
    /// The build failed.
    #[error("the kernel programs do not build:\n{0}")]
    Failed(String),
}

/// What compiles for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// Debian's rustc with its prebuilt core library.
    Debian,
    /// rustup's nightly, which builds the core library from source.
    Nightly,
}

/// The toolchain that is used on this machine.
///
/// # Errors
/// [`BuildError::NoToolchain`].
pub fn toolchain() -> Result<Toolchain, BuildError> {
    let sysroot = |command: &mut Command| {
        let output =
            command.args(["--print", "sysroot"]).output().ok().filter(|output| output.status.success())?;
        Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    let core = |root: PathBuf| root.join("lib/rustlib").join(TARGET).join("lib").is_dir();
    if sysroot(&mut Command::new(DEBIAN_RUSTC)).is_some_and(core) {
        return Ok(Toolchain::Debian);
    }
    let source = |root: PathBuf| root.join("lib/rustlib/src/rust/library/core").is_dir();
    if sysroot(Command::new("rustup").args(["run", "nightly", "rustc"])).is_some_and(source) {
        return Ok(Toolchain::Nightly);
    }
    Err(BuildError::NoToolchain)
}

/// Builds the programs of the repository at `root` below `target`; gives the object's path.
///
/// # Errors
/// [`BuildError`].
pub fn probes(root: &Path, target: &Path) -> Result<PathBuf, BuildError> {
    let toolchain = toolchain()?;
    if Command::new("bpf-linker").arg("--version").output().is_err() {
        return Err(BuildError::NoLinker);
    }
    let mut command = Command::new("cargo");
    // What the outer build set for the host means nothing here.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let outer =
            ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"];
        if outer.contains(&name.as_ref()) || name.starts_with("CARGO_PROFILE_") || name.starts_with("CLIPPY_")
        {
            command.env_remove(name.as_ref());
        }
    }
    let architecture = std::env::consts::ARCH;
    let flags = ["-Clinker=bpf-linker", "-Clink-arg=--btf", "-Cdebuginfo=2"].join(" ");
    command.env("RUSTFLAGS", format!("{flags} --cfg=bpf_target_arch=\"{architecture}\""));
    match toolchain {
        Toolchain::Debian => {
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
        }
        Toolchain::Nightly => {
            command.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("RUSTC").arg("-Zbuild-std=core");
        }
    }
    command.args(["build", "--release", "--locked", "--target", TARGET, "--manifest-path"]);
    command.arg(root.join("ebpf/probes/Cargo.toml")).arg("--target-dir").arg(target);
    let output = command.output().map_err(BuildError::NoCargo)?;
    if !output.status.success() {
        return Err(BuildError::Failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(target.join(TARGET).join("release/weft-probes"))
}
