//! Long arrays of counts in words that serde knows. In and out: a slice. Refused: one of another length.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes the counts one by one.
pub(super) fn serialize<S: Serializer, C: AsRef<[u16]>>(
    counts: &C,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    counts.as_ref().serialize(serializer)
}

/// Reads exactly as many as there are to be.
pub(super) fn deserialize<'de, D: Deserializer<'de>, C: TryFrom<Vec<u16>>>(
    deserializer: D,
) -> Result<C, D::Error> {
    let counts = Vec::<u16>::deserialize(deserializer)?;
    let length = counts.len();
    C::try_from(counts).map_err(|_| D::Error::invalid_length(length, &"as many counts as are kept"))
}
