//! Which policies are replayed. In: words such as `fixed:5,10`. Out: policies with their parameters on a trace.
//! Refused: unknown policies, parameters that a policy does not have or that cannot be.

use std::str::FromStr;

use weft_models::contest::Entrant;
use weft_models::replay::Node;
use weft_models::trace::Trace;

/// Names of policies, in the order in which they are shown.
const NAMES: [&str; 7] = ["none", "warm", "fixed", "hybrid", "dual", "oracle", "weft"];
const FIXED_MIN: [f64; 7] = [1.0, 5.0, 10.0, 20.0, 60.0, 120.0, 240.0];
const HYBRID_MIN: [f64; 6] = [10.0, 20.0, 30.0, 60.0, 120.0, 240.0];
/// Memory of greedy-dual's node, as shares of what all applications take together.
const DUAL_SHARES: [f64; 5] = [0.1, 0.2, 0.4, 0.6, 0.8];
const PRICES_GB_S: [f64; 9] = [20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 20_000.0];
/// Parameters of one policy.
const VALUES_MAX: usize = 64;
/// Longest keep-alive: a year of minutes.
const FIXED_MAX: f64 = 527_040.0;
/// Longest histogram: a bin per minute and application is kept.
const HYBRID_MAX: f64 = 10_080.0;
const AMOUNT_MAX: f64 = 1e9;

/// One policy, with its own parameters or the usual ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    name: &'static str,
    values: Vec<f64>,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (wanted, values) =
            text.split_once(':').map_or((text, None), |(name, values)| (name, Some(values)));
        let name = NAMES.into_iter().find(|name| *name == wanted);
        let name = name.ok_or_else(|| format!("there is no policy `{wanted}`, but {}", NAMES.join(", ")))?;
        let (unit, low, high) = match name {
            "fixed" => ("whole minutes", 0.0, FIXED_MAX),
            "hybrid" => ("whole minutes", 1.0, HYBRID_MAX),
            "dual" => ("GB", 0.001, AMOUNT_MAX),
            "weft" => ("GB·s", 0.001, AMOUNT_MAX),
            _ if values.is_some() => return Err(format!("the policy `{name}` has no parameter")),
            _ => ("", 0.0, 0.0),
        };
        let read = |value: &str| {
            let number = value.trim().parse().ok().filter(|number: &f64| (low..=high).contains(number));
            let number = number.filter(|number| unit != "whole minutes" || number.fract() == 0.0);
            number.ok_or_else(|| format!("`{value}` is not {low} to {high} {unit}"))
        };
        let values = values.map(|values| values.split(',').map(read).collect::<Result<Vec<_>, _>>());
        let values = values.transpose()?.unwrap_or_default();
        if values.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} parameters of one policy"));
        }
        Ok(Self { name, values })
    }
}

impl Choice {
    fn entrants(&self, trace: &Trace, node: Node) -> Vec<Entrant> {
        let or = |usual: &[f64]| if self.values.is_empty() { usual.to_vec() } else { self.values.clone() };
        let all = |values: Vec<f64>, make: fn(f64) -> Entrant| values.into_iter().map(make).collect();
        match self.name {
            "warm" => vec![Entrant::Warm],
            "fixed" => all(or(&FIXED_MIN), |minutes| Entrant::Fixed(minutes as u64)),
            "hybrid" => all(or(&HYBRID_MIN), |minutes| Entrant::Hybrid(minutes as usize)),
            // On a node of a given memory it has no parameter of its own.
            "dual" if self.values.is_empty() && node.memory_kib.is_some() => vec![Entrant::Dual(0.0)],
            "dual" => {
                let kib: u64 = trace.apps().iter().map(|app| app.memory_kib).sum();
                let gigabytes = kib as f64 / f64::from(1 << 20);
                all(or(&DUAL_SHARES.map(|share| share * gigabytes)), Entrant::Dual)
            }
            "oracle" => vec![Entrant::Oracle],
            "weft" => all(or(&PRICES_GB_S), Entrant::Weft),
            _ => vec![Entrant::None],
        }
    }
}

/// The chosen policies with their parameters; all of them if none is chosen.
pub(super) fn entrants(choices: &[Choice], trace: &Trace, node: Node) -> Vec<Entrant> {
    let every: Vec<Choice>;
    let choices = if choices.is_empty() {
        every = NAMES.into_iter().map(|name| Choice { name, values: Vec::new() }).collect();
        &every
    } else {
        choices
    };
    choices.iter().flat_map(|choice| choice.entrants(trace, node)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_chosen_by_name_and_parameters() {
        let choice: Choice = "fixed:5, 10".parse().unwrap();
        assert_eq!(choice, Choice { name: "fixed", values: vec![5.0, 10.0] });
        assert!("weft".parse::<Choice>().unwrap().values.is_empty());
    }

    #[test]
    fn what_cannot_be_chosen_is_told_with_what_can() {
        for (text, words) in [
            ("lru", "there is no policy `lru`, but none, warm"),
            ("oracle:1", "no parameter"),
            ("fixed:", "`` is not 0 to"),
            ("fixed:1.5", "whole minutes"),
            ("hybrid:1e9", "1 to 10080"),
            ("dual:-1", "GB"),
            ("weft:NaN", "GB·s"),
        ] {
            let told = text.parse::<Choice>().unwrap_err();
            assert!(told.contains(words), "{text}: {told}");
        }
    }
}
