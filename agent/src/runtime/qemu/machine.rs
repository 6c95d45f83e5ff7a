//! What executes guests here. In: what the configuration wants. Out: KVM where a guest has been seen to run in it, TCG
//! otherwise. Refuses KVM that was asked for and does not work.
//!
//! `/dev/kvm` proves nothing: inside some machines it opens, and a stock kernel then spins in it for ever. So a guest is
//! booted up to its first process, with a deadline, once per start of the agent.
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::config::Acceleration;

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU, by translation: everywhere, an order of magnitude slower.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

impl Acceleration {
    /// Whether there is something to try.
    pub(super) fn tries_kvm(self) -> bool {
        match self {
            Self::Auto => Path::new("/dev/kvm").exists(),
            Self::Kvm => true,
            Self::Tcg => false,
        }
    }
}

/// What a guest sees of the processor, for the key of its snapshots: a state that was saved on one kind of processor does
/// not run on another. Under TCG the processor is QEMU's own.
pub(super) fn processor(accelerator: Accelerator) -> String {
    if accelerator == Accelerator::Tcg {
        return "max".to_owned();
    }
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    first_processor(&text)
}

/// What is the same on every core and matters to a guest.
fn first_processor(text: &str) -> String {
    let wanted =
        ["vendor_id", "cpu family", "model", "stepping", "microcode", "flags", "Features", "CPU part"];
    let lines = text.split("\n\n").next().unwrap_or_default().lines();
    let kept =
        lines.filter(|line| line.split_once(':').is_some_and(|(name, _)| wanted.contains(&name.trim())));
    kept.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_from_one_look_to_the_next_does_not_name_a_processor() {
        let text =
            "processor\t: 0\nmodel\t\t: 85\ncpu MHz\t\t: 2100.1\nflags\t\t: fpu vmx\n\nprocessor\t: 1\n";
        assert_eq!(first_processor(text), "model\t\t: 85\nflags\t\t: fpu vmx");
        assert_ne!(first_processor(text), first_processor(&text.replace("vmx", "svm")));
    }
}
