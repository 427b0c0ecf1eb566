//! Measures.
mod native;
fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (input, output) = (args.next().unwrap(), args.next().unwrap());
    let start = std::time::Instant::now();
    let n = native::count_per_key(input.as_ref(), output.as_ref())?;
    println!("native {n} {:?}", start.elapsed());
    Ok(())
}
