//! The jobs: what each reads, the functions it is made of, its loop, and how outputs compare.

use super::settings::Watermarks;
use crate::events::Input;
use crate::native;

/// One job of the comparison.
pub struct Job {
    /// Its name on the command line and in the document.
    pub name: &'static str,
    /// What it does, for the document.
    pub about: &'static str,
    /// What it reads, in the order of its loop.
    pub inputs: &'static [Input],
    /// Its operators; the sink reads the last one.
    pub operators: &'static [Operator],
    /// The hand-written loop.
    pub run: native::Loop,
    rule: Rule,
}

/// A function of a job and what it reads.
pub struct Operator {
    /// The folder of its crate in the repository, whose name is that of the component.
    pub folder: &'static str,
    /// For each of its inputs, a source or `previous`, and the partitioning in the job file.
    pub inputs: &'static [(&'static str, &'static str)],
}

/// By what two outputs are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The same lines in any order.
    Lines,
    /// The same highest number for each key: lines are `key pv: number`, and how many of them there
    /// are depends on when watermarks come.
    HighestOfKey,
    /// The same sum for each key: lines are `key,number,…`, and how numbers are cut depends on the
    /// clock.
    SumOfKey,
}

impl Job {
    /// By what the outputs of the contenders are the same.
    pub fn rule(&self, watermarks: Watermarks) -> Rule {
        match (self.rule, watermarks) {
            // With a watermark after each record all see the same.
            (Rule::HighestOfKey, Watermarks::Each) => Rule::Lines,
            (rule, _) => rule,
        }
    }

    /// Whether its keys are those that the cell says; else they are Nexmark's or none.
    pub fn has_keys(&self) -> bool {
        !self.inputs[0].is_nexmark() && self.name != "map"
    }

    /// The job of this name.
    pub fn find(name: &str) -> Option<&'static Job> {
        JOBS.iter().find(|job| job.name == name)
    }
}

const BY_USER: &[(&str, &str)] = &[("clicks", "{ key = 0 }")];
const BY_AUCTION: &[(&str, &str)] = &[("bids", "{ key = 0 }")];
const BY_BIDDER: &[(&str, &str)] = &[("bids", "{ key = 1 }")];
const BY_FIRST: &[(&str, &str)] = &[("previous", "{ key = 0 }")];
const BY_PERSON: &[(&str, &str)] = &[("persons", "{ key = 0 }"), ("auctions", "{ key = 1 }")];

/// All of them, in the order of the document.
pub const JOBS: &[Job] = &[
    Job {
        name: "count",
        about: "clicks of each user so far, a line for each click; value state",
        inputs: &[Input::Clicks],
        operators: &[Operator { folder: "tests/guests/count", inputs: BY_USER }],
        run: native::count,
        rule: Rule::Lines,
    },
    Job {
        name: "pv",
        about: "`periodic-pv`: the count so far, 10 s after it was told last; value state, timers",
        inputs: &[Input::Clicks],
        operators: &[Operator { folder: "examples/periodic-pv", inputs: BY_USER }],
        run: native::pv,
        rule: Rule::HighestOfKey,
    },
    Job {
        name: "window",
        about: "`fake-window`: clicks of each user in windows of 10 s; map state, timers",
        inputs: &[Input::Clicks],
        operators: &[Operator { folder: "examples/fake-window", inputs: BY_USER }],
        run: native::window,
        rule: Rule::Lines,
    },
    Job {
        name: "alert",
        about: "`temp-alert`: readings that differ by more than 10 from the last; value state",
        inputs: &[Input::Sensors],
        operators: &[Operator {
            folder: "bench/guests/bench-alert",
            inputs: &[("sensors", "{ key = 0 }")],
        }],
        run: native::alert,
        rule: Rule::Lines,
    },
    Job {
        name: "map",
        about: "a map without key and state",
        inputs: &[Input::Clicks],
        operators: &[Operator {
            folder: "bench/guests/bench-map",
            inputs: &[("clicks", "\"rebalance\"")],
        }],
        run: native::map,
        rule: Rule::Lines,
    },
    Job {
        name: "q0",
        about: "Nexmark 0: every bid, read and written again",
        inputs: &[Input::Bids],
        operators: &[Operator {
            folder: "bench/guests/nexmark-q0",
            inputs: &[("bids", "\"rebalance\"")],
        }],
        run: native::q0,
        rule: Rule::Lines,
    },
    Job {
        name: "q3",
        about: "Nexmark 3: persons of three states joined with their auctions of a category",
        inputs: &[Input::Persons, Input::Auctions],
        operators: &[Operator { folder: "bench/guests/nexmark-q3", inputs: BY_PERSON }],
        run: native::q3,
        rule: Rule::Lines,
    },
    Job {
        name: "q4",
        about: "Nexmark 4: highest bid of each auction, then the average a category and minute",
        inputs: &[Input::Auctions, Input::Bids],
        operators: &[
            Operator {
                folder: "bench/guests/nexmark-q4-winner",
                inputs: &[("auctions", "{ key = 0 }"), ("bids", "{ key = 0 }")],
            },
            Operator { folder: "bench/guests/nexmark-q4-average", inputs: BY_FIRST },
        ],
        run: native::q4,
        rule: Rule::Lines,
    },
    Job {
        name: "q5",
        about: "Nexmark 5: the auction with the most bids in 10 s, every 2 s",
        inputs: &[Input::Bids],
        operators: &[
            Operator { folder: "bench/guests/nexmark-q5-counts", inputs: BY_AUCTION },
            Operator { folder: "bench/guests/nexmark-q5-most", inputs: BY_FIRST },
        ],
        run: native::q5,
        rule: Rule::Lines,
    },
    Job {
        name: "q7",
        about: "Nexmark 7: the highest bid of each 10 s",
        inputs: &[Input::Bids],
        operators: &[
            Operator { folder: "bench/guests/nexmark-q7-auction", inputs: BY_AUCTION },
            Operator { folder: "bench/guests/nexmark-q7-highest", inputs: BY_FIRST },
        ],
        run: native::q7,
        rule: Rule::Lines,
    },
    Job {
        name: "q8",
        about: "Nexmark 8: who registered and sold within the same 10 s",
        inputs: &[Input::Persons, Input::Auctions],
        operators: &[Operator { folder: "bench/guests/nexmark-q8", inputs: BY_PERSON }],
        run: native::q8,
        rule: Rule::Lines,
    },
    Job {
        name: "q11",
        about: "Nexmark 11: bids of each bidder in sessions",
        inputs: &[Input::Bids],
        operators: &[Operator { folder: "bench/guests/nexmark-q11", inputs: BY_BIDDER }],
        run: native::q11,
        rule: Rule::Lines,
    },
    Job {
        name: "q12",
        about: "Nexmark 12: bids of each bidder in 10 s by the clock",
        inputs: &[Input::Bids],
        operators: &[Operator { folder: "bench/guests/nexmark-q12", inputs: BY_BIDDER }],
        run: native::q12,
        rule: Rule::SumOfKey,
    },
    Job {
        name: "q18",
        about: "Nexmark 18: the last bid of each bidder for each auction",
        inputs: &[Input::Bids],
        operators: &[Operator {
            folder: "bench/guests/nexmark-q18",
            inputs: &[("bids", "\"function\"")],
        }],
        run: native::q18,
        rule: Rule::Lines,
    },
];
