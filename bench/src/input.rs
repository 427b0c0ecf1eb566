//! The input that every contender reads, and the fingerprint by which their outputs are compared.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use tidegate::flow::Generator;
use tidegate::job::plan::{GeneratorPlan, GeneratorShape};

/// Writes clicks, unless a file of an earlier run is there.
pub fn make(path: &Path, events: u64, keys: u64) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let settings = GeneratorPlan {
        shape: GeneratorShape::Clicks,
        count: Some(events),
        rate: None,
        seed: 1,
        keys,
        start_ms: 1_600_000_000_000,
        step_ms: 1,
    };
    let mut generator = Generator::new("bench", settings, 0, None);
    let unfinished = path.with_extension("unfinished");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
    for _ in 0..events {
        file.write_all(generator.make())?;
        file.write_all(b"\n")?;
    }
    file.into_inner()?.sync_all()?;
    Ok(std::fs::rename(unfinished, path)?)
}

/// How many lines some files have, and the sum of the lines' hashes: the same for the same lines in
/// any order.
pub fn fingerprint(paths: &[PathBuf]) -> Result<(u64, u64)> {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let (mut lines, mut sum) = (0, 0_u64);
    for path in paths {
        for line in BufReader::with_capacity(1 << 20, File::open(path)?).split(b'\n') {
            lines += 1;
            sum = sum.wrapping_add(hasher.hash_one(line?));
        }
    }
    Ok((lines, sum))
}
