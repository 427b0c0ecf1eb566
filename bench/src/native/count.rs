//! The loop of `count`, which the benchmark of throughput uses too.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use anyhow::Result;
use hashbrown::HashMap;
use memchr::memchr;

/// Counts the records of each key (the first field) and writes `key,count` for each record.
pub fn count_per_key(input: &Path, output: &Path) -> Result<u64> {
    let mut file = File::open(input)?;
    let mut out = BufWriter::with_capacity(256 << 10, File::create(output)?);
    let mut counts: HashMap<Box<[u8]>, u64> = HashMap::new();
    let mut buffer = Vec::with_capacity(1 << 20);
    let mut records = 0;
    let mut text = itoa::Buffer::new();
    loop {
        let read = (&mut file).take(256 << 10).read_to_end(&mut buffer)?;
        let mut start = 0;
        while let Some(length) = memchr(b'\n', &buffer[start..]) {
            let line = &buffer[start..start + length];
            start += length + 1;
            let key = &line[..memchr(b',', line).unwrap_or(line.len())];
            let count = match counts.get_mut(key) {
                Some(count) => count,
                None => counts.entry(key.into()).or_insert(0),
            };
            *count += 1;
            records += 1;
            out.write_all(key)?;
            out.write_all(b",")?;
            out.write_all(text.format(*count).as_bytes())?;
            out.write_all(b"\n")?;
        }
        buffer.drain(..start);
        if read == 0 {
            break;
        }
    }
    out.into_inner()?.sync_all()?;
    Ok(records)
}
