//! What may become of a file, for tests: each of its forms must be found when it is read.

/// Calls `check` with a file in which one bit is flipped, for each bit, and cut off, at each byte;
/// and with what was done to it.
pub fn each_damage(whole: &[u8], mut check: impl FnMut(&[u8], &str)) {
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.to_vec();
            flipped[index] ^= 1 << bit;
            check(&flipped, &format!("byte {index} bit {bit}"));
        }
        check(&whole[..index], &format!("cut at {index}"));
    }
}
