//! Memory limits that are forecasts. In: what the source lets forecast, or a limit that was too low. Out: limits. Leaves
//! what an upload states, and an executable, of which the source tells nothing, as they are. Pure.

use weft_models::profile::{MemoryLimit, after_out_of_memory};
use weft_models::reading::Reading;

use super::project::{Language, Project};
use crate::config::{Bytes, Limits};

/// Before its first run no upload gets less: requests come several at a time, and the model has seen them one by one.
const MEMORY_MIN_MIB: u32 = 128;
/// Nor less of a core: it starts under the same limit.
const CPU_MIN: f64 = 0.5;

/// What an upload gets that states no limits: what its source lets forecast.
pub(super) fn limits(project: &Project, reading: &Reading) -> Limits {
    if matches!(project.language, Language::Executable { .. }) {
        return project.limits;
    }
    let forecast = &reading.forecast;
    let memory = Bytes(u64::from(forecast.memory_limit_mib().max(MEMORY_MIN_MIB)) << 20);
    let cpu = (f64::from(forecast.cpu_limit_milli()) / 1000.0).max(CPU_MIN);
    Limits { memory, cpu, ..project.limits }
}

/// The limit after one has died of it; the same if there is no higher one.
pub(super) fn raised(limit: Bytes) -> Bytes {
    let mib = u32::try_from(limit.0.div_ceil(1 << 20)).unwrap_or(u32::MAX);
    let raised = after_out_of_memory(MemoryLimit { mib, raised_at_ms: None }, mib, 0);
    Bytes(u64::from(raised.mib) << 20).max(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_too_low_rises_by_a_fifth_at_least_and_ends_somewhere() {
        let mut limit = Bytes(128 << 20);
        for _ in 0..64 {
            let next = raised(limit);
            if next == limit {
                break;
            }
            assert!(next.0 as f64 >= limit.0 as f64 * 1.2, "{limit:?} to {next:?}");
            limit = next;
        }
        assert_eq!(raised(limit), limit);
    }
}
