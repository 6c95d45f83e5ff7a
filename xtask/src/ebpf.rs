//! The kernel programs written in Rust. In: `ebpf/probes`. Out: the object, and a table of its programs with their sizes.
//! Refuses an object without type information, which the loader needs. The programs written in C are compiled with the
//! agent.

mod object;

use anyhow::{Context, Result, bail};

use crate::{repository, setup};
use object::Object;

/// Builds them and shows what became of them.
///
/// # Errors
/// The missing tool with the command that installs it, or what the compiler said.
pub(crate) fn run() -> Result<()> {
    let toolchain = match weft_ebpf_build::toolchain()? {
        weft_ebpf_build::Toolchain::Debian => "Debian's rustc",
        weft_ebpf_build::Toolchain::Nightly => "rustup's nightly",
    };
    println!("toolchain  {toolchain}, {}", setup::linker_version().unwrap_or_else(|| "no bpf-linker".into()));
    let path = weft_ebpf_build::probes(&repository::root(), &repository::target().join("bpf"))?;
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let object = Object::parse(&bytes).with_context(|| path.display().to_string())?;
    println!("object     {} ({} bytes)\n", path.display(), bytes.len());
    print!("{}", table(&object));
    if object.section(".BTF").is_none() {
        bail!("{} has no .BTF section: bpf-linker was called without --btf", path.display());
    }
    Ok(())
}

fn table(object: &Object) -> String {
    let mut text = format!("{:<24} {:<28} {:>12} {:>8}\n", "PROGRAM", "SECTION", "INSTRUCTIONS", "BYTES");
    for function in &object.functions {
        let (name, section, bytes) = (&function.name, &function.section, function.bytes);
        // An instruction has eight bytes.
        text += &format!("{name:<24} {section:<28} {:>12} {bytes:>8}\n", bytes / 8);
    }
    for name in ["maps", ".rodata", ".BTF", ".BTF.ext"] {
        if let Some(bytes) = object.section(name) {
            text += &format!("{:<24} {name:<28} {:>12} {bytes:>8}\n", "", "");
        }
    }
    text
}
