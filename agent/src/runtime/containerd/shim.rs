//! Shims that containerd has lost. In: a containerd and a namespace in it. Out: whose shims run, and their end.
//!
//! A containerd that dies, or whose caller does, while a shim makes its container may leave the shim behind with nothing
//! in it. The next one does not know it; or it lists it as a task, which can be neither killed nor deleted ("container
//! not created") and takes its name for good. Only later versions clear it by themselves
//! (<https://github.com/containerd/containerd/issues/6860>). When a shim is killed, containerd clears after it.
use std::fs;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What the shim says of a task without a container.
pub(super) const NOT_CREATED: &str = "container not created";

/// Shims of one namespace of one containerd.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shims<'a> {
    /// The namespace.
    pub(super) namespace: &'a str,
    /// containerd's socket.
    pub(super) address: &'a Path,
}

impl Shims<'_> {
    /// Whose shims run. One that is not to be seen from here is not told.
    pub(super) fn ids(self) -> Vec<String> {
        processes().filter_map(|pid| self.id(&command_line(pid)).map(str::to_owned)).collect()
    }

    /// Kills the shim of an instance; one that is not there is none to kill.
    pub(super) fn kill(self, id: &str) {
        let is_it = |pid: &Pid| self.id(&command_line(*pid)) == Some(id);
        for pid in processes().filter(is_it) {
            let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // Asked once more now that it is held: the number may have become another's.
            if is_it(&pid) {
                // One that has ended by itself is what was wanted.
                let _ = pidfd_send_signal(held, Signal::KILL);
            }
        }
    }

    /// The instance of a command line, its words ended by zero bytes, if it is that of one of these.
    fn id(self, command_line: &str) -> Option<&str> {
        let words: Vec<&str> = command_line.split('\0').collect();
        let of = |flag| words.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1]);
        let program = Path::new(words[0]).file_name()?.to_str()?;
        let ours = of("-namespace") == Some(self.namespace) && of("-address") == self.address.to_str();
        of("-id").filter(|_| ours && program.starts_with("containerd-shim"))
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn command_line(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_is_known_by_its_program_its_namespace_and_its_containerd() {
        let shims = Shims { namespace: "weft", address: Path::new("/run/c.sock") };
        let words = [
            "/usr/bin/containerd-shim-runc-v2",
            "-namespace",
            "weft",
            "-id",
            "cart-1",
            "-address",
            "/run/c.sock",
        ];
        let line = words.join("\0") + "\0";
        assert_eq!(shims.id(&line), Some("cart-1"));
        assert_eq!(shims.id(&line.replace("containerd-shim", "vim")), None);
        assert_eq!(shims.id(&line.replace("/run/c.sock", "/run/d.sock")), None);
        assert_eq!(shims.id(&line.replace("weft", "k8s.io")), None);
        assert_eq!(shims.id(""), None);
    }
}
