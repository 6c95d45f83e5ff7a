//! The hybrid histogram policy. In: idle times of each application. Out: when to load and when to drop it.
//!
//! Each application has a histogram of its idle times in bins of a minute. Once it is of use (enough samples, few beyond
//! its range, and unlike a flat one: a coefficient of variation of its counts of at least 2) the application goes after its
//! execution, comes back shortly before the 5th percentile and stays until after the 99th; before that it stays for the
//! whole range. Applications whose idle times lie mostly beyond the range stay for the range, too: the
//! time series model that the paper has for them is not part of this.
//!
//! Source: Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, section 4.

use super::{Decision, Hold, Idle, Met, Policy};
use crate::trace::MINUTE_US;

const SAMPLES_MIN: u64 = 10;
const BEYOND_SHARE_MAX: f64 = 0.5;
const VARIATION_MIN: f64 = 2.0;
const HEAD_SHARE: f64 = 0.05;
const TAIL_SHARE: f64 = 0.99;
const HEAD_MARGIN: f64 = 0.9;
const TAIL_MARGIN: f64 = 1.1;

#[derive(Clone, Debug, Default)]
struct Histogram {
    bins: Vec<u32>,
    within: u64,
    beyond: u64,
    squares: u64,
    /// When its last execution ended, if it serves nobody.
    ended_us: Option<u64>,
    called: bool,
    load_us: u64,
    drop_us: u64,
}

impl Histogram {
    fn add(&mut self, idle_us: u64) {
        match self.bins.get_mut((idle_us / MINUTE_US) as usize) {
            Some(bin) => {
                self.squares += 2 * u64::from(*bin) + 1;
                *bin += 1;
                self.within += 1;
            }
            None => self.beyond += 1,
        }
    }

    fn is_of_use(&self) -> bool {
        let all = self.within + self.beyond;
        if all < SAMPLES_MIN || self.beyond as f64 > BEYOND_SHARE_MAX * all as f64 {
            return false;
        }
        let bins = self.bins.len() as f64;
        let mean = self.within as f64 / bins;
        let variance = self.squares as f64 / bins - mean * mean;
        variance.max(0.0).sqrt() >= VARIATION_MIN * mean
    }

    /// The first bin up to which more than `share` of the samples lie.
    fn quantile(&self, share: f64) -> u64 {
        let wanted = (share * self.within as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (minute, count) in self.bins.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return minute as u64;
            }
        }
        self.bins.len() as u64
    }

    fn plan(&mut self, end_us: u64) {
        let range_us = self.bins.len() as u64 * MINUTE_US;
        (self.load_us, self.drop_us) = if self.is_of_use() {
            let head_us = (self.quantile(HEAD_SHARE) * MINUTE_US) as f64;
            let tail_us = ((self.quantile(TAIL_SHARE) + 1) * MINUTE_US) as f64;
            (end_us + (HEAD_MARGIN * head_us) as u64, end_us + (TAIL_MARGIN * tail_us) as u64)
        } else {
            (end_us, end_us + range_us)
        };
    }
}

/// The policy.
#[derive(Clone, Debug)]
pub struct HybridHistogram {
    apps: Vec<Histogram>,
}

impl HybridHistogram {
    /// For so many applications, with histograms over so many minutes.
    pub fn new(apps: usize, range_minutes: usize) -> Self {
        let one = Histogram { bins: vec![0; range_minutes.max(1)], ..Histogram::default() };
        Self { apps: vec![one; apps] }
    }
}

impl Policy for HybridHistogram {
    fn called(&mut self, app: u32, now_us: u64, _met: Met) {
        let histogram = &mut self.apps[app as usize];
        if std::mem::replace(&mut histogram.called, true) {
            let idle_us = histogram.ended_us.take().map_or(0, |ended_us| now_us - ended_us);
            histogram.add(idle_us);
        }
    }

    fn decide(&mut self, idle: &Idle) -> Decision {
        let histogram = &mut self.apps[idle.app as usize];
        if !histogram.called {
            return Decision::unloaded(u64::MAX);
        }
        if idle.hold == Hold::Loaded && idle.since_us == Some(idle.now_us) {
            histogram.ended_us = Some(idle.now_us);
            histogram.plan(idle.now_us);
        }
        if idle.now_us < histogram.load_us {
            Decision::unloaded(histogram.load_us)
        } else if idle.now_us < histogram.drop_us {
            Decision::loaded(histogram.drop_us)
        } else {
            Decision::unloaded(u64::MAX)
        }
    }
}
