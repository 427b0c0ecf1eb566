//! Loops of one input in which something happens when the watermark passes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use hashbrown::HashMap;

use super::lines::{Lines, fields, number, time};
use super::{Out, close, create};
use crate::events::DELAY_MS;

/// The period of `pv`, the windows of `window` and of q7, the gap of q11.
const SIZE_MS: i64 = 10_000;

/// Windows of q5 begin so often.
const SLIDE_MS: i64 = 2_000;

/// The keys of a loop by small numbers, for tables that need more than one.
#[derive(Default)]
struct Keys {
    numbers: HashMap<Box<[u8]>, u32>,
    names: Vec<Box<[u8]>>,
}

impl Keys {
    #[inline]
    fn number(&mut self, key: &[u8]) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return *number as usize;
        }
        let number = self.names.len();
        self.numbers.insert(key.into(), number as u32);
        self.names.push(key.into());
        number
    }
}

/// The count of each user so far, told 10 s after the first click since it was told last:
/// `user pv: count`.
pub fn pv(inputs: &[&Path], output: &Path) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut keys = Keys::default();
    // By key, the count and whether a timer waits.
    let mut counts: Vec<(u64, bool)> = Vec::new();
    let mut timers: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
    let mut highest = i64::MIN;
    loop {
        let watermark = if lines.get().is_some() { highest - DELAY_MS - 1 } else { i64::MAX };
        while let Some(&Reverse((due, key))) = timers.peek()
            && due <= watermark
        {
            timers.pop();
            let (count, waits) = &mut counts[key];
            *waits = false;
            out.write_all(&keys.names[key])?;
            writeln!(out, " pv: {count}")?;
        }
        let Some(line) = lines.get() else { break };
        let [user, _, at] = fields(line)?;
        let (key, at) = (keys.number(user), time(at)?);
        if key == counts.len() {
            counts.push((0, false));
        }
        let (count, waits) = &mut counts[key];
        *count += 1;
        if !std::mem::replace(waits, true) {
            timers.push(Reverse((at + SIZE_MS, key)));
        }
        highest = highest.max(at);
        lines.advance()?;
    }
    close(out)
}

/// Clicks of each user in windows of 10 s: `user,count,start_ms,end_ms`.
pub fn window(inputs: &[&Path], output: &Path) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut keys = Keys::default();
    let mut windows: BTreeMap<i64, HashMap<usize, u64>> = BTreeMap::new();
    let mut highest = i64::MIN;
    loop {
        let watermark = if lines.get().is_some() { highest - DELAY_MS - 1 } else { i64::MAX };
        while let Some(window) = windows.first_entry()
            && window.key() + SIZE_MS - 1 <= watermark
        {
            let (start, counts) = window.remove_entry();
            for (key, count) in counts {
                out.write_all(&keys.names[key])?;
                writeln!(out, ",{count},{start},{}", start + SIZE_MS)?;
            }
        }
        let Some(line) = lines.get() else { break };
        let [user, _, at] = fields(line)?;
        let (key, at) = (keys.number(user), time(at)?);
        *windows.entry(at - at.rem_euclid(SIZE_MS)).or_default().entry(key).or_insert(0) += 1;
        highest = highest.max(at);
        lines.advance()?;
    }
    close(out)
}

/// Walks bids: `each` takes auction, bidder, price and time, `pass` what is due at a watermark.
fn bids<S>(
    inputs: &[&Path],
    output: &Path,
    mut state: S,
    mut each: impl FnMut(&mut S, u64, u64, u64, i64),
    mut pass: impl FnMut(&mut S, i64, &mut Out) -> Result<()>,
) -> Result<()> {
    let (mut lines, mut out) = (Lines::open(inputs[0])?, create(output)?);
    let mut highest = i64::MIN;
    while let Some(line) = lines.get() {
        let [auction, bidder, price, at, _] = fields(line)?;
        let at = time(at)?;
        each(&mut state, number(auction)?, number(bidder)?, number(price)?, at);
        if at > highest {
            highest = at;
            pass(&mut state, highest - DELAY_MS - 1, &mut out)?;
        }
        lines.advance()?;
    }
    pass(&mut state, i64::MAX, &mut out)?;
    close(out)
}

/// The auction with the most bids in each 10 s, every 2 s, the lowest of several:
/// `end_ms,auction,bids`.
pub fn q5(inputs: &[&Path], output: &Path) -> Result<()> {
    type Windows = BTreeMap<i64, HashMap<u64, u64>>;
    let each = |windows: &mut Windows, auction, _, _, at: i64| {
        let first = at - at.rem_euclid(SLIDE_MS) + SLIDE_MS;
        for end in (first..first + SIZE_MS).step_by(SLIDE_MS as usize) {
            *windows.entry(end).or_default().entry(auction).or_insert(0) += 1;
        }
    };
    let pass = |windows: &mut Windows, watermark, out: &mut Out| {
        while let Some(window) = windows.first_entry()
            && *window.key() - 1 <= watermark
        {
            let (end, counts) = window.remove_entry();
            let most = counts.into_iter().max_by_key(|(auction, bids)| (*bids, Reverse(*auction)));
            if let Some((auction, bids)) = most {
                writeln!(out, "{end},{auction},{bids}")?;
            }
        }
        Ok(())
    };
    bids(inputs, output, Windows::new(), each, pass)
}

/// The highest bid of each 10 s, of equal ones that with the lowest auction, then bidder:
/// `end_ms,auction,bidder,price`.
pub fn q7(inputs: &[&Path], output: &Path) -> Result<()> {
    type Windows = BTreeMap<i64, (u64, Reverse<u64>, Reverse<u64>)>;
    let each = |windows: &mut Windows, auction, bidder, price, at: i64| {
        let end = at - at.rem_euclid(SIZE_MS) + SIZE_MS;
        let bid = (price, Reverse(auction), Reverse(bidder));
        let highest = windows.entry(end).or_insert(bid);
        *highest = bid.max(*highest);
    };
    let pass = |windows: &mut Windows, watermark, out: &mut Out| {
        while let Some(window) = windows.first_entry()
            && *window.key() - 1 <= watermark
        {
            let (end, (price, Reverse(auction), Reverse(bidder))) = window.remove_entry();
            writeln!(out, "{end},{auction},{bidder},{price}")?;
        }
        Ok(())
    };
    bids(inputs, output, Windows::new(), each, pass)
}

/// The sessions of q11.
#[derive(Default)]
struct Sessions {
    /// By bidder, start, end and bids of those that are open, which do not overlap.
    open: HashMap<u64, Vec<(i64, i64, u64)>>,
    timers: BinaryHeap<Reverse<(i64, u64)>>,
}

/// Bids of each bidder in each session, which ends after 10 s without one:
/// `bidder,bids,start_ms,end_ms`.
pub fn q11(inputs: &[&Path], output: &Path) -> Result<()> {
    let each = |sessions: &mut Sessions, _, bidder, _, at: i64| {
        let (mut start, mut end, mut bids) = (at, at + SIZE_MS, 1);
        let open = sessions.open.entry(bidder).or_default();
        open.retain(|session| {
            let overlaps = session.0 < end && start < session.1;
            if overlaps {
                (start, end) = (start.min(session.0), end.max(session.1));
                bids += session.2;
            }
            !overlaps
        });
        // A session that only grows has its timer, which looks again when it is due.
        if bids == 1 {
            sessions.timers.push(Reverse((end - 1, bidder)));
        }
        open.push((start, end, bids));
    };
    let pass = |sessions: &mut Sessions, watermark, out: &mut Out| {
        while let Some(&Reverse((due, bidder))) = sessions.timers.peek()
            && due <= watermark
        {
            sessions.timers.pop();
            let Some(open) = sessions.open.get_mut(&bidder) else { continue };
            let mut next = None;
            for (start, end, bids) in std::mem::take(open) {
                if end - 1 <= watermark {
                    writeln!(out, "{bidder},{bids},{start},{end}")?;
                } else {
                    open.push((start, end, bids));
                    next = Some(next.map_or(end - 1, |next: i64| next.min(end - 1)));
                }
            }
            match next {
                Some(next) => sessions.timers.push(Reverse((next, bidder))),
                None => drop(sessions.open.remove(&bidder)),
            }
        }
        Ok(())
    };
    bids(inputs, output, Sessions::default(), each, pass)
}
