//! What a VM's first process and the agent have in common. In: nothing. Out: the [`protocol`] that both speak. Refuses
//! nothing itself; the program is in `main.rs` and is built for the guest alone.

pub mod protocol;
