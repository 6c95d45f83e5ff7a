//! What compiles and links the kernel programs. In: the toolchains that are there. Out: what is missing of one. The
//! choice is [`weft_ebpf_build`]'s: Debian's compiler where it is, else rustup's nightly with its sources.

use anyhow::Result;

use crate::command::{answer, cargo, run, shown};

/// The version that is installed; it reads what LLVM 22, of Debian's compiler, writes.
const LINKER_VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";

const COMPILER_PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
const LINKER_PACKAGES: [&str; 2] = ["llvm-22-dev", "libpolly-22-dev"];

/// What is missing.
#[derive(Default)]
pub(super) struct Lack {
    pub(super) compiler: bool,
    pub(super) linker: bool,
}

impl Lack {
    /// Looks.
    pub(super) fn find() -> Self {
        let compiler = weft_ebpf_build::toolchain().is_err();
        Self { compiler, linker: linker_version().is_none() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.compiler && !self.linker
    }

    /// Debian's packages that bring it.
    pub(super) fn packages(&self) -> Vec<&'static str> {
        // A linker that is yet to be built reads what Debian's compiler writes, so the two come together.
        let compiler = if self.is_empty() { &[][..] } else { &COMPILER_PACKAGES };
        let linker = if self.linker { &LINKER_PACKAGES[..] } else { &[] };
        compiler.iter().chain(linker).copied().collect()
    }
}

/// The version of the linker, if there is one that runs.
pub(crate) fn linker_version() -> Option<String> {
    answer("bpf-linker", &["--version"])
}

fn linker() -> std::process::Command {
    let mut command = cargo(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked"]);
    command.args(["--no-default-features", "--features", "llvm-22", "--force"]);
    command.env("LLVM_PREFIX", LLVM).env("RUSTFLAGS", flags());
    // Its parts are of no use to the repository's own builds.
    command.env_remove("CARGO_TARGET_DIR");
    command
}

fn flags() -> String {
    format!("-L {LLVM}/lib")
}

/// What one types to install the linker.
pub(super) fn linker_command() -> String {
    format!("LLVM_PREFIX={LLVM} RUSTFLAGS='{}' {}", flags(), shown(&linker()))
}

/// Builds and installs the linker.
///
/// # Errors
/// What cargo said.
pub(super) fn install_linker() -> Result<()> {
    eprintln!("setup: {} (a minute or two)", linker_command());
    run(&mut linker())
}
