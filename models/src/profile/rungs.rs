//! The steps in which memory and CPU are given. In: a need. Out: the smallest step that holds it, and its neighbours.
//! A need beyond the last step gets the last step; callers say so.

/// Memory in MiB, each step at most half as large again as the one before.
pub const MEMORY_MIB: [u32; 18] =
    [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16_384];

/// Thousandths of a core.
pub const CPU_MILLI: [u32; 9] = [50, 100, 250, 500, 1000, 2000, 4000, 8000, 16_000];

/// The place of the smallest step that holds a need.
pub fn rung(steps: &[u32], need: f32) -> usize {
    let need = if need.is_finite() { need } else { f32::MAX };
    steps.partition_point(|step| (*step as f32) < need).min(steps.len() - 1)
}

/// The smallest step that holds a need.
pub fn up(steps: &[u32], need: f32) -> u32 {
    steps[rung(steps, need)]
}

/// The step above one that is given.
pub fn above(steps: &[u32], step: u32) -> u32 {
    let next = steps.partition_point(|one| *one <= step);
    steps[next.min(steps.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_gets_the_smallest_step_that_holds_it_and_one_beyond_all_gets_the_last() {
        assert_eq!((up(&MEMORY_MIB, 0.0), up(&MEMORY_MIB, 32.0), up(&MEMORY_MIB, 32.1)), (32, 32, 48));
        assert_eq!(up(&MEMORY_MIB, f32::NAN), 16_384);
        assert_eq!(
            (above(&MEMORY_MIB, 128), above(&MEMORY_MIB, 130), above(&MEMORY_MIB, 20_000)),
            (192, 192, 16_384)
        );
    }
}
