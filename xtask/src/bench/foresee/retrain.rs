//! What training a node's model again costs when its memory of lessons is full. In: lessons of the traces. Out: the time of a
//! core that a million of them take, and how much memory the process had at most meanwhile. Refused: no lesson at all.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use weft_models::{Lesson, Model, Options};

use super::score::cpu_s;

/// As many as a model is trained on at most.
pub(super) const LESSONS: usize = 1_000_000;
/// Moments of one trace are told from those of another by their upper bits.
const MOMENT_BITS: u32 = 40;
const SEED: u64 = 7;

/// The youngest lessons of each trace.
#[derive(Debug)]
pub(super) struct Gathered {
    lessons: Vec<Lesson>,
    /// Lessons that one trace may give.
    share: usize,
    given: u64,
}

/// What it took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Retrain {
    pub(super) lessons: usize,
    pub(super) cpu_s: f64,
    /// Of the whole process, lessons included.
    pub(super) peak_rss_mib: f64,
}

impl Gathered {
    /// Of so many traces, which give as many each.
    pub(super) fn of(traces: usize) -> Self {
        Self { lessons: Vec::new(), share: LESSONS.div_ceil(traces.max(1)), given: 0 }
    }

    /// Takes the youngest of a trace's.
    pub(super) fn add(&mut self, lessons: &[Lesson]) {
        let youngest = &lessons[lessons.len().saturating_sub(self.share)..];
        self.repeat(youngest);
    }

    fn repeat(&mut self, lessons: &[Lesson]) {
        let above = self.given << MOMENT_BITS;
        self.given += 1;
        let own = (1 << MOMENT_BITS) - 1;
        self.lessons.extend(lessons.iter().map(|l| Lesson { moment: above | (l.moment & own), ..l.clone() }));
    }

    /// Trains on `wanted` of them. Where there are fewer they are repeated.
    ///
    /// # Errors
    /// When there is none, or they teach nothing.
    pub(super) fn train(mut self, wanted: usize) -> Result<Retrain> {
        ensure!(!self.lessons.is_empty(), "the traces gave no lesson to train on; name longer ones");
        while self.lessons.len() < wanted {
            let again = self.lessons[..self.lessons.len().min(wanted - self.lessons.len())].to_vec();
            self.repeat(&again);
        }
        self.lessons.truncate(wanted);
        // From here on the kernel measures the peak anew.
        fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs: the peak cannot be reset")?;
        let began_s = cpu_s();
        let model = Model::train(&self.lessons, Options::default(), SEED)?;
        let cpu_s = cpu_s() - began_s;
        Ok(Retrain { lessons: model.card().rows, cpu_s, peak_rss_mib: peak_rss_mib()? })
    }
}

fn peak_rss_mib() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    Ok(kib.context("/proc/self/status tells no VmHWM in kB")? / 1024.0)
}

#[cfg(test)]
mod tests {
    use weft_models::{N, Outcome, SegmentId};

    use super::*;

    /// Moments of two candidates, of which the one with the higher first feature comes.
    fn lessons(moments: u64) -> Vec<Lesson> {
        let lesson = |moment: u64, came: bool| {
            let mut features = [0.0; N];
            features[0] = (moment % 7) as f32 + if came { 10.0 } else { 0.0 };
            let outcome = if came { Outcome::Came } else { Outcome::OtherCame };
            Lesson {
                moment,
                segment: SegmentId(u32::from(came)),
                features,
                outcome,
                came: Some(SegmentId(1)),
            }
        };
        (0..moments).flat_map(|moment| [lesson(moment, true), lesson(moment, false)]).collect()
    }

    #[test]
    fn each_trace_gives_its_youngest_lessons_and_their_moments_stay_apart() {
        let mut gathered = Gathered { share: 4, ..Gathered::of(2) };
        gathered.add(&lessons(10));
        gathered.add(&lessons(10));
        let moments: Vec<_> = gathered.lessons.iter().map(|lesson| lesson.moment).collect();
        let other = 1 << MOMENT_BITS;
        assert_eq!(moments, [8, 8, 9, 9, other | 8, other | 8, other | 9, other | 9]);
    }

    #[test]
    fn too_few_lessons_are_repeated_and_none_are_refused() {
        let mut gathered = Gathered::of(1);
        gathered.add(&lessons(300));
        let told = gathered.train(1_500).unwrap();
        assert_eq!(told.lessons, 1_500);
        assert!(told.cpu_s > 0.0 && told.peak_rss_mib > 1.0, "{told:?}");
        assert!(Gathered::of(1).train(1_500).unwrap_err().to_string().contains("no lesson"));
    }
}
