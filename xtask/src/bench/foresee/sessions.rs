//! Sessions. In: the requests of a trace. Out: which go on in the session of the one before, where the past ends, and a
//! file of them for peers of another language. Refused: shares that leave no past or no future.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use weft_models::{Observation, Principal};

use weft_models::trace::habits::Habits;

/// A trace, cut into sessions, and into past and future.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) trace: Habits,
    /// For each event, whether it goes on in the session of the event before it.
    pub(super) continues: Vec<bool>,
    /// The future begins here.
    pub(super) cut: usize,
    /// What is not looked at begins here.
    pub(super) until: usize,
}

impl Sessions {
    /// # Errors
    /// When there is no past, or no future.
    pub(super) fn new(trace: Habits, cut: f64, until: f64) -> Result<Self> {
        let at = |share: f64| ((trace.events.len() as f64 * share) as usize).min(trace.events.len());
        let (cut, until) = (at(cut), at(until));
        ensure!(
            0 < cut && cut < until,
            "{}: of {} requests {cut} are the past and the future ends at {until}; give shares from 0 to 1, the \
             first below the second",
            trace.name,
            trace.events.len()
        );
        let continues = continues(&trace.events, trace.gap_ms);
        Ok(Self { trace, continues, cut, until })
    }

    /// Events of the future that are scored.
    pub(super) fn scored(&self) -> usize {
        self.continues[self.cut..self.until].iter().filter(|goes_on| **goes_on).count()
    }

    /// Writes all events: for each its session, its item and the pause before it, as 32-bit numbers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let told = || format!("write {}", path.display());
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).with_context(told)?);
        let mut open: HashMap<Principal, (u32, u64)> = HashMap::new();
        let mut next = 0;
        for (event, goes_on) in self.trace.events.iter().zip(&self.continues) {
            let before = open.get(&event.principal).filter(|_| *goes_on).copied();
            let (session, pause_ms) = match before {
                Some((session, at_ms)) => (session, event.at_ms - at_ms),
                None => (next, 0),
            };
            next += u32::from(before.is_none());
            open.insert(event.principal, (session, event.at_ms));
            for number in [session, event.segment.0, u32::try_from(pause_ms).unwrap_or(u32::MAX)] {
                file.write_all(&number.to_le_bytes()).with_context(told)?;
            }
        }
        file.flush().with_context(told)
    }
}

fn continues(events: &[Observation], gap_ms: u64) -> Vec<bool> {
    let mut last: HashMap<Principal, u64> = HashMap::new();
    let goes_on = |event: &Observation| {
        let before = last.insert(event.principal, event.at_ms);
        before.is_some_and(|before_ms| event.at_ms - before_ms <= gap_ms)
    };
    events.iter().map(goes_on).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_models::trace::habits::Builder;

    fn sessions(events: &[(u64, &str, &str)], cut: f64, until: f64) -> Result<Sessions> {
        let mut builder = Builder::default();
        events.iter().for_each(|(at_ms, user, item)| builder.add(*at_ms, user, item, 0, 0));
        Sessions::new(builder.done("some", 100), cut, until)
    }

    const EVENTS: [(u64, &str, &str); 5] =
        [(0, "a", "x"), (10, "b", "y"), (100, "a", "y"), (201, "a", "x"), (110, "b", "x")];

    #[test]
    fn a_longer_pause_ends_a_session_and_other_users_do_not() {
        let sessions = sessions(&EVENTS, 0.5, 1.0).unwrap();
        assert_eq!(sessions.continues, [false, false, true, true, false]);
        assert_eq!((sessions.cut, sessions.until, sessions.scored()), (2, 5, 2));
    }

    #[test]
    fn no_past_and_no_future_are_refused() {
        assert!(sessions(&EVENTS, 0.1, 1.0).unwrap_err().to_string().contains("some: of 5 requests 0"));
        assert!(sessions(&EVENTS, 0.7, 0.7).is_err());
        assert!(sessions(&EVENTS, 0.7, f64::NAN).is_err());
    }

    #[test]
    fn the_file_has_session_item_and_pause_of_every_event() {
        let folder = std::env::temp_dir().join(format!("weft-foresee-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("events");
        sessions(&EVENTS, 0.5, 1.0).unwrap().write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let numbers: Vec<_> =
            bytes.chunks(4).map(|four| u32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(numbers, [0, 0, 0, 1, 1, 0, 0, 1, 100, 1, 0, 100, 2, 0, 0]);
    }
}
