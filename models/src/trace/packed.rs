//! Calls in 16 bytes each. In: calls in the order of time. Out: the same calls, as often as they are asked for.
//! Refused: nothing; the reader that fills it holds the bound.

use super::{Call, MINUTE_US};

const APP_BITS: u32 = 20;
const TIME_BITS: u32 = 54;
/// Applications that fit.
pub(super) const APPS_MAX: usize = 1 << APP_BITS;
/// Calls kept side by side; a list that grows in parts is never copied as a whole.
const PART: usize = 1 << 16;
const DAY_US: u64 = 86_400_000_000;
const TIME_MASK: u128 = (1 << TIME_BITS) - 1;

/// Calls, packed. Days before the first one are taken off: hours and minutes keep their meaning.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    parts: Vec<Vec<u128>>,
    origin_us: u64,
    last_us: u64,
}

impl Packed {
    /// Takes a call that is no earlier than those before it.
    pub(super) fn push(&mut self, call: Call) {
        if self.parts.is_empty() {
            self.origin_us = call.at_us / DAY_US * DAY_US;
        }
        let at_us = call.at_us.saturating_sub(self.origin_us);
        self.last_us = at_us;
        let clip = |us: u64| u128::from(us).min(TIME_MASK);
        let app = u128::from(call.app) % (1 << APP_BITS);
        let packed = clip(at_us) << (TIME_BITS + APP_BITS) | app << TIME_BITS | clip(call.duration_us);
        if self.parts.last().is_none_or(|part| part.len() == PART) {
            self.parts.push(Vec::with_capacity(PART));
        }
        if let Some(part) = self.parts.last_mut() {
            part.push(packed);
        }
    }

    /// Number of calls.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// When the minute of the first call begins, in µs.
    pub fn begin_us(&self) -> u64 {
        self.iter().next().map_or(0, |call| call.at_us / MINUTE_US * MINUTE_US)
    }

    /// When the minute of the last call ends, in µs.
    pub fn end_us(&self) -> u64 {
        if self.is_empty() { 0 } else { (self.last_us / MINUTE_US + 1) * MINUTE_US }
    }

    /// The calls in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = Call> + '_ {
        self.parts.iter().flatten().map(|packed| Call {
            at_us: (packed >> (TIME_BITS + APP_BITS)) as u64,
            app: (packed >> TIME_BITS & ((1 << APP_BITS) - 1)) as u32,
            duration_us: (packed & TIME_MASK) as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_back_as_they_were_with_whole_days_taken_off() {
        let mut packed = Packed::default();
        let first = 3 * DAY_US + 7 * MINUTE_US + 5;
        let calls = [
            Call { at_us: first, app: 0, duration_us: 0 },
            Call { at_us: first + 9, app: (1 << APP_BITS) - 1, duration_us: 31 * DAY_US },
        ];
        calls.iter().for_each(|call| packed.push(*call));
        for _ in 0..2 * PART {
            packed.push(calls[1]);
        }
        let back: Vec<Call> = packed.iter().collect();
        assert_eq!(back.len() as u64, packed.len());
        assert_eq!(back[0], Call { at_us: 7 * MINUTE_US + 5, ..calls[0] });
        assert!(back[1..].iter().all(|call| *call == Call { at_us: 7 * MINUTE_US + 14, ..calls[1] }));
        assert_eq!((packed.begin_us(), packed.end_us()), (7 * MINUTE_US, 8 * MINUTE_US));
    }
}
