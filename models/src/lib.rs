//! What weft decides with.
