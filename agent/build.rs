//! Embeds what the agent carries: kernel programs in Rust and in C, and the control interface. Everything it makes
//! goes into OUT_DIR, but for what all builds share.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("OUT_DIR")?);
    let agent = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("CARGO_MANIFEST_DIR")?);
    let root = agent.parent().context("the agent has a parent folder")?;
    for path in
        ["ebpf/probes/src", "ebpf/probes/Cargo.toml", "ebpf/probes/Cargo.lock", "ebpf/core", "ebpf/abi/src"]
    {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo::rerun-if-changed=proto");
    for path in ["agent/init", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    first_process(root, &out)?;

    let object = weft_ebpf_build::probes(root, &out.join("probes"))?;
    std::fs::copy(object, out.join("weft-probes")).context("the kernel programs' object")?;
    std::fs::write(out.join("weft_abi.h"), header()?)?;
    compiler(root, &out, "sockets")?
        .build_and_generate(out.join("sockets.skel.rs"))
        .context("sockets.bpf.c")?;
    // Attached and detached over and over: its object is kept, which a skeleton only lends.
    compiler(root, &out, "syscalls")?.build().context("syscalls.bpf.c")?;
    // Fields that stages do not set are shown as they are: a listing keeps its columns.
    tonic_prost_build::configure()
        .type_attribute(".", "#[derive(serde::Serialize)]")
        .compile_protos(&["proto/weft.proto"], &["proto"])
        .context("proto/weft.proto (a missing protoc: apt-get install protobuf-compiler)")
}

/// The first process of VMs, as one static file in `out`.
fn first_process(root: &Path, out: &Path) -> anyhow::Result<()> {
    let target = std::env::var("TARGET").context("TARGET")?;
    // One for all kinds of builds: it is the same file in each. `TARGET_DIR/PROFILE/build/PACKAGE/out` is where this runs.
    let folder = out.ancestors().nth(4).unwrap_or(out).join("weft-init");
    let mut command = std::process::Command::new(std::env::var_os("CARGO").context("CARGO")?);
    // What the outer build set for the agent means nothing here.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let outer =
            ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"];
        if outer.contains(&name.as_ref()) || name.starts_with("CARGO_PROFILE_") || name.starts_with("CLIPPY_")
        {
            command.env_remove(name.as_ref());
        }
    }
    command.env("RUSTFLAGS", "-Ctarget-feature=+crt-static -Cstrip=symbols");
    // It waits nearly always: what it costs is its size and the time to build it.
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    command.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "weft-init",
        "--features",
        "program",
    ]);
    command.args(["--target", &target, "--manifest-path"]).arg(root.join("Cargo.toml"));
    let output = command.arg("--target-dir").arg(&folder).output().context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("the first process of VMs does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let built = folder.join(target).join("release/weft-init");
    std::fs::copy(built, out.join("weft-init")).context("the first process of VMs").map(drop)
}

/// What compiles one C program, and leaves its object in `out`.
fn compiler(root: &Path, out: &Path, program: &str) -> anyhow::Result<libbpf_cargo::SkeletonBuilder> {
    let clang = ["clang-19", "clang"].into_iter().find(|name| {
        std::process::Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    });
    let Some(clang) = clang else { bail!("clang is missing. On Debian: apt-get install clang-19") };
    let include = |path: &Path| format!("-I{}", path.display());
    let core = root.join("ebpf/core");
    let mut builder = libbpf_cargo::SkeletonBuilder::new();
    builder
        .source(core.join(format!("{program}.bpf.c")))
        .obj(out.join(format!("{program}.bpf.o")))
        .clang(clang)
        // Of this version's instructions an atomic addition tells what was there before.
        .clang_args([include(&core), include(out), "-mcpu=v3".into(), "-Wall".into(), "-Werror".into()]);
    Ok(builder)
}

/// The ABI for the C programs, from the same numbers that the Rust side uses.
fn header() -> anyhow::Result<String> {
    let mut text = String::from("/* Generated from ebpf/abi by agent/build.rs. */\n#pragma once\n\n");
    let numbers = [
        ("WEFT_WATCHED_MAX", u64::from(weft_abi::WATCHED_MAX)),
        ("WEFT_PROFILES_MAX", u64::from(weft_abi::PROFILES_MAX)),
        ("WEFT_SYSCALLS", weft_abi::SYSCALLS as u64),
    ];
    for (name, number) in numbers {
        writeln!(text, "#define {name} {number}")?;
    }
    text +=
        "\nstruct weft_listening {\n\t__u64 cgroup_id;\n\t__u64 at_ns;\n\t__u32 port;\n\t__u32 pad;\n};\n";
    text += "\nstruct weft_watched {\n\t__u32 port;\n\t__s32 open;\n\t__u32 listens;\n\t__u32 pad;\n\t__u64 busy_ns;\n\t__u64 since_ns;\n};\n\n";
    text += "struct weft_dialled {\n\t__u32 ip;\n\t__u32 port;\n};\n\n";
    use std::mem::offset_of;
    let places = [
        ("sizeof(struct weft_listening)", size_of::<weft_abi::Listening>()),
        ("__builtin_offsetof(struct weft_listening, port)", offset_of!(weft_abi::Listening, port)),
        ("sizeof(struct weft_dialled)", size_of::<weft_abi::Dialled>()),
        ("__builtin_offsetof(struct weft_dialled, port)", offset_of!(weft_abi::Dialled, port)),
        ("sizeof(struct weft_watched)", size_of::<weft_abi::Watched>()),
        ("__builtin_offsetof(struct weft_watched, open)", offset_of!(weft_abi::Watched, open)),
        ("__builtin_offsetof(struct weft_watched, listens)", offset_of!(weft_abi::Watched, listens)),
        ("__builtin_offsetof(struct weft_watched, busy_ns)", offset_of!(weft_abi::Watched, busy_ns)),
        ("__builtin_offsetof(struct weft_watched, since_ns)", offset_of!(weft_abi::Watched, since_ns)),
    ];
    for (place, value) in places {
        writeln!(text, "_Static_assert({place} == {value}, \"both sides agree\");")?;
    }
    Ok(text)
}
