//! The one door to aya and libbpf-rs.
