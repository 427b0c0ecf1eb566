//! Keys, their hash, and the key group and partition that follow from it.
//!
//! As in Flink, a key belongs to one of `max_parallelism` key groups for ever, and each partition
//! owns a contiguous range of key groups. Rescaling moves whole key groups.

/// Key groups of a job that does not say otherwise.
pub const MAX_PARALLELISM_DEFAULT: u32 = 128;

/// The most key groups a job may have, as in Flink.
pub const MAX_PARALLELISM_LIMIT: u32 = 32_768;

/// Index of one parallel instance of an operator, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u32);

/// Index of a key group, from 0 to the job's max parallelism less 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u32);

impl KeyGroup {
    /// The partition that owns this key group: `key_group * parallelism / max_parallelism`.
    pub fn partition(self, parallelism: u32, max_parallelism: u32) -> PartitionId {
        PartitionId(
            (u64::from(self.0) * u64::from(parallelism) / u64::from(max_parallelism)) as u32,
        )
    }
}

/// The hash of a key: MurmurHash3 (x86, 32 bits, seed 0) of its bytes. Computed once, where a
/// record is routed, and carried to the state tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub u32);

impl KeyHash {
    /// Hashes a key.
    pub fn of(key: &[u8]) -> Self {
        let mut hash = 0_u32;
        let (blocks, tail) = key.as_chunks::<4>();
        for block in blocks {
            hash ^= scramble(u32::from_le_bytes(*block));
            hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        }
        // Each byte by itself: a load of four that were just stored in parts would wait for them.
        let block = tail.iter().rev().fold(0, |block, &byte| (block << 8) | u32::from(byte));
        hash ^= scramble(block);
        // The reference takes the length modulo 2^32.
        hash ^= key.len() as u32;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        Self(hash ^ (hash >> 16))
    }

    /// The key group of the key among `max_parallelism`.
    pub fn key_group(self, max_parallelism: u32) -> KeyGroup {
        // A division takes as long as the hash; the default is a power of two.
        match max_parallelism.is_power_of_two() {
            true => KeyGroup(self.0 & (max_parallelism - 1)),
            false => KeyGroup(self.0 % max_parallelism),
        }
    }

    /// The hash spread over 64 bits, for tables that use its upper and lower ends.
    pub fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the reference implementation (seed 0), as published with MurmurHash3.
    #[test]
    fn equals_the_reference() {
        assert_eq!(KeyHash::of(b"").0, 0);
        assert_eq!(KeyHash::of(b"test").0, 0xba6b_d213);
        assert_eq!(KeyHash::of(b"Hello, world!").0, 0xc036_3e43);
        let fox = b"The quick brown fox jumps over the lazy dog";
        assert_eq!(KeyHash::of(fox).0, 0x2e4f_f723);
    }

    #[test]
    fn a_key_group_is_the_hash_modulo_max_parallelism() {
        for max_parallelism in [1, 2, 3, 100, 128, MAX_PARALLELISM_LIMIT] {
            for hash in [0, 1, 0x7fff_ffff, 0xba6b_d213, u32::MAX] {
                let group = KeyHash(hash).key_group(max_parallelism);
                assert_eq!(group, KeyGroup(hash % max_parallelism));
            }
        }
    }

    #[test]
    fn each_partition_owns_a_contiguous_range_of_key_groups() {
        for parallelism in 1..=128 {
            let owners: Vec<u32> =
                (0..128).map(|group| KeyGroup(group).partition(parallelism, 128).0).collect();
            assert!(owners.is_sorted(), "{owners:?}");
            assert_eq!(owners.iter().max(), Some(&(parallelism - 1)));
            assert!((0..parallelism).all(|partition| owners.contains(&partition)));
        }
    }
}
