//! A whole job driven by one loop: time, disk, crashes and the order in which anything happens come
//! from a seed. The engine is the one that threads drive in production.
//!
//! ```text
//! loop: one of  a task's step | a background job | the conductor | time passes | a savepoint
//!       until everything is done, or the disk stops (a crash), or something fails (a restart)
//! ```

pub mod disk;
mod lanes;
pub mod reordered;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tidegate::checkpoint::storage::{Below, Disk, FileStorage, Storage};
use tidegate::checkpoint::{Target, catalog};
use tidegate::env::Clock;
use tidegate::error::{Error, Result};
use tidegate::flow::{Event, Metrics, Step, StopFlag};
use tidegate::job::attempt::{Attempt, Conductor, Ground, candidates, start_from_newest};
use tidegate::job::{
    CodeChoice, Environment, NamedTask, Plan, Requests, Restore, RunOptions, Storages, finish,
};
use tidegate::state::SnapshotForm;
use tidegate::wasm::LogSink;

use crate::counts::in_order_of_commits;
use crate::random::Random;
use disk::{Faults, SimDisk};
use lanes::SimLanes;

/// A loop that takes so many turns hangs.
const TURNS_MAX: u64 = 2_000_000;

/// A process whose attempts fail so often, each for another reason, makes no progress.
const FAILURES_MAX: u32 = 100;

/// The folder of the sink on the simulated disk.
pub const OUTPUT: &str = "/output";

/// The folder of checkpoints on the simulated disk.
pub const CHECKPOINTS: &str = "/checkpoints";

/// What a simulation does to a job.
pub struct Settings {
    /// Everything follows from it.
    pub seed: u64,
    /// How often the process or the machine crashes.
    pub crashes: u64,
    /// One operation of the disk in so many fails; 0 = none.
    pub fault_one_in: u64,
    /// Whether somebody asks for savepoints.
    pub savepoints: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The output by file, in the order in which it was committed.
    pub files: Vec<String>,
    /// Crashes and failures that were survived.
    pub restarts: u64,
    /// Checkpoints that something was restored from.
    pub restored: u64,
}

struct SimClock(AtomicI64);

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Storages on the simulated disk.
struct SimStorages {
    disk: Arc<dyn Disk>,
}

impl Storages for SimStorages {
    fn open(&self, url: &str, _folder: &Path) -> Result<Arc<dyn Storage>> {
        let path = url.strip_prefix("file://").unwrap_or(url);
        Ok(Arc::new(FileStorage::on(self.disk.clone(), PathBuf::from(path))))
    }
}

/// A job and the world around it.
pub struct Simulation {
    settings: Settings,
    random: Random,
    disk: SimDisk,
    clock: Arc<SimClock>,
    lanes: SimLanes,
    storages: Arc<dyn Storages>,
    runs: u64,
    /// The visible output that was durable when the machine last crashed.
    durable: BTreeMap<String, Vec<u8>>,
}

/// Why an attempt ended.
enum End {
    Finished,
    Crashed,
    Failed(Error),
}

impl Simulation {
    /// A simulation in which the engine sees what `wrap` makes of the disk.
    pub fn with_disk(settings: Settings, wrap: impl FnOnce(SimDisk) -> Arc<dyn Disk>) -> Self {
        let disk = SimDisk::default();
        let storages = Arc::new(SimStorages { disk: wrap(disk.clone()) });
        Self {
            random: Random::new(settings.seed),
            settings,
            disk,
            clock: Arc::new(SimClock(AtomicI64::new(1_000_000))),
            lanes: SimLanes::default(),
            storages,
            runs: 0,
            durable: BTreeMap::new(),
        }
    }

    /// Runs one of `plans`, another one after each crash, until the job has finished.
    ///
    /// # Errors
    /// If the job cannot go on, or hangs.
    pub fn run(&mut self, plans: &[Plan]) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut crashes = self.settings.crashes;
        loop {
            let plan = self.random.choose(plans);
            self.set_faults(crashes > 0);
            let end = self.run_process(plan, &mut outcome);
            self.check_durable()?;
            if self.disk.has_crashed() {
                crashes -= 1;
                outcome.restarts += 1;
                let machine = self.random.once_in(2);
                self.disk.tell(if machine { "the machine crashes" } else { "the process crashes" });
                self.disk.restart(machine, &mut self.random);
                if machine {
                    self.durable = self.visible();
                }
                continue;
            }
            if let Err(error) = end {
                // Somebody starts it again, if it was the disk.
                if crashes == 0 || self.settings.fault_one_in == 0 {
                    return Err(error);
                }
                crashes -= 1;
                outcome.restarts += 1;
                continue;
            }
            let files = self.visible().into_iter();
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            outcome.files = in_order_of_commits(files.map(|(name, bytes)| (name, text(bytes))));
            return Ok(outcome);
        }
    }

    /// The output that readers see.
    fn visible(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.disk.files(Path::new(OUTPUT));
        files.retain(|name, _| {
            name.rsplit('/').next().is_some_and(|file| file.starts_with("part-"))
        });
        files
    }

    /// Output gives way only to that of a job that goes back behind a checkpoint, which no job here
    /// has a reason to.
    fn check_durable(&self) -> Result<()> {
        let visible = self.visible();
        match self.durable.iter().find(|(name, bytes)| visible.get(*name) != Some(*bytes)) {
            None => Ok(()),
            Some((name, _)) => Err(Error::storage(format!("{name} was visible, but did not stay"))),
        }
    }

    /// What happened, line by line.
    pub fn story(&self) -> String {
        self.disk.story()
    }

    fn set_faults(&mut self, crash: bool) {
        let ahead = *self.random.choose(&[50, 200, 1000]);
        let crash_at = crash.then(|| self.disk.operations() + self.random.between(1, ahead) as u64);
        // The last run of a job finds a disk that works, so that it comes to an end.
        let one_in = if crash { self.settings.fault_one_in } else { 0 };
        self.disk.set_faults(Faults { one_in, crash_at, seed: self.random.number() });
    }

    /// One process: attempts until the job has finished or the disk stops.
    fn run_process(&mut self, plan: &Plan, outcome: &mut Outcome) -> Result<()> {
        self.runs += 1;
        let environment = Environment {
            clock: self.clock.clone(),
            storages: self.storages.clone(),
            lanes: Arc::new(self.lanes.clone()),
            run: format!("run{}", self.runs),
        };
        let metrics = Arc::new(Metrics::of(plan));
        let options = RunOptions {
            stop: Arc::default(),
            log: LogSink::none(),
            requests: Arc::new(Requests::new(&plan.name, metrics.clone())),
            metrics,
            restore: Restore::Latest,
            capture: None,
            code: CodeChoice::Checkpoint,
        };
        let mut ground = Ground::open(plan, environment, &options)?;
        let mut failures = 0;
        loop {
            let end = match self.start(plan, &options, &mut ground, outcome) {
                Ok(Some(attempt)) => self.drive(attempt, &mut ground),
                Ok(None) => return Ok(()),
                Err(error) => End::Failed(error),
            };
            self.lanes.clear();
            if self.disk.has_crashed() {
                return Ok(());
            }
            match end {
                End::Finished => {
                    return finish(plan, &ground);
                }
                End::Crashed => return Ok(()),
                End::Failed(error) => {
                    self.disk.tell(&format!("the attempt fails: {}", error.full_text()));
                    failures += 1;
                    outcome.restarts += 1;
                    if failures > FAILURES_MAX {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn start(
        &mut self,
        plan: &Plan,
        options: &RunOptions,
        ground: &mut Ground,
        outcome: &mut Outcome,
    ) -> Result<Option<Attempt>> {
        let stop = Arc::new(StopFlag::default());
        let found = candidates(plan, ground)?;
        let catalog = ground.catalog.as_ref().expect("the job takes checkpoints");
        if found.is_empty() && catalog.finished()?.is_some() {
            return Ok(None);
        }
        let mut skipped = Vec::new();
        let warn = &mut |message| skipped.push(message);
        let started = start_from_newest(plan, options, ground, found, &stop, warn)?;
        if let Some(message) = skipped.first() {
            // A complete checkpoint is durable: nothing that the disk does makes it invalid.
            return Err(Error::storage(format!("a checkpoint was skipped: {message}")));
        }
        match started {
            Some((attempt, id)) => {
                self.disk.tell(&format!("goes on from {id}"));
                outcome.restored += 1;
                Ok(Some(attempt))
            }
            None => {
                self.disk.tell("begins");
                Attempt::start(plan, options, ground, None, &stop).map(Some)
            }
        }
    }

    fn drive(&mut self, attempt: Attempt, ground: &mut Ground) -> End {
        let Attempt { mut tasks, mut conductor } = attempt;
        let end = self.turns(&mut tasks, &mut conductor, ground);
        ground.next_id = conductor.next_id();
        end
    }

    fn turns(
        &mut self,
        tasks: &mut [NamedTask],
        conductor: &mut Conductor,
        ground: &Ground,
    ) -> End {
        let mut done = vec![false; tasks.len()];
        // How eager each part is: some seeds starve the disk, some the clock.
        let [steps, jobs, time] = [40, 10, 5].map(|most| self.random.between(1, most));
        for _ in 0..TURNS_MAX {
            if self.disk.has_crashed() {
                return End::Crashed;
            }
            let turn = self.random.between(1, steps + jobs + time + 2);
            let taken = if turn <= steps {
                self.step(tasks, &mut done)
            } else if turn <= steps + jobs {
                self.lanes.run_one(&mut self.random);
                Ok(())
            } else if turn <= steps + jobs + time {
                self.clock.0.fetch_add(self.random.between(0, 3), Ordering::Relaxed);
                Ok(())
            } else {
                self.conduct(conductor, ground)
            };
            if let Err(error) = taken {
                return End::Failed(error);
            }
            if done.iter().all(|done| *done) {
                return End::Finished;
            }
        }
        End::Failed(Error::storage("the simulation hangs"))
    }

    fn step(&mut self, tasks: &mut [NamedTask], done: &mut [bool]) -> Result<()> {
        let index = self.random.between(0, tasks.len() as i64 - 1) as usize;
        if !done[index] {
            done[index] = tasks[index].task.step()? == Step::Done;
        }
        Ok(())
    }

    fn conduct(&mut self, conductor: &mut Conductor, ground: &Ground) -> Result<()> {
        let now = self.clock.now_ms();
        while let Ok(event) = conductor.events().try_recv() {
            if !matches!(event, Event::Ended(_)) {
                conductor.take(event, now)?;
            }
        }
        if self.settings.savepoints && self.random.once_in(50) {
            let catalog = ground.catalog.as_ref().expect("the job takes checkpoints");
            let folder = catalog::savepoint_folder(conductor.next_id());
            let storage = Arc::new(Below::new(catalog.storage.clone(), &folder));
            let form = SnapshotForm::Canonical;
            conductor.savepoint(1, Target { storage, folder: String::new(), form }, now);
        }
        conductor.conduct(now).map(drop)
    }
}
