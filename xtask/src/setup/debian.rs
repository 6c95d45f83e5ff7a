//! Debian's packages. In: names. Out: what is installed, or the packages installed, with a line for each step. Starts no
//! service, asks no question, takes no recommended package.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::answer;

/// Lines of apt's output that are shown when it fails.
const TAIL: usize = 15;

/// Runs apt-get while `$1`, Debian's rule for services, says that none is started. A rule of the machine's own stays;
/// ours goes again however this ends, also by Ctrl-C, since the shell outlives its parent to do so.
const WITHOUT_SERVICES: &str = r#"
rule=$1
shift
mark="made by weft's set-up"
if [ ! -e "$rule" ] || grep -q "$mark" "$rule"; then
    trap 'rm -f "$rule"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\n# %s: no service is started while it installs\nexit 101\n' "$mark" > "$rule"
    chmod 755 "$rule"
fi
apt-get "$@"
"#;
const SERVICES_RULE: &str = "/usr/sbin/policy-rc.d";

/// Whether this is Debian.
pub(super) fn is_debian() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|line| line == "ID=debian")
}

/// Whether a package is installed.
pub(super) fn has_package(name: &str) -> bool {
    let status = answer("dpkg-query", &["--show", "--showformat", "${db:Status-Status}\n", name]);
    status.is_some_and(|status| status.lines().any(|line| line == "installed"))
}

/// Whether apt knows any package at all; a fresh image has no lists.
pub(super) fn has_lists() -> bool {
    let entries = std::fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().contains("_Packages"))
}

/// Fetches the lists of packages.
///
/// # Errors
/// What apt said.
pub(super) fn update() -> Result<()> {
    eprintln!("setup: apt-get update");
    apt(&["update"], SERVICES_RULE)
}

/// Installs packages.
///
/// # Errors
/// If apt does not know one of them, or what it said.
pub(super) fn install(names: &[&str]) -> Result<()> {
    let unknown: Vec<_> = names.iter().copied().filter(|name| !is_known(name)).collect();
    if !unknown.is_empty() {
        bail!(
            "apt does not know {}. rustc-web and LLVM 22 come from Debian's security updates: enable the suite \
             bookworm-security in /etc/apt/sources.list.d, as a Debian 12 has it by default, and try again",
            unknown.join(", ")
        );
    }
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(names);
    eprintln!("setup: apt-get {}", arguments.join(" "));
    apt(&arguments, SERVICES_RULE)
}

fn is_known(name: &str) -> bool {
    answer("apt-cache", &["--no-all-versions", "show", name]).is_some_and(|text| !text.is_empty())
}

fn apt(arguments: &[&str], rule: &str) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", WITHOUT_SERVICES, "sh", rule]).args(arguments);
    command.args(["-q", "-o", "Dpkg::Use-Pty=0"]);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").stdin(Stdio::null());
    let (reader, writer) = std::io::pipe().context("a pipe")?;
    command.stdout(writer.try_clone().context("a pipe")?).stderr(writer);
    let mut child = command.spawn().context("sh cannot be started")?;
    // Our own ends of the pipe are closed with it, so that reading ends.
    drop(command);
    let mut lines = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("apt's output")?).into_owned();
        if is_progress(&line) {
            eprintln!("  {line}");
        }
        lines.push(line);
    }
    let status = child.wait().context("apt-get")?;
    if !status.success() {
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        bail!("apt-get {}: {status}:\n{tail}", arguments.join(" "));
    }
    Ok(())
}

/// What shows that it goes on, without the prose.
fn is_progress(line: &str) -> bool {
    ["Get:", "Hit:", "Fetched ", "Setting up ", "W: ", "E: "].iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    /// A folder with an `apt-get` that tells what the rule for services says while it runs; removed when dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let this = Self(std::env::temp_dir().join(format!("weft-setup-{name}-{}", std::process::id())));
            std::fs::create_dir_all(&this.0).unwrap();
            this.program("apt-get", "#!/bin/sh\nset +e\n\"$RULE\"; echo \"the rule says $?\"\nexit $END\n");
            this
        }

        fn program(&self, name: &str, text: &str) {
            std::fs::write(self.0.join(name), text).unwrap();
            std::fs::set_permissions(self.0.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }

        fn rule(&self) -> PathBuf {
            self.0.join("policy")
        }

        fn install(&self, end: &str) -> (bool, String) {
            let path = format!("{}:{}", self.0.display(), std::env::var("PATH").unwrap());
            let mut command = Command::new("sh");
            command.args(["-eu", "-c", WITHOUT_SERVICES, "sh"]).arg(self.rule());
            let output = command.env("PATH", path).env("RULE", self.rule()).env("END", end).output().unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn no_service_starts_during_an_installation_and_the_rule_is_gone_afterwards() {
        let folder = Folder::new("own");
        for end in ["0", "7"] {
            assert_eq!(folder.install(end), (end == "0", "the rule says 101\n".to_owned()));
            assert!(!folder.rule().exists(), "the rule stayed after exit {end}");
        }
    }

    #[test]
    fn a_rule_of_the_machine_s_own_is_left_as_it_is() {
        let folder = Folder::new("kept");
        folder.program("policy", "#!/bin/sh\nexit 42\n");
        assert_eq!(folder.install("0"), (true, "the rule says 42\n".to_owned()));
        assert!(folder.rule().exists());
    }

    #[test]
    fn a_rule_that_an_interrupted_set_up_left_goes_with_the_next_one() {
        let folder = Folder::new("left");
        folder.program("policy", "#!/bin/sh\n# made by weft's set-up: \nexit 101\n");
        assert!(folder.install("0").0 && !folder.rule().exists());
    }
}
