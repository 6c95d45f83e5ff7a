//! The end of a shim that has no container. In: whose it is. Out: it is killed, and containerd clears after it.
//!
//! A containerd that dies while a shim makes its container leaves the shim behind with nothing in it. The next one lists
//! it as a task, which can be neither killed nor deleted ("container not created"), and its name is taken for good; only
//! later versions clear it by themselves (<https://github.com/containerd/containerd/issues/6860>).
use std::fs;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What the shim says of a task without a container.
pub(super) const NOT_CREATED: &str = "container not created";

/// Kills the shim of an instance. One that is not there, or not to be seen from here, is none to kill.
pub(super) fn kill(namespace: &str, id: &str, address: &Path) {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    let is_it = |pid: &Pid| is_shim_of(&command_line(*pid), namespace, id, address);
    for pid in pids.filter(is_it) {
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // Asked once more now that it is held: the number may have become another's.
        if is_it(&pid) {
            // One that has ended by itself is what was wanted.
            let _ = pidfd_send_signal(held, Signal::KILL);
        }
    }
}

fn command_line(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// Whether a command line, its words ended by zero bytes, is that of the shim.
fn is_shim_of(command_line: &str, namespace: &str, id: &str, address: &Path) -> bool {
    let words: Vec<&str> = command_line.split('\0').collect();
    let is = |flag: &str, value: &str| words.windows(2).any(|pair| pair == [flag, value]);
    let program = Path::new(words[0]).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let address = address.to_str().unwrap_or_default();
    program.starts_with("containerd-shim")
        && is("-namespace", namespace)
        && is("-id", id)
        && is("-address", address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_is_known_by_its_program_its_instance_and_its_containerd() {
        let line = |id: &str| {
            let words = [
                "/usr/bin/containerd-shim-runc-v2",
                "-namespace",
                "weft",
                "-id",
                id,
                "-address",
                "/run/c.sock",
            ];
            words.join("\0") + "\0"
        };
        let is_it = |line: &str| is_shim_of(line, "weft", "cart-1", Path::new("/run/c.sock"));
        assert!(is_it(&line("cart-1")));
        assert!(!is_it(&line("cart-11")));
        assert!(!is_it(&line("cart-1").replace("containerd-shim", "vim")));
        assert!(!is_it(&line("cart-1").replace("/run/c.sock", "/run/d.sock")));
        assert!(!is_it(""));
    }
}
