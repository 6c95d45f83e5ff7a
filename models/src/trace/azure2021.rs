//! Azure Functions 2021: one row per call (`app, func, end_timestamp, duration`, both in seconds). In: a reader. Out: calls
//! in the order of their beginnings; rows stand in the order of their ends, so a bounded number of them is held back.
//!
//! Source: AzureFunctionsInvocationTraceForTwoWeeksJan2021, used by Zhang et al., "Faster and Cheaper Serverless Computing
//! on Harvested Resources", SOSP 2021.

use std::io::BufRead;

use super::lines::{Header, Lines, Ordered, amount};
use super::{App, Call, Fault, Limits, Names, SECOND_US, TraceError};

/// Largest time and duration that are believed, in s: a century.
const TIME_S_MAX: f64 = 3.2e9;

/// Rows as calls, in the order of the file.
#[derive(Debug)]
pub struct PerCall<R> {
    lines: Lines<R>,
    header: Header,
    app_at: usize,
    end_at: usize,
    duration_at: usize,
    names: Names,
    apps: Vec<App>,
    limits: Limits,
    ended: bool,
}

impl<R: BufRead> PerCall<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn new(reader: R, limits: Limits) -> Result<Self, TraceError> {
        let mut lines = Lines::new(reader, &limits);
        let header = Header::read(&mut lines)?;
        let app_at = header.need("app", &["app"])?;
        let end_at = header.need("end_timestamp", &["end_timestamp"])?;
        let duration_at = header.need("duration", &["duration"])?;
        let (names, apps) = (Names::default(), Vec::new());
        Ok(Self { lines, header, app_at, end_at, duration_at, names, apps, limits, ended: false })
    }

    /// The applications met so far, by index.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The calls in the order of time. Borrowed, so that [`Self::apps`] can be asked for afterwards.
    pub fn ordered(&mut self) -> Ordered<&mut Self, Call> {
        let limits = self.limits;
        Ordered::new(self, &limits, |call| call.at_us)
    }

    fn row(&mut self) -> Result<Option<(u64, Call)>, TraceError> {
        let Some((number, line)) = self.lines.next_line()? else { return Ok(None) };
        let mut read = || {
            let row = self.header.row(line)?;
            let end_s = amount(&row[self.end_at], "end_timestamp", TIME_S_MAX)?;
            let duration_s = amount(&row[self.duration_at], "duration", TIME_S_MAX)?;
            let (app, new) = self.names.number(&row[self.app_at], self.limits.names_max)?;
            if new {
                self.apps.push(App::named(&row[self.app_at]));
            }
            let us = |seconds: f64| (seconds * SECOND_US as f64) as u64;
            let at_us = us((end_s - duration_s).max(0.0));
            Ok(Call { at_us, app, duration_us: us(duration_s) })
        };
        read().map(|call| Some((number, call))).map_err(|fault: Fault| fault.at(number))
    }
}

impl<R: BufRead> Iterator for PerCall<R> {
    type Item = Result<(u64, Call), TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row();
        self.ended = super::lines::ends(&row);
        row.transpose()
    }
}
