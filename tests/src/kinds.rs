//! What functions of each kind must put out: plain folds over the input, as in `oracle`, for the
//! guests and examples of `tests/suite/function_kinds.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::oracle::Line;

/// A click, and the line it was written as: `user,page,time_ms`.
#[derive(Debug, Clone)]
pub struct Click {
    pub user: String,
    pub page: String,
    pub time: i64,
}

impl Click {
    /// The line of the input.
    pub fn line(&self) -> String {
        format!("{},{},{}", self.user, self.page, self.time)
    }
}

fn line(key: &str, text: String) -> Line {
    Line { key: key.to_owned(), text }
}

/// `distinct`, a filter: the first click of each user and page.
pub fn distinct(clicks: &[Click]) -> Vec<Line> {
    let mut seen = BTreeSet::new();
    let new = clicks.iter().filter(|click| seen.insert((&click.user, &click.page)));
    new.map(|click| line(&click.user, click.line())).collect()
}

/// `highest`, a reduction: the highest time of each user so far, and how many clicks.
pub fn highest(clicks: &[Click]) -> Vec<Line> {
    let mut so_far: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    let reduced = |click: &Click, (count, time): (u64, i64)| match count {
        1 => click.line(),
        _ => format!("{},x{count},{time}", click.user),
    };
    let mut out = Vec::new();
    for click in clicks {
        let entry = so_far.entry(&click.user).or_insert((0, i64::MIN));
        *entry = (entry.0 + 1, entry.1.max(click.time));
        out.push(line(&click.user, reduced(click, *entry)));
    }
    out
}

/// `mean`, a rolling aggregate: the mean time of each user's clicks so far.
pub fn mean(clicks: &[Click]) -> Vec<Line> {
    let mut so_far: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut out = Vec::new();
    for Click { user, time, .. } in clicks {
        let (count, sum) = so_far.entry(user).or_default();
        (*count, *sum) = (*count + 1, *sum + time);
        out.push(line(user, format!("{user},{count},{}", sum.div_euclid(*count))));
    }
    out
}

/// `sets`, count windows: the sum of the times of every seven clicks of a user.
pub fn sets(clicks: &[Click]) -> Vec<Line> {
    let mut open: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut out = Vec::new();
    for Click { user, time, .. } in clicks {
        let times = open.entry(user).or_default();
        times.push(*time);
        if times.len() == 7 {
            out.push(line(user, format!("{user},{}", times.drain(..).sum::<i64>())));
        }
    }
    out
}

/// Windows of clicks by user, each as `(end, start, user)` with its clicks and the sum of their
/// times.
#[derive(Default)]
struct Windows {
    open: BTreeMap<(i64, i64, String), (u64, i64)>,
    fired: BTreeSet<(i64, i64, String)>,
    out: Vec<Line>,
}

impl Windows {
    fn fire(&mut self, window: &(i64, i64, String)) {
        let (end, start, user) = window;
        let (clicks, sum) = self.open[window];
        self.out.push(line(user, format!("{user},{clicks},{sum},{start},{end}")));
        self.fired.insert(window.clone());
    }

    /// Fires what the watermark has reached, in the order of ends, and forgets what is `lateness`
    /// older.
    fn advance(&mut self, watermark: i64, lateness: i64) {
        let reached: Vec<_> =
            self.open.keys().take_while(|(end, _, _)| end - 1 <= watermark).cloned().collect();
        for window in reached {
            if !self.fired.contains(&window) {
                self.fire(&window);
            }
            if window.0 - 1 + lateness <= watermark {
                self.open.remove(&window);
            }
        }
    }
}

/// Folds clicks whose watermark is `delay` late; `add` gets each with the watermark before it.
fn fold_windows(
    clicks: &[Click],
    delay: i64,
    lateness: i64,
    add: impl Fn(&mut Windows, &Click, i64),
) -> Vec<Line> {
    let (mut windows, mut watermark) = (Windows::default(), i64::MIN);
    for click in clicks {
        add(&mut windows, click, watermark);
        watermark = watermark.max(click.time - delay - 1);
        windows.advance(watermark, lateness);
    }
    windows.advance(i64::MAX - lateness, lateness);
    windows.out
}

/// `panes`, tumbling windows that take late clicks for a while.
pub fn tumbling(clicks: &[Click], size: i64, lateness: i64, delay: i64) -> Vec<Line> {
    fold_windows(clicks, delay, lateness, |windows, click, watermark| {
        let start = click.time.div_euclid(size) * size;
        if watermark >= start + size - 1 + lateness {
            return;
        }
        let window = (start + size, start, click.user.clone());
        let (count, sum) = windows.open.entry(window.clone()).or_default();
        (*count, *sum) = (*count + 1, *sum + click.time);
        if watermark >= start + size - 1 {
            windows.fire(&window);
        }
    })
}

/// `panes`, sliding windows.
pub fn sliding(clicks: &[Click], size: i64, slide: i64, delay: i64) -> Vec<Line> {
    fold_windows(clicks, delay, 0, |windows, click, watermark| {
        let mut start = click.time.div_euclid(slide) * slide;
        while start > click.time - size {
            if watermark < start + size - 1 {
                let window = (start + size, start, click.user.clone());
                let (count, sum) = windows.open.entry(window).or_default();
                (*count, *sum) = (*count + 1, *sum + click.time);
            }
            start -= slide;
        }
    })
}

/// `panes`, session windows.
pub fn session(clicks: &[Click], gap: i64, delay: i64) -> Vec<Line> {
    fold_windows(clicks, delay, 0, |windows, click, watermark| {
        let (mut start, mut end) = (click.time, click.time + gap);
        let touches = |(other_end, other_start, user): &&(i64, i64, String)| {
            *user == click.user && *other_start <= click.time + gap && click.time <= *other_end
        };
        let merged: Vec<_> = windows.open.keys().filter(touches).cloned().collect();
        if merged.is_empty() && end - 1 <= watermark {
            return;
        }
        let (mut count, mut sum) = (1, click.time);
        for window in merged {
            (start, end) = (start.min(window.1), end.max(window.0));
            let had = windows.open.remove(&window).expect("it is open");
            (count, sum) = (count + had.0, sum + had.1);
        }
        windows.open.insert((end, start, click.user.clone()), (count, sum));
    })
}

/// `broadcast-rules` over readings and rules, both `(id, seconds, degrees)` and in the order of
/// their times.
pub fn rules(readings: &[(String, i64, f64)], rules: &[(String, i64, f64)]) -> Vec<Line> {
    let mut last: BTreeMap<&str, f64> = BTreeMap::new();
    let mut out = Vec::new();
    for (id, seconds, degrees) in readings {
        let Some(before) = last.insert(id, *degrees) else { continue };
        let rule = |of: &str| {
            let mut held = rules.iter().rev();
            held.find(|(rule, from, _)| rule == of && from <= seconds).map(|rule| rule.2)
        };
        if rule(id).or_else(|| rule("*")).is_some_and(|most| (degrees - before).abs() > most) {
            out.push(line(id, format!("{id},{before:?},{degrees:?}")));
        }
    }
    out
}

/// An order and its payment: what is known of both.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: String,
    pub user: String,
    pub time: i64,
    /// Amount and time.
    pub payment: Option<(f64, i64)>,
}

/// `match-payments`: what was paid, and what was not within `wait`.
pub fn payments(orders: &[Order], wait: i64) -> Vec<Line> {
    let mut out = Vec::new();
    for Order { id, user, time, payment } in orders {
        let unpaid = format!("{id},{user},not paid");
        match payment {
            None => out.push(line(id, unpaid)),
            Some((amount, paid)) if (time - paid).abs() <= wait => {
                out.push(line(id, format!("{id},{user},{amount}")));
            }
            Some((amount, paid)) => {
                let unordered = format!("{id},not ordered,{amount}");
                let both = if time < paid { [unpaid, unordered] } else { [unordered, unpaid] };
                out.extend(both.map(|text| line(id, text)));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clicks(times: &[i64]) -> Vec<Click> {
        let click = |&time| Click { user: "a".into(), page: "/".into(), time };
        times.iter().map(click).collect()
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn late_clicks_fire_again_or_are_left_out() {
        // The watermark is 99, then 104, 109, 110.
        let clicks = clicks(&[50, 100, 60, 105, 70, 110, 111, 80]);
        let fired = ["a,1,50,0,100", "a,2,110,0,100", "a,3,180,0,100", "a,4,426,100,200"];
        assert_eq!(texts(&tumbling(&clicks, 100, 10, 0)), fired);
    }

    #[test]
    fn sessions_merge_and_slides_overlap() {
        let clicks = clicks(&[0, 50, 25, 90]);
        assert_eq!(texts(&session(&clicks, 30, 100)), ["a,3,75,0,80", "a,1,90,90,120"]);
        let sliding = sliding(&clicks[..2], 60, 30, 100);
        assert_eq!(texts(&sliding), ["a,1,0,-30,30", "a,2,50,0,60", "a,1,50,30,90"]);
    }

    #[test]
    fn payments_count_within_the_wait() {
        let order = |payment| Order { id: "o".into(), user: "u".into(), time: 5, payment };
        let orders = [order(None), order(Some((1.5, 15))), order(Some((2.0, 16)))];
        let expected = ["o,u,not paid", "o,u,1.5", "o,u,not paid", "o,not ordered,2"];
        assert_eq!(texts(&payments(&orders, 10)), expected);
    }
}
