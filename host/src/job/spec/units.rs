//! Durations and sizes as people write them: "10s", "64MiB".

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub fn duration(text: &str) -> Option<Duration> {
    scaled(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// Reads a size in bytes: a whole number and `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`.
pub fn bytes(text: &str) -> Option<u64> {
    scaled(text, &SIZE_UNITS)
}

/// Writes a duration in the largest unit that divides it.
pub fn show_duration(duration: Duration) -> String {
    show_scaled(duration.as_millis() as u64, DURATION_UNITS.iter().rev())
}

/// Writes a size in the largest binary unit that divides it.
pub fn show_bytes(bytes: u64) -> String {
    let (decimal, binary) = SIZE_UNITS.split_at(5);
    show_scaled(bytes, binary.iter().rev().chain(&decimal[..1]))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

fn show_scaled<'a>(number: u64, mut largest_first: impl Iterator<Item = &'a (&'a str, u64)>) -> String {
    let divides = |(_, scale): &&(&str, u64)| number != 0 && number.is_multiple_of(*scale);
    match largest_first.find(divides) {
        Some((unit, scale)) => format!("{}{unit}", number / scale),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1m"), Some(Duration::from_secs(60)));
        assert_eq!(duration("2d"), Some(Duration::from_secs(172_800)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for wrong in ["", "s", "10", "-1s", "1.5s", "1us", "10 s", "99999999999999999999d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal() {
        assert_eq!(bytes("64MiB"), Some(64 << 20));
        assert_eq!(bytes("1GB"), Some(1_000_000_000));
        assert_eq!(bytes("512KiB"), Some(512 << 10));
        for wrong in ["", "64", "64M", "64mib", "-1MiB", "18446744073709551615GiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shown_as_written() {
        for text in ["1500ms", "10s", "1m", "36h", "2d"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        for text in ["64MiB", "1GiB", "3KiB", "1000B"] {
            assert_eq!(show_bytes(bytes(text).unwrap()), text);
        }
    }
}
