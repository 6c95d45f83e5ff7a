//! How work grows with input. In: bounds of loops and costs of calls. Out: their sums and products, and the class of
//! each. One letter stands for every size: what grows with two sizes at once counts as their product.

use serde::{Deserialize, Serialize};

/// A class of growth, as papers and reviews name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// O(1)
    Constant,
    /// O(log n)
    Logarithmic,
    /// O(n), and what is below it but above O(log n)
    Linear,
    /// O(n log n)
    Linearithmic,
    /// O(n²), with or without a logarithm
    Quadratic,
    /// O(n³), and every higher power
    Cubic,
    /// O(2ⁿ) and more
    Exponential,
    /// Not known.
    #[default]
    Unknown,
}

impl Complexity {
    /// All that are known, the slowest growth first.
    pub const KNOWN: [Self; 7] = [
        Self::Constant,
        Self::Logarithmic,
        Self::Linear,
        Self::Linearithmic,
        Self::Quadratic,
        Self::Cubic,
        Self::Exponential,
    ];

    /// As it is written.
    pub fn notation(self) -> &'static str {
        match self {
            Self::Constant => "O(1)",
            Self::Logarithmic => "O(log n)",
            Self::Linear => "O(n)",
            Self::Linearithmic => "O(n log n)",
            Self::Quadratic => "O(n²)",
            Self::Cubic => "O(n³)",
            Self::Exponential => "O(2ⁿ)",
            Self::Unknown => "unknown",
        }
    }

    /// Its place among [`Complexity::KNOWN`]; behind all of them for what is not known.
    pub fn rank(self) -> usize {
        self as usize
    }
}

/// A power of n, times a power of its logarithm, or more than any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Growth {
    exponential: bool,
    /// In halves: 1 is the square root.
    half_powers: u8,
    logs: u8,
}

/// Higher powers are told apart no more.
const HALF_POWERS_MAX: u8 = 16;

impl Growth {
    pub(crate) const ONE: Self = Self { exponential: false, half_powers: 0, logs: 0 };
    pub(crate) const LOG: Self = Self { exponential: false, half_powers: 0, logs: 1 };
    pub(crate) const N: Self = Self { exponential: false, half_powers: 2, logs: 0 };
    pub(crate) const EXPONENTIAL: Self = Self { exponential: true, half_powers: 0, logs: 0 };

    /// n to a power.
    pub(crate) fn power(power: u8) -> Self {
        Self { half_powers: power.saturating_mul(2).min(HALF_POWERS_MAX), ..Self::ONE }
    }

    /// Done once for each of another.
    pub(crate) fn times(self, other: Self) -> Self {
        if self.exponential || other.exponential {
            return Self::EXPONENTIAL;
        }
        let half_powers = (self.half_powers + other.half_powers).min(HALF_POWERS_MAX);
        Self { exponential: false, half_powers, logs: (self.logs + other.logs).min(HALF_POWERS_MAX) }
    }

    /// The logarithm of a size.
    pub(crate) fn log(self) -> Self {
        match self {
            Self::EXPONENTIAL => Self::N,
            size if size.half_powers > 0 => Self::LOG,
            _ => Self::ONE,
        }
    }

    /// The square root of a size.
    pub(crate) fn root(self) -> Self {
        Self { half_powers: self.half_powers / 2, ..self }
    }

    pub(crate) fn is_constant(self) -> bool {
        self == Self::ONE
    }

    pub(crate) fn is_exponential(self) -> bool {
        self.exponential
    }

    /// Powers of n, in halves.
    pub(crate) fn half_powers(self) -> u8 {
        self.half_powers
    }

    pub(crate) fn logs(self) -> u8 {
        self.logs
    }

    /// At least as much as going over the input once.
    pub(crate) fn is_linear_or_more(self) -> bool {
        self.exponential || self.half_powers >= 2
    }

    /// The class.
    pub(crate) fn class(self) -> Complexity {
        match (self.exponential, self.half_powers, self.logs) {
            (true, ..) => Complexity::Exponential,
            (_, 0, 0) => Complexity::Constant,
            (_, 0, _) => Complexity::Logarithmic,
            (_, 1, _) | (_, 2, 0) => Complexity::Linear,
            (_, 2, _) => Complexity::Linearithmic,
            (_, 3 | 4, _) => Complexity::Quadratic,
            _ => Complexity::Cubic,
        }
    }

    /// As it is written, more exactly than its class.
    pub(crate) fn notation(self) -> String {
        if self.exponential {
            return "2^n".to_owned();
        }
        let power = match self.half_powers {
            0 => None,
            1 => Some("√n".to_owned()),
            2 => Some("n".to_owned()),
            halves if halves % 2 == 0 => Some(format!("n^{}", halves / 2)),
            halves => Some(format!("n^{}.5", halves / 2)),
        };
        let log = match self.logs {
            0 => None,
            1 => Some("log n".to_owned()),
            logs => Some(format!("log^{logs} n")),
        };
        match (power, log) {
            (None, None) => "1".to_owned(),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(power), Some(log)) => format!("{power} {log}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_add_powers_and_their_classes_are_in_order() {
        let classes = [
            Growth::ONE,
            Growth::LOG,
            Growth::N.root(),
            Growth::N,
            Growth::N.times(Growth::LOG),
            Growth::N.times(Growth::N),
            Growth::power(2).times(Growth::N),
            Growth::power(7),
            Growth::EXPONENTIAL.times(Growth::N),
        ];
        assert!(classes.is_sorted());
        let names: Vec<_> = classes.iter().map(|one| one.class().notation()).collect();
        let expected = ["O(1)", "O(log n)", "O(n)", "O(n)", "O(n log n)", "O(n²)", "O(n³)", "O(n³)", "O(2ⁿ)"];
        assert_eq!(names, expected);
        assert_eq!(Growth::power(2).times(Growth::LOG).notation(), "n^2 log n");
        assert_eq!((Growth::power(2).root(), Growth::EXPONENTIAL.log()), (Growth::N, Growth::N));
    }
}
