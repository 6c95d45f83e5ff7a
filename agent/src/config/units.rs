//! Values as people write them. In: `"256MiB"`, `"10.201.0.0/16"`, `"auto"`. Out: checked numbers.
//! Refuses what is no number, has no known unit, or does not fit.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error};

use super::Confidence;

/// A number of bytes, written with an optional unit: `B`, `KiB`, `MiB`, `GiB`, `KB`, `MB`, `GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// In mebibytes, rounded up.
    pub fn mib(self) -> u64 {
        self.0.div_ceil(1 << 20)
    }
}

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}B", self.0))
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits]
            .parse()
            .map_err(|_| format!("`{text}` is no size; write a whole number and a unit, as \"256MiB\""))?;
        let unit: u64 = match text[digits..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            other => return Err(format!("`{other}` is no unit; use B, KiB, MiB, GiB, KB, MB or GB")),
        };
        number.checked_mul(unit).map(Bytes).ok_or_else(|| format!("`{text}` is more than any machine has"))
    }
}

/// An IPv4 network, `address/prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    base: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// The network of `address` with a prefix of at most 29 bits; host bits are cleared.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let mask = u32::MAX << (32 - prefix as u32);
        Self { base: Ipv4Addr::from_bits(address.to_bits() & mask), prefix }
    }

    /// The network's own address.
    pub fn base(self) -> Ipv4Addr {
        self.base
    }

    /// Length of the prefix in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The bridge's own address: the first of the network.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits() + 1)
    }

    /// Its addresses but the first and the last.
    pub fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let base = self.base.to_bits();
        let last = base | (u32::MAX >> self.prefix);
        (base + 1..last).map(Ipv4Addr::from_bits)
    }

    /// Whether an address lies in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        Self::new(address, self.prefix).base == self.base
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no IPv4 network; write it as \"10.201.0.0/16\"");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if !(8..=29).contains(&prefix) {
            return Err(format!("a prefix of {prefix} bits leaves no room or too much; use 8 to 29"));
        }
        Ok(Self::new(address, prefix))
    }
}

/// An address as the kernel knows it: IPv4 written as IPv6 is IPv4.
pub(super) fn dialled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let written = SocketAddr::deserialize(deserializer)?;
    Ok(SocketAddr::new(written.ip().to_canonical(), written.port()))
}

macro_rules! deserialize_by_parsing {
    ($type:ty) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

deserialize_by_parsing!(Bytes);
deserialize_by_parsing!(Subnet);

impl<'de> Deserialize<'de> for Confidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) if (0.0..=1.0).contains(&number) => Ok(Self::Fixed(number)),
            Written::Word(word) if word == "auto" => Ok(Self::Auto),
            _ => Err(D::Error::custom("a confidence is \"auto\" or a number from 0 to 1")),
        }
    }
}
