//! For any small input, however out of order, and any job over it, the output is the oracle's.
//!
//! A failing case prints its seed; `TIDEGATE_TEST_SEED=n` runs that case alone.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tidegate_tests::job::Source;
use tidegate_tests::lines::{before_pv, first_field};
use tidegate_tests::oracle::{self, Event, csv_field};
use tidegate_tests::random::Random;
use tidegate_tests::{Folder, Job};

const CASES: u64 = 40;

/// Keys that are easy to get wrong among plain ones.
const USERS: [&str; 8] = ["a", "b", "user 3", "Ünal", "", "x,\"y\"", "a pv: 1", "0"];

const URLS: [&str; 4] = ["/", "/home?x=1", "https://例え.jp/", "a,b"];

/// One random job and its input.
#[derive(Debug)]
struct Case {
    /// User, url, timestamp.
    clicks: Vec<(&'static str, &'static str, i64)>,
    delay: i64,
    period: i64,
    size: i64,
    count: i64,
    parallelism: i64,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let users = &USERS[..random.between(1, USERS.len() as i64) as usize];
        let urls = &URLS[..random.between(1, URLS.len() as i64) as usize];
        let (back, ahead) = (random.between(0, 3_000), random.between(1, 3_000));
        let mut time = *random.choose(&[0, 0, -50_000, 1_357_017_300_000]);
        // More than one batch now and then.
        let length = if random.once_in(8) { 3_000 } else { random.between(0, 120) };
        let mut clicks = Vec::new();
        for _ in 0..length {
            time += random.between(-back, ahead);
            let repeated = clicks.last().copied().filter(|_| random.once_in(6));
            let new = (*random.choose(users), *random.choose(urls), time);
            clicks.push(repeated.unwrap_or(new));
        }
        Self {
            clicks,
            delay: *random.choose(&[0, 1, 500, 3_000]),
            period: random.between(0, 10_000),
            size: *random.choose(&[1, 7, 1_000, 10_000]),
            count: random.between(1, 6),
            parallelism: random.between(1, 5),
        }
    }

    fn input(&self) -> String {
        let mut input = String::new();
        for (user, url, time) in &self.clicks {
            let (user, url) = (csv_field(user), csv_field(url));
            writeln!(input, "{user},{url},{time}").expect("a string takes everything");
        }
        input
    }

    fn check(&self) {
        let Self { delay, period, size, count, parallelism, .. } = self;
        let folder = Folder::new("random");
        let path = folder.write("clicks.csv", self.input());
        let param = |name: &str, value: String| format!("[operator.params]\n{name} = {value}\n");
        let job = Job::new(folder, Source::clicks(&path, *delay))
            .operator("pv", "periodic-pv", "0", &param("period", format!("\"{period}ms\"")))
            .operator("window", "fake-window", "1", &param("size", format!("\"{size}ms\"")))
            .operator("avg", "avg-ts", "0", &param("count", count.to_string()))
            .parallelism(*parallelism as u32);
        job.run().expect(0);
        let by_user = self.clicks.iter().map(|(user, _, time)| event(user, *time));
        let by_user: Vec<Event> = by_user.collect();
        let by_url = self.clicks.iter().map(|(_, url, time)| event(url, *time));
        let by_url: Vec<Event> = by_url.collect();
        job.sink("pv").assert_equals(&oracle::periodic_pv(&by_user, *period, *delay), before_pv);
        let windows = oracle::fake_window(&by_url, *size, *delay);
        job.sink("window").assert_equals(&windows, first_field);
        let averages = oracle::avg_ts(&by_user, *count as usize);
        job.sink("avg").assert_equals(&averages, first_field);
    }
}

fn event(key: &str, time: i64) -> Event {
    Event { key: key.to_owned(), time }
}

#[test]
fn any_job_equals_the_oracle() {
    let seeds = match std::env::var("TIDEGATE_TEST_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("TIDEGATE_TEST_SEED is a number");
            seed..=seed
        }
        Err(_) => 1..=CASES,
    };
    for seed in seeds {
        let case = Case::new(seed);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| case.check())) {
            let shown = Case { clicks: Vec::new(), ..case };
            eprintln!("case {seed} failed: {shown:?}\nrun it alone with TIDEGATE_TEST_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
