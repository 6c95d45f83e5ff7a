//! The agent's own figures. In: what Prometheus scrapes. Out: values by name and labels, and how sums grew between two
//! looks.
use std::collections::BTreeMap;

use anyhow::Result;
use weft_tests::agent::Agent;

/// One look at the agent's metrics.
#[derive(Debug, Default)]
pub(super) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Looks now.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub(super) fn take(agent: &Agent) -> Result<Self> {
        Ok(Self::parse(&agent.metrics()?))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (key, value) = line.rsplit_once(' ')?;
            Some((key.to_owned(), value.parse().ok()?))
        };
        Self(lines.filter_map(sample).collect())
    }

    /// The sum of all samples of this name with these labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |key: &str| labels.iter().all(|(label, value)| label_of(key, label) == Some(value));
        self.of(name).filter(|(key, _)| has(key)).map(|(_, value)| value).sum()
    }

    /// The values of one label, where the others are these.
    pub(super) fn values_of<'a>(
        &'a self,
        name: &'a str,
        label: &str,
        labels: &[(&str, &str)],
    ) -> Vec<&'a str> {
        let has = |key: &str| labels.iter().all(|(label, value)| label_of(key, label) == Some(value));
        self.of(name).filter(|(key, _)| has(key)).filter_map(|(key, _)| label_of(key, label)).collect()
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let is_it = move |key: &str| {
            key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        self.0.iter().map(|(key, value)| (key.as_str(), *value)).filter(move |(key, _)| is_it(key))
    }
}

/// The value of a label; weft's own have neither quotes nor backslashes.
fn label_of<'a>(key: &'a str, label: &str) -> Option<&'a str> {
    let (_, labels) = key.split_once('{')?;
    let of_label = |part: &'a str| part.trim_end_matches('}').strip_prefix(label)?.strip_prefix('=');
    labels.split(',').find_map(of_label).map(|value| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP weft_create_phase_seconds The same by step\n\
        weft_create_phase_seconds_sum{segment=\"a\",phase=\"task\"} 0.5\n\
        weft_create_phase_seconds_sum{segment=\"a\",phase=\"lease\"} 0.25\n\
        weft_create_phase_seconds_sum{segment=\"b\",phase=\"task\"} 4\n\
        weft_create_phase_seconds_sum_of_something_else 8\n\
        weft_graphs 3\n";

    #[test]
    fn values_are_found_by_name_and_labels_and_summed_over_the_rest() {
        let scrape = Scrape::parse(TEXT);
        let name = "weft_create_phase_seconds_sum";
        assert_eq!(scrape.value(name, &[("segment", "a"), ("phase", "task")]), 0.5);
        assert_eq!(scrape.value(name, &[("segment", "a")]), 0.75);
        assert_eq!(scrape.value("weft_graphs", &[]), 3.0);
        assert_eq!(scrape.value("weft_graphs", &[("segment", "a")]), 0.0);
    }

    #[test]
    fn the_phases_of_one_segment_are_listed() {
        let phases = Scrape::parse(TEXT);
        let phases = phases.values_of("weft_create_phase_seconds_sum", "phase", &[("segment", "a")]);
        assert_eq!(phases, ["lease", "task"]);
    }
}
