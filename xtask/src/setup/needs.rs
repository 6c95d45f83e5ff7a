//! The table of what is needed: a Debian package, how to tell that it is there, what for. Read by a person first; add a
//! row here when something new is needed.

use super::{Purpose, debian};
use crate::command::{answer, is_in_path};

/// One thing that is needed.
pub(super) struct Need {
    pub(super) purpose: Purpose,
    /// The Debian package that brings it.
    pub(super) package: &'static str,
    /// How to tell without Debian's own books.
    sign: Sign,
    /// What it is for.
    pub(super) reason: &'static str,
}

/// How a thing shows that it is there.
enum Sign {
    /// One of these programs is in the search path.
    Program(&'static [&'static str]),
    /// pkg-config knows it.
    Library(&'static str),
    /// Debian's package is installed; there is nothing else to look for.
    Package,
}

use Purpose::{Build, Demo, Test};
use Sign::{Library, Package, Program};

/// Everything, apart from the compiler and linker of the kernel programs, which `probes.rs` chooses.
pub(super) static NEEDS: &[Need] = &[
    need(Build, "gcc", Program(&["cc", "gcc", "clang"]), "links Rust programs, compiles libbpf"),
    need(Build, "libc6-dev", Package, "links Rust programs, compiles libbpf"),
    need(Build, "make", Program(&["make"]), "builds libbpf"),
    need(Build, "pkg-config", Program(&["pkg-config"]), "finds libelf and zlib"),
    need(Build, "libelf-dev", Library("libelf"), "libbpf reads objects with it"),
    need(Build, "zlib1g-dev", Library("zlib"), "libbpf unpacks sections with it"),
    need(Build, "clang-19", Program(&["clang-19", "clang"]), "compiles the kernel programs written in C"),
    need(Build, "protobuf-compiler", Program(&["protoc"]), "compiles the control interface and containerd's"),
    need(Test, "containerd", Program(&["containerd"]), "runs the instances; each test starts its own"),
    need(Test, "runc", Program(&["runc"]), "runs a container for containerd"),
    need(Test, "iproute2", Program(&["ip"]), "shows and makes networks in tests"),
    need(Test, "nftables", Program(&["nft"]), "filters packets in tests"),
    need(Test, "qemu-system-x86", Program(&["qemu-system-x86_64"]), "runs the VMs"),
    need(Test, "seabios", Package, "the VMs' firmware"),
    need(Test, "squashfs-tools", Program(&["mksquashfs"]), "makes disks of images for VMs"),
    need(Test, "tar", Program(&["tar"]), "packs test images"),
    need(Test, "python3", Program(&["python3"]), "checks the chart's manifests"),
    need(Test, "python3-venv", Package, "holds what checks the chart's manifests"),
    need(Test, "golang-go", Program(&["go"]), "renders the chart as Helm does"),
    need(Test, "golang-github-masterminds-sprig-dev", Package, "the functions of Helm's templates"),
    need(Test, "golang-github-xeipuuv-gojsonschema-dev", Package, "checks the chart's values as Helm does"),
    need(Test, "golang-k8s-sigs-yaml-dev", Package, "reads the chart's YAML as Helm does"),
    need(Test, "awscli", Program(&["aws"]), "sends uploads to the S3-compatible endpoint"),
    need(Test, "prometheus", Program(&["prometheus"]), "scrapes an agent"),
    need(Demo, "containerd", Program(&["containerd"]), "runs the instances"),
    need(Demo, "runc", Program(&["runc"]), "runs a container for containerd"),
    need(Demo, "iproute2", Program(&["ip"]), "shows and makes networks"),
    need(Demo, "qemu-system-x86", Program(&["qemu-system-x86_64"]), "runs the VMs"),
    need(Demo, "seabios", Package, "the VMs' firmware"),
    need(Demo, "squashfs-tools", Program(&["mksquashfs"]), "makes disks of images for VMs"),
    need(Demo, "tar", Program(&["tar"]), "packs the shop's images"),
    need(Demo, "librsvg2-bin", Program(&["rsvg-convert"]), "turns the demo's picture into a PNG"),
];

const fn need(purpose: Purpose, package: &'static str, sign: Sign, reason: &'static str) -> Need {
    Need { purpose, package, sign, reason }
}

impl Need {
    /// Whether it is there.
    pub(super) fn is_met(&self) -> bool {
        let shown = match self.sign {
            Program(names) => names.iter().any(|name| is_in_path(name)),
            Library(name) => answer("pkg-config", &["--exists", name]).is_some(),
            // Elsewhere the package goes by a name that is not known here.
            Package => !debian::is_debian(),
        };
        shown || debian::has_package(self.package)
    }
}

/// Parts of the Rust toolchain that are missing.
pub(super) fn missing_components() -> Vec<&'static str> {
    let works = |command| answer("cargo", &[command, "--version"]).is_some();
    [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(command, _)| !works(command))
        .map(|(_, component)| component)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_purpose_names_a_package_twice_and_each_row_says_why() {
        for (index, need) in NEEDS.iter().enumerate() {
            let twice = |other: &Need| other.package == need.package && other.purpose == need.purpose;
            assert!(!NEEDS[index + 1..].iter().any(twice), "{} stands twice", need.package);
            assert!(!need.reason.is_empty());
        }
    }
}
