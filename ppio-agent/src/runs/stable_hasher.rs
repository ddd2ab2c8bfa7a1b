//! A hash function that returns the same results in every process and with every version of Rust.

#![expect(
    deprecated,
    reason = "`DefaultHasher` may change its algorithm, and files contain these hashes"
)]

use std::hash::{Hasher, SipHasher};

/// [SipHash 2-4](https://github.com/veorq/SipHash).
#[derive(Debug, Clone)]
pub(super) struct StableHasher(SipHasher);

impl StableHasher {
    pub(super) fn with_keys(first: u64, second: u64) -> Self {
        Self(SipHasher::new_with_keys(first, second))
    }
}

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of <https://github.com/veorq/SipHash>.
    #[test]
    fn hashes_are_those_of_siphash() {
        for (length, hash) in [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (15, 0xa129_ca61_49be_45e5_u64),
        ] {
            let mut hasher = StableHasher::with_keys(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
            hasher.write(&(0..length).collect::<Vec<u8>>());
            assert_eq!(hasher.finish(), hash, "{length} bytes");
        }
    }
}
