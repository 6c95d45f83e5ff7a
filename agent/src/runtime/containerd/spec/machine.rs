//! The VM that a container is run in, in the words of Kata Containers (docs/how-to/how-to-set-sandbox-config-kata.md of that
//! project). In: a specification and the recipe. Out: the specification with the size of its VM in annotations, which the
//! node's Kata must allow by `enable_annotations`. The VM is the limit: limits of the container inside would have Kata plug
//! memory and processors in beside those that the VM has.
use serde_json::{Value, json};

use crate::runtime::{Machine, Recipe};

const PREFIX: &str = "io.katacontainers.config.hypervisor";
/// What the guest's kernel and Kata's agent take beside the program.
const GUEST_MIB: u64 = 128;
/// Kata makes no smaller VM.
const MEMORY_MIB_MIN: u64 = 256;

/// Makes the specification one of a VM.
pub(super) fn make(document: &mut Value, recipe: &Recipe, machine: &Machine) {
    let mib = (recipe.memory_bytes.div_ceil(1 << 20) + GUEST_MIB).max(MEMORY_MIB_MIN);
    let mut annotations = json!({
        (format!("{PREFIX}.default_vcpus")): recipe.cpu_millis.div_ceil(1000).max(1).to_string(),
        (format!("{PREFIX}.default_memory")): mib.to_string(),
    });
    for way in ["rx", "tx"] {
        if let Some(bits) = machine.bandwidth_bits {
            annotations[format!("{PREFIX}.{way}_rate_limiter_max_rate")] = json!(bits.to_string());
        }
    }
    document["annotations"] = annotations;
    let Some(linux) = document["linux"].as_object_mut() else { return };
    // Users of its own are the guest's, as everything else in it.
    for name in ["uidMappings", "gidMappings"] {
        linux.remove(name);
    }
    if let Some(namespaces) = linux.get_mut("namespaces").and_then(Value::as_array_mut) {
        namespaces.retain(|namespace| namespace["type"] != "user");
    }
    if let Some(resources) = linux.get_mut("resources").and_then(Value::as_object_mut) {
        for name in ["memory", "cpu"] {
            resources.remove(name);
        }
    }
}
