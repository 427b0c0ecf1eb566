//! Counts the records of each key and sends out `key,count` for each record.
//!
//! It is the function of the benchmark, and a function for records of any format, since it looks at
//! none. To allocate nothing for a record it keeps short keys within the output value.

use tidegate_sdk::codec::Format;
use tidegate_sdk::prelude::*;

/// Longer keys are copied to the heap.
const KEY_BYTES_MAX: usize = 32;

struct Count {
    count: ValueState<u64>,
}

/// `key,count`, with the key as it is.
struct KeyCount {
    key: Key,
    count: u64,
}

enum Key {
    Short([u8; KEY_BYTES_MAX], usize),
    Long(Vec<u8>),
}

impl Key {
    #[inline]
    fn new(key: &[u8]) -> Self {
        if key.len() > KEY_BYTES_MAX {
            return Key::Long(key.to_vec());
        }
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes[..key.len()].copy_from_slice(key);
        Key::Short(bytes, key.len())
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Key::Short(bytes, length) => &bytes[..*length],
            Key::Long(bytes) => bytes,
        }
    }
}

impl Encode for KeyCount {
    const FORMAT: Format = Format::Lines;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(self.key.as_bytes());
        out.push(b',');
        // Digits from the last to the first.
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = self.count;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[start..]);
        Ok(())
    }
}

impl RichMapFunction for Count {
    type In<'a> = &'a [u8];
    type Out = KeyCount;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.value_state("count") })
    }

    #[inline]
    fn map(&mut self, _record: &[u8], ctx: &mut MapContext<'_>) -> Result<KeyCount> {
        let count = self.count.value(ctx)?.unwrap_or(0) + 1;
        self.count.update(ctx, &count)?;
        Ok(KeyCount { key: Key::new(ctx.key()), count })
    }
}

tidegate_sdk::export!(rich_map: Count);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn counts_each_key() -> Result<()> {
        let mut count = Harness::rich_map::<Count>().open()?;
        for _ in 0..10 {
            count.push("a", b"\xff", 0)?;
        }
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        count.push(&long, b"", 0)?;
        let lines = count.take_output();
        assert_eq!((lines[0].as_str(), lines[9].as_str()), ("a,1", "a,10"));
        assert_eq!(lines[10], format!("{long},1"));
        Ok(())
    }
}
