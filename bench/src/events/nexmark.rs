//! Events of an auction site, after the generator of Nexmark: of fifty events one is a person,
//! three are auctions and forty-six are bids, each kind in a file of its own. Half of the bids go
//! to the newest hundredth auction and half come from the newest hundredth person; the others to
//! and from the last thousand.
//!
//! Not its generator: fewer fields, other random numbers, and auctions that last 1 to 20 s.

use std::io::{Result, Write};

use tidegate::env::Random;

use super::{Input, Settings, below, fill, time};

/// Events of one round: the first is a person, then come auctions, then bids.
const ROUND: u64 = 50;

/// Auctions of one round.
const AUCTIONS: u64 = 3;

/// Persons and auctions that others still take part in.
const ACTIVE: u64 = 1_000;

/// One of that many is hot.
const HOT: u64 = 100;

const CITIES: [&str; 6] = ["Boise", "Portland", "Redwood", "Phoenix", "Kent", "Bend"];
const STATES: [&str; 6] = ["ID", "OR", "CA", "AZ", "WA", "WY"];
const NAMES: [&str; 6] = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Finn"];

/// Writes the events of one kind. Each event's numbers depend on nothing but its place, so that the
/// files of three kinds belong together.
pub(super) fn write(out: &mut impl Write, kind: Input, settings: Settings) -> Result<()> {
    let mut line = Vec::new();
    for number in 0..settings.events {
        let (round, place) = (number / ROUND, number % ROUND);
        if !is_of(kind, place) {
            continue;
        }
        let random = &mut Random::new(number);
        let time = time(number, random);
        line.clear();
        match kind {
            Input::Persons => write_person(&mut line, round, time, random)?,
            Input::Auctions => {
                let id = round * AUCTIONS + place - 1;
                write_auction(&mut line, id, round, time, random)?;
            }
            _ => write_bid(&mut line, round, time, random)?,
        }
        fill(&mut line, settings.bytes, 1);
        out.write_all(&line)?;
    }
    Ok(())
}

/// How many of so many events are of this kind.
pub(super) fn records(kind: Input, events: u64) -> u64 {
    let in_round = |places: u64| (0..places).filter(|place| is_of(kind, *place)).count() as u64;
    events / ROUND * in_round(ROUND) + in_round(events % ROUND)
}

/// Whether the event at a place of its round is of this kind.
fn is_of(kind: Input, place: u64) -> bool {
    match kind {
        Input::Persons => place == 0,
        Input::Auctions => (1..=AUCTIONS).contains(&place),
        _ => place > AUCTIONS,
    }
}

fn write_person(line: &mut Vec<u8>, id: u64, time: i64, random: &mut Random) -> Result<()> {
    let name = NAMES[below(random, 6) as usize];
    let place = below(random, 6) as usize;
    write!(line, "{id},{name} {id},{},{},{time},", CITIES[place], STATES[place])
}

fn write_auction(
    line: &mut Vec<u8>,
    id: u64,
    newest_person: u64,
    time: i64,
    random: &mut Random,
) -> Result<()> {
    let seller = member(newest_person, random);
    let category = 10 + below(random, 5);
    let reserve = price(random);
    let expires = time + 1_000 + below(random, 19_000) as i64;
    write!(line, "{id},{seller},{category},{reserve},{time},{expires},")
}

fn write_bid(line: &mut Vec<u8>, round: u64, time: i64, random: &mut Random) -> Result<()> {
    let auction = member(round * AUCTIONS + AUCTIONS - 1, random);
    let bidder = member(round, random);
    let price = price(random);
    write!(line, "{auction},{bidder},{price},{time},")
}

/// One of those that are active: half of the time the newest hot one.
fn member(newest: u64, random: &mut Random) -> u64 {
    if below(random, 2) == 0 {
        newest / HOT * HOT
    } else {
        newest - below(random, ACTIVE.min(newest + 1))
    }
}

/// From 100 up to 10 million, each power of ten as likely as the others.
fn price(random: &mut Random) -> u64 {
    let power = 10_u64.pow(2 + below(random, 5) as u32);
    power + below(random, 9 * power)
}
