//! Loops over two inputs, which are merged by their event times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use hashbrown::HashMap;

use super::lines::{Lines, fields, number, time};
use super::{Out, close, create};
use crate::events::DELAY_MS;

/// The windows of q8.
const SIZE_MS: i64 = 10_000;

/// How often q4 tells its averages.
const PERIOD_MS: i64 = 60_000;

/// A query over two inputs.
trait Query {
    /// The event times of lines of the two inputs.
    fn time(input: usize, line: &[u8]) -> Result<i64>;
    /// Takes a line of an input.
    fn each(&mut self, input: usize, line: &[u8], out: &mut Out) -> Result<()>;
    /// Does what is due at a watermark.
    fn pass(&mut self, watermark: i64, out: &mut Out) -> Result<()>;
}

/// Runs a query: of the two lines at hand the one with the lower event time comes first.
fn merge<Q: Query>(inputs: &[&Path], output: &Path, mut query: Q) -> Result<()> {
    let mut lines = [Lines::open(inputs[0])?, Lines::open(inputs[1])?];
    let mut out = create(output)?;
    let mut highest = [i64::MIN; 2];
    let mut passed = i64::MIN;
    loop {
        let mut next = [i64::MAX; 2];
        for (input, lines) in lines.iter().enumerate() {
            if let Some(line) = lines.get() {
                next[input] = Q::time(input, line)?;
            }
        }
        let input = usize::from(next[1] < next[0]);
        let Some(line) = lines[input].get() else { break };
        query.each(input, line, &mut out)?;
        highest[input] = highest[input].max(next[input]);
        lines[input].advance()?;
        let of = |input: usize| match lines[input].get() {
            Some(_) => highest[input].saturating_sub(DELAY_MS + 1),
            None => i64::MAX,
        };
        let watermark = of(0).min(of(1));
        if watermark > passed {
            passed = watermark;
            query.pass(watermark, &mut out)?;
        }
    }
    query.pass(i64::MAX, &mut out)?;
    close(out)
}

/// Who in OR, ID or CA sells in category 10: `name,city,state,auction`.
pub fn q3(inputs: &[&Path], output: &Path) -> Result<()> {
    merge(inputs, output, Q3::default())
}

#[derive(Default)]
struct Q3 {
    /// What the output says of a person.
    persons: HashMap<u64, Box<[u8]>>,
    /// Auctions whose seller is not known yet.
    early: HashMap<u64, Vec<u64>>,
}

impl Query for Q3 {
    fn time(_: usize, line: &[u8]) -> Result<i64> {
        join_time(line)
    }

    fn each(&mut self, input: usize, line: &[u8], out: &mut Out) -> Result<()> {
        if input == 0 {
            let [id, name, city, state, _, _] = fields(line)?;
            if !matches!(state, b"OR" | b"ID" | b"CA") {
                return Ok(());
            }
            let (id, person) = (number(id)?, [name, city, state].join(&b','));
            for auction in self.early.remove(&id).unwrap_or_default() {
                out.write_all(&person)?;
                writeln!(out, ",{auction}")?;
            }
            self.persons.insert(id, person.into());
            return Ok(());
        }
        let [id, seller, category, _, _, _, _] = fields(line)?;
        if category != b"10" {
            return Ok(());
        }
        let (id, seller) = (number(id)?, number(seller)?);
        match self.persons.get(&seller) {
            Some(person) => {
                out.write_all(person)?;
                writeln!(out, ",{id}")?;
            }
            None => self.early.entry(seller).or_default().push(id),
        }
        Ok(())
    }

    fn pass(&mut self, _: i64, _: &mut Out) -> Result<()> {
        Ok(())
    }
}

/// The average winning price of each category so far, told after each minute of event time in which
/// an auction of it closed: `category,average,end_ms`.
pub fn q4(inputs: &[&Path], output: &Path) -> Result<()> {
    merge(inputs, output, Q4::default())
}

#[derive(Default)]
struct Q4 {
    auctions: HashMap<u64, Auction>,
    /// Price and time of bids before their auction is known.
    early: HashMap<u64, Vec<(u64, i64)>>,
    closing: BinaryHeap<Reverse<(i64, u64)>>,
    /// By end and category, sum and number of the periods that are not over.
    open: BTreeMap<(i64, u64), (u64, u64)>,
    /// By category, sum and number of those that are.
    total: HashMap<u64, (u64, u64)>,
}

struct Auction {
    opens: i64,
    closes: i64,
    category: u64,
    highest: Option<u64>,
}

impl Auction {
    fn bid(&mut self, price: u64, at: i64) {
        if (self.opens..=self.closes).contains(&at) {
            self.highest = self.highest.max(Some(price));
        }
    }
}

impl Query for Q4 {
    fn time(input: usize, line: &[u8]) -> Result<i64> {
        if input == 0 {
            return join_time(line);
        }
        let [_, _, _, at, _] = fields(line)?;
        time(at)
    }

    fn each(&mut self, input: usize, line: &[u8], _: &mut Out) -> Result<()> {
        if input == 0 {
            let [id, _, category, _, opens, closes, _] = fields(line)?;
            let (id, opens, closes) = (number(id)?, time(opens)?, time(closes)?);
            let mut auction = Auction { opens, closes, category: number(category)?, highest: None };
            for (price, at) in self.early.remove(&id).unwrap_or_default() {
                auction.bid(price, at);
            }
            self.closing.push(Reverse((closes, id)));
            self.auctions.insert(id, auction);
            return Ok(());
        }
        let [id, _, price, at, _] = fields(line)?;
        let (id, price, at) = (number(id)?, number(price)?, time(at)?);
        match self.auctions.get_mut(&id) {
            Some(auction) => auction.bid(price, at),
            None => self.early.entry(id).or_default().push((price, at)),
        }
        Ok(())
    }

    fn pass(&mut self, watermark: i64, out: &mut Out) -> Result<()> {
        while let Some(&Reverse((closes, id))) = self.closing.peek()
            && closes <= watermark
        {
            self.closing.pop();
            if let Some(Auction { category, highest: Some(price), .. }) = self.auctions.get(&id) {
                let end = closes - closes.rem_euclid(PERIOD_MS) + PERIOD_MS;
                let (sum, number) = self.open.entry((end, *category)).or_default();
                (*sum, *number) = (*sum + price, *number + 1);
            }
        }
        while let Some(period) = self.open.first_entry()
            && period.key().0 - 1 <= watermark
        {
            let ((end, category), (sum, number)) = period.remove_entry();
            let total = self.total.entry(category).or_default();
            *total = (total.0 + sum, total.1 + number);
            writeln!(out, "{category},{},{end}", total.0 / total.1)?;
        }
        Ok(())
    }
}

/// Who registered and sold within the same 10 s: `id,name,start_ms`.
pub fn q8(inputs: &[&Path], output: &Path) -> Result<()> {
    merge(inputs, output, Q8::default())
}

/// A person's name, once known, and whether an auction of theirs was seen.
type Met = (Option<Box<[u8]>>, bool);

#[derive(Default)]
struct Q8 {
    /// By start and person, the name and whether they sold.
    windows: BTreeMap<i64, HashMap<u64, Met>>,
}

impl Query for Q8 {
    fn time(_: usize, line: &[u8]) -> Result<i64> {
        join_time(line)
    }

    fn each(&mut self, input: usize, line: &[u8], _: &mut Out) -> Result<()> {
        let at = join_time(line)?;
        let window = self.windows.entry(at - at.rem_euclid(SIZE_MS)).or_default();
        if input == 0 {
            let [id, name, _, _, _, _] = fields(line)?;
            window.entry(number(id)?).or_default().0 = Some(name.into());
        } else {
            let [_, seller, _, _, _, _, _] = fields(line)?;
            window.entry(number(seller)?).or_default().1 = true;
        }
        Ok(())
    }

    fn pass(&mut self, watermark: i64, out: &mut Out) -> Result<()> {
        while let Some(window) = self.windows.first_entry()
            && window.key() + SIZE_MS - 1 <= watermark
        {
            let (start, persons) = window.remove_entry();
            for (id, (name, sold)) in persons {
                if let (Some(name), true) = (name, sold) {
                    write!(out, "{id},")?;
                    out.write_all(&name)?;
                    writeln!(out, ",{start}")?;
                }
            }
        }
        Ok(())
    }
}

/// The event time of a person or an auction: the fifth field of both.
#[inline]
fn join_time(line: &[u8]) -> Result<i64> {
    let mut fields = line.split(|byte| *byte == b',');
    time(fields.nth(4).unwrap_or_default())
}
