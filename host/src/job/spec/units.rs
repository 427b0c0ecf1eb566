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

/// Writes a duration in the largest unit that divides it, as [`duration`] reads it.
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let divides = |(_, scale): &&(&str, u64)| milliseconds.is_multiple_of(u128::from(*scale));
    match DURATION_UNITS.iter().rev().find(divides) {
        Some((unit, scale)) if milliseconds > 0 => {
            format!("{}{unit}", milliseconds / u128::from(*scale))
        }
        _ => format!("{milliseconds}ms"),
    }
}

/// Writes a measured size: a unit that suits it, one digit after the point.
pub fn show_bytes(bytes: u64) -> String {
    let (_, binary) = SIZE_UNITS.split_at(5);
    match binary.iter().rev().find(|(_, scale)| bytes >= *scale) {
        Some((unit, scale)) => format!("{:.1} {unit}", bytes as f64 / *scale as f64),
        None => format!("{bytes} B"),
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
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
        assert_eq!(show_duration(Duration::ZERO), "0ms");
        assert_eq!(show_bytes(999), "999 B");
        assert_eq!(show_bytes(64 << 20), "64.0 MiB");
        assert_eq!(show_bytes(1536), "1.5 KiB");
    }
}
