//! Who asks, without knowing who. In: authentication data. Out: a keyed hash of it. The key is random, belongs to
//! one node, and never leaves it, so that a hash means nothing elsewhere.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// The node's own key.
#[derive(Clone, Copy)]
pub struct NodeKey([u8; 16]);

impl NodeKey {
    /// A new key from the kernel's generator.
    ///
    /// # Errors
    /// What `getrandom` says.
    pub fn generate() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        (filled == bytes.len())
            .then_some(Self(bytes))
            .ok_or_else(|| std::io::Error::other("getrandom was cut short"))
    }

    /// A stored key.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key's bytes, for the store alone.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// SipHash-2-4 of `data` under this key.
    pub fn hash(&self, data: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(data);
        hasher.finish()
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_give_one_user_different_hashes() {
        let (one, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        assert_eq!(one.hash(b"Bearer a"), one.hash(b"Bearer a"));
        assert_ne!(one.hash(b"Bearer a"), other.hash(b"Bearer a"));
    }

    #[test]
    fn a_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", NodeKey::from_bytes([42; 16])), "NodeKey(..)");
    }
}
