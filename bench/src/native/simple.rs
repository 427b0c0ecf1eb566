//! Loops without timers.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use hashbrown::HashMap;

use super::lines::{Lines, fields, number, time};
use super::{close, create};

/// Degrees by which two readings may differ.
const THRESHOLD: f64 = 10.0;

/// The windows of q12.
const WINDOW_MS: u128 = 10_000;

/// Records between two looks at the clock.
const RECORDS_A_LOOK: u64 = 1024;

/// `id,previous,current` where a sensor differs by more than the threshold from its last reading.
pub fn alert(inputs: &[&Path], output: &Path) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut last: HashMap<Box<[u8]>, f64> = HashMap::new();
    while let Some(line) = lines.get() {
        let [id, _, temperature, _] = fields(line)?;
        let now: f64 = std::str::from_utf8(temperature)?.parse()?;
        match last.get_mut(id) {
            Some(last) => {
                if (now - *last).abs() > THRESHOLD {
                    out.write_all(id)?;
                    writeln!(out, ",{last:?},{now:?}")?;
                }
                *last = now;
            }
            None => {
                last.insert(id.into(), now);
            }
        }
        lines.advance()?;
    }
    close(out)
}

/// `timestamp_ms,user,length of the url` of each click.
pub fn map(inputs: &[&Path], output: &Path) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut text = itoa::Buffer::new();
    while let Some(line) = lines.get() {
        let [user, url, timestamp] = fields(line)?;
        out.write_all(timestamp)?;
        out.write_all(b",")?;
        out.write_all(user)?;
        out.write_all(b",")?;
        out.write_all(text.format(url.len()).as_bytes())?;
        out.write_all(b"\n")?;
        lines.advance()?;
    }
    close(out)
}

/// Every bid, read and written again.
pub fn q0(inputs: &[&Path], output: &Path) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut text = itoa::Buffer::new();
    while let Some(line) = lines.get() {
        let [auction, bidder, price, time, extra] = fields(line)?;
        for field in [auction, bidder, price, time] {
            out.write_all(text.format(number(field)?).as_bytes())?;
            out.write_all(b",")?;
        }
        out.write_all(extra)?;
        out.write_all(b"\n")?;
        lines.advance()?;
    }
    close(out)
}

/// Bids of each bidder in each 10 s by the clock: `bidder,bids,start_ms`.
pub fn q12(inputs: &[&Path], output: &Path) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut counts: HashMap<u64, u64> = HashMap::new();
    let mut tell = |counts: &mut HashMap<u64, u64>, start: u128| -> Result<()> {
        for (bidder, bids) in counts.drain() {
            writeln!(out, "{bidder},{bids},{start}")?;
        }
        Ok(())
    };
    let (mut records, mut start) = (0_u64, 0);
    while let Some(line) = lines.get() {
        if records.is_multiple_of(RECORDS_A_LOOK) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
            if now >= start + WINDOW_MS {
                tell(&mut counts, start)?;
                start = now - now % WINDOW_MS;
            }
        }
        let [_, bidder, _, _, _] = fields(line)?;
        *counts.entry(number(bidder)?).or_insert(0) += 1;
        records += 1;
        lines.advance()?;
    }
    tell(&mut counts, start)?;
    close(out)
}

/// The last bid of each bidder for each auction, told whenever there is a newer one.
pub fn q18(inputs: &[&Path], output: &Path) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut last: HashMap<(u64, u64), i64> = HashMap::new();
    while let Some(line) = lines.get() {
        let [auction, bidder, _, at, _] = fields(line)?;
        let at = time(at)?;
        let last = last.entry((number(bidder)?, number(auction)?)).or_insert(i64::MIN);
        if at >= *last {
            *last = at;
            out.write_all(line)?;
            out.write_all(b"\n")?;
        }
        lines.advance()?;
    }
    close(out)
}
