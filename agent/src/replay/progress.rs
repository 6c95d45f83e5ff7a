//! How far a replay is. In: what goes on. Out: one line on standard error that is written over, if that is a terminal.

use std::io::Read;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use weft_models::contest::Entrant;

/// The line.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// An empty one.
    pub(super) fn start() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {percent:>3} %  {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn begin(&self, what: String, length: u64) {
        self.0.set_message(what);
        self.0.set_length(length);
        self.0.set_position(0);
    }

    /// A file is read, as far as the returned reader is.
    pub(super) fn reading<R: Read>(&self, path: &Path, length: u64, file: R) -> impl Read + use<R> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.begin(format!("read {}", name.unwrap_or_default()), length);
        self.0.wrap_read(file)
    }

    /// Trees are grown.
    pub(super) fn growing(&self) {
        self.begin("grow trees".to_owned(), 1);
        self.0.tick();
    }

    /// A policy begins.
    pub(super) fn replaying(&self, entrant: Entrant, calls: u64) {
        self.begin(format!("replay {} {:.0}", entrant.name(), entrant.parameter()), calls);
    }

    /// It has seen so many calls.
    pub(super) fn at(&self, calls: u64) {
        self.0.set_position(calls);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
