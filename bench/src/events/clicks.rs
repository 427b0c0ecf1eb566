//! Clicks and readings of sensors with skewed keys.

use std::io::{Result, Write};

use tidegate::env::Random;

use super::{Settings, below, fill, skewed_below, time};

/// `user,url,timestamp_ms`, of which the url is as long as the line needs.
pub(super) fn write_clicks(out: &mut impl Write, settings: Settings) -> Result<()> {
    let mut random = Random::new(1);
    let mut line = Vec::new();
    for number in 0..settings.events {
        let key = skewed_below(&mut random, settings.keys);
        let time = time(number, &mut random).to_string();
        line.clear();
        write!(line, "user_{key},/")?;
        let url_end = settings.bytes.saturating_sub(1 + time.len()).max(line.len());
        line.resize(url_end, b'x');
        writeln!(line, ",{time}")?;
        out.write_all(&line)?;
    }
    Ok(())
}

/// `id,unix_seconds,temperature,note`: one reading of twenty is 20 degrees higher than the others,
/// which differ by less than 6.
pub(super) fn write_sensors(out: &mut impl Write, settings: Settings) -> Result<()> {
    let mut random = Random::new(2);
    let mut line = Vec::new();
    for number in 0..settings.events {
        let key = skewed_below(&mut random, settings.keys);
        let seconds = time(number, &mut random).div_euclid(1000);
        let peak = if below(&mut random, 20) == 0 { 200 } else { 0 };
        let tenths = 200 + below(&mut random, 60) + peak;
        line.clear();
        write!(line, "sensor_{key},{seconds},{}.{},", tenths / 10, tenths % 10)?;
        fill(&mut line, settings.bytes, 1);
        out.write_all(&line)?;
    }
    Ok(())
}
