//! Limits that are forecasts. In: what source and runs let forecast, or a limit that was too low. Out: limits. Leaves what an
//! upload states as it is, and an executable, of which the source tells nothing, until it has run. Pure.

use weft_models::profile::{Forecast, MemoryLimit, after_out_of_memory, follow};
use weft_models::reading::Reading;

use super::project::{Language, Project};
use crate::config::{Bytes, Limits};

/// From so many runs on, they say what is needed.
const RUNS_TO_KNOW: usize = 3;
/// By how much a limit differs from its forecast before it follows: what is served is made anew for it.
const FOLLOW: f64 = 0.2;
/// Before it has run no upload gets less: requests come several at a time, and the model has seen them one by one.
const MEMORY_MIN_MIB: u32 = 128;
/// Nor less of a core: it starts under the same limit.
const CPU_MIN: f64 = 0.5;

/// What an upload gets that states no limits: what its source, and runs of its former versions, let forecast.
pub(super) fn limits(project: &Project, reading: &Reading) -> Limits {
    let is_unknown = matches!(project.language, Language::Executable { .. });
    if is_unknown && reading.forecast.runs < RUNS_TO_KNOW {
        return project.limits;
    }
    forecast_limits(project.limits, &reading.forecast)
}

fn forecast_limits(limits: Limits, forecast: &Forecast) -> Limits {
    let least = if forecast.runs < RUNS_TO_KNOW { MEMORY_MIN_MIB } else { 0 };
    let memory = Bytes(u64::from(forecast.memory_limit_mib().max(least)) << 20);
    let cpu = (f64::from(forecast.cpu_limit_milli()) / 1000.0).max(CPU_MIN);
    Limits { memory, cpu, ..limits }
}

/// The limits that what is served should get after these runs; `None` if those that it has will do. Whoever has died of
/// memory within a day keeps what it was given then.
pub(super) fn after_runs(
    limits: Limits,
    forecast: &Forecast,
    raised_at_ms: Option<u64>,
    now_ms: u64,
) -> Option<Limits> {
    if forecast.runs < RUNS_TO_KNOW {
        return None;
    }
    let mut next = forecast_limits(limits, forecast);
    let mib = |bytes: Bytes| u32::try_from(bytes.0 >> 20).unwrap_or(u32::MAX);
    let held = MemoryLimit { mib: mib(limits.memory), raised_at_ms };
    next.memory = Bytes(u64::from(follow(held, mib(next.memory), now_ms).mib) << 20);
    let differs = |new: f64, old: f64| (new - old).abs() > FOLLOW * old;
    let memory = differs(next.memory.0 as f64, limits.memory.0 as f64);
    (memory || differs(next.cpu, limits.cpu)).then_some(next)
}

/// The limit after one has died of it; the same if there is no higher one.
pub(super) fn raised(limit: Bytes) -> Bytes {
    let mib = u32::try_from(limit.0.div_ceil(1 << 20)).unwrap_or(u32::MAX);
    let raised = after_out_of_memory(MemoryLimit { mib, raised_at_ms: None }, mib, 0);
    Bytes(u64::from(raised.mib) << 20).max(limit)
}

#[cfg(test)]
mod tests {
    use weft_models::profile::{HOLD_MS, Run};

    use super::*;

    fn forecast(mib: u64, runs: usize) -> Forecast {
        let facts = weft_models::profile::CodeFacts::default();
        let run = Run { cpu_us: 100, wall_us: 1_000, memory_peak_bytes: mib << 20, ..Run::default() };
        weft_models::profile::forecast(&facts, &vec![run; runs], &weft_models::profile::Sizing::shipped())
    }

    #[test]
    fn limits_follow_runs_that_differ_much_and_hold_for_a_day_after_a_death() {
        let limits = Limits { memory: Bytes(512 << 20), cpu: 0.5, ..Limits::default() };
        let (few, many, alike) = (forecast(30, 2), forecast(30, 50), forecast(430, 50));
        assert!(after_runs(limits, &few, None, 0).is_none(), "two runs say little");
        let next = after_runs(limits, &many, None, 0).unwrap();
        assert!((30..100).contains(&(next.memory.0 >> 20)), "{next:?}");
        assert!(after_runs(limits, &alike, None, 0).is_none(), "{alike:?}");
        assert!(after_runs(limits, &many, Some(0), HOLD_MS - 1).is_none(), "it has died of less");
        assert!(after_runs(limits, &many, Some(0), HOLD_MS).is_some());
        let more = after_runs(limits, &forecast(900, 50), Some(0), 1).unwrap();
        assert!(more.memory.0 >> 20 > 900, "{more:?}");
    }

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
