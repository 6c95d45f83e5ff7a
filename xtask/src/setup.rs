//! What a machine needs before anything else runs. In: what it is to be ready for. Out: a machine that has it all, or
//! the exact commands that make it so. Installs only as root on Debian, starts no service, and does nothing where
//! nothing is missing.

mod cgroup;
mod debian;
mod needs;
mod probes;

use std::fmt::Write;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::command::is_root;
use needs::Need;
pub(crate) use probes::linker_version;

/// Which purposes
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the machine is to be ready for; everything without it
    #[arg(long = "for", value_enum)]
    purposes: Vec<Purpose>,
}

/// What a machine is made ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// Building the agent and its kernel programs
    Build,
    /// Running every test
    Test,
    /// The demonstration and the benchmarks
    Demo,
    /// Checking format and lints
    Lint,
}

/// What the command line asks for.
///
/// # Errors
/// As [`ready`].
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let all = [Purpose::Build, Purpose::Test, Purpose::Demo, Purpose::Lint];
    ready(if arguments.purposes.is_empty() { &all } else { &arguments.purposes })
}

/// Makes the machine ready, or says what to do.
///
/// # Errors
/// If something is missing that is not to be installed here, or an installation failed.
pub(crate) fn ready(purposes: &[Purpose]) -> Result<()> {
    let mut lacks = Lacks::find(purposes);
    if lacks.can_be_met() {
        lacks.meet()?;
        lacks = Lacks::find(purposes);
    }
    if !lacks.is_empty() {
        bail!("{}", lacks.instructions());
    }
    let names: Vec<_> = purposes.iter().map(|purpose| format!("{purpose:?}").to_lowercase()).collect();
    eprintln!("setup: ready for {}", names.join(", "));
    Ok(())
}

/// What a machine lacks.
struct Lacks {
    packages: Vec<&'static Need>,
    probes: probes::Lack,
    cgroup: bool,
    lists: bool,
    components: Vec<&'static str>,
}

impl Lacks {
    fn find(purposes: &[Purpose]) -> Self {
        let asked = |purpose| purposes.contains(&purpose);
        let runs = asked(Purpose::Test) || asked(Purpose::Demo);
        // Whoever runs weft builds it first.
        let builds = asked(Purpose::Build) || runs;
        let wanted = |need: &Need| asked(need.purpose) || (need.purpose == Purpose::Build && builds);
        let missing = needs::NEEDS.iter().filter(|need| wanted(need) && !need.is_met());
        Self {
            packages: missing.collect(),
            probes: if builds { probes::Lack::find() } else { probes::Lack::default() },
            cgroup: runs && !cgroup::is_mounted(),
            // The tests make images of Debian packages, which apt must know.
            lists: runs && debian::is_debian() && !debian::has_lists(),
            components: if asked(Purpose::Lint) { needs::missing_components() } else { Vec::new() },
        }
    }

    fn is_empty(&self) -> bool {
        !self.lacks_packages() && !self.cgroup && self.components.is_empty()
    }

    fn lacks_packages(&self) -> bool {
        !self.packages.is_empty() || !self.probes.is_empty() || self.lists
    }

    /// Whether this process may do something about it. The Rust toolchain is its owner's; it is never changed here.
    fn can_be_met(&self) -> bool {
        let packages = self.lacks_packages();
        (packages || self.cgroup) && is_root() && (debian::is_debian() || !packages)
    }

    fn package_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> =
            self.packages.iter().map(|need| need.package).chain(self.probes.packages()).collect();
        // Several purposes may want the same.
        names.sort_unstable();
        names.dedup();
        names
    }

    fn meet(&self) -> Result<()> {
        let names = self.package_names();
        if self.lists || !names.is_empty() {
            debian::update()?;
        }
        if !names.is_empty() {
            debian::install(&names)?;
        }
        if self.probes.linker {
            probes::install_linker()?;
        }
        if self.cgroup {
            cgroup::mount()?;
        }
        Ok(())
    }

    /// The commands that install what is missing, and what for.
    fn instructions(&self) -> String {
        let mut text = String::from("missing:\n");
        let mut line = |name: &str, reason: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<36} {reason}");
        };
        for (index, need) in self.packages.iter().enumerate() {
            if !self.packages[..index].iter().any(|other| other.package == need.package) {
                line(need.package, need.reason);
            }
        }
        if self.probes.compiler {
            line(
                "a Rust compiler for the kernel",
                "the kernel programs; rustup's nightly with rust-src does too",
            );
        }
        if self.probes.linker {
            line("bpf-linker", "links the kernel programs");
        }
        if self.cgroup {
            line("a cgroup2 mount", "where the kernel programs are attached");
        }
        if self.lists {
            line("apt's package lists", "test images are made of Debian packages");
        }
        for component in &self.components {
            line(component, "checks the format and the lints");
        }
        text += match (debian::is_debian(), is_root()) {
            (false, _) => "On Debian 12 one would run, as root:\n",
            (true, false) => "To get it, run as root:\n",
            (true, true) => "To get it, run:\n",
        };
        for command in self.commands() {
            let _ = writeln!(text, "  {command}");
        }
        if !debian::is_debian() {
            text += "Here, install your system's packages of the same tools.\n";
        }
        text
    }

    fn commands(&self) -> Vec<String> {
        let names = self.package_names();
        let mut commands = Vec::new();
        if self.lists || !names.is_empty() {
            commands.push("apt-get update".to_owned());
        }
        if !names.is_empty() {
            commands.push(format!("apt-get install --no-install-recommends {}", names.join(" ")));
        }
        if self.probes.linker {
            commands.push(probes::linker_command());
        }
        if self.cgroup {
            commands.push(cgroup::command());
        }
        if !self.components.is_empty() {
            commands.push(format!("rustup component add {}", self.components.join(" ")));
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_name_each_missing_thing_and_the_commands_that_install_it() {
        let clang = needs::NEEDS.iter().find(|need| need.package == "clang-19").unwrap();
        let lacks = Lacks {
            packages: vec![clang],
            probes: probes::Lack { compiler: true, linker: true },
            cgroup: true,
            lists: false,
            components: vec!["clippy"],
        };
        let text = lacks.instructions();
        for part in [
            clang.reason,
            "--no-install-recommends clang-19 libpolly-22-dev libstd-rust-web-dev-bpf llvm-22-dev rustc-web",
            "cargo install bpf-linker",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(text.contains("mount -t cgroup2") && text.contains("rustup component add clippy"), "{text}");
    }

    #[test]
    fn a_missing_component_of_the_toolchain_is_not_installed_behind_its_owners_back() {
        let lacks = Lacks {
            packages: Vec::new(),
            probes: probes::Lack::default(),
            cgroup: false,
            lists: false,
            components: vec!["rustfmt"],
        };
        assert!(!lacks.is_empty() && !lacks.can_be_met());
    }
}
