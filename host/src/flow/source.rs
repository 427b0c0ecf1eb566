//! A source as a task: takes lines from its connector, gives each its event time and watermark, and
//! refuses those that cannot be records.

use std::sync::Arc;

use super::connectors::{Connector, Next};
use super::control::{SourceCommand, SourceControl};
use super::dead_letters::{Malformed, Rejects};
use super::fields::{Found, Wanted};
use super::outlet::Outlets;
use super::snapshotter::Snapshotter;
use super::source_times::{Idle, SourceTimes};
use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Event, NodeMetrics, Step, Task, fields};
use crate::checkpoint::manifest::SourceState;
use crate::env::Clock;
use crate::error::Result;
use crate::job::plan::{SourcePlan, TimestampPlan};
use crate::model::{Batch, Format, Position, Record, TIME_END, TIME_NONE, millis};

/// What a source is made of.
pub struct SourceSettings {
    /// What it reads.
    pub connector: Box<dyn Connector>,
    /// Who reads it.
    pub outlets: Outlets,
    /// What becomes of lines that cannot be records.
    pub rejects: Rejects,
    /// Tells processing time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<NodeMetrics>,
    /// What the coordinator says.
    pub control: Arc<SourceControl>,
    /// Takes its part in checkpoints.
    pub snapshotter: Snapshotter,
    /// Its index in the plan.
    pub index: usize,
    /// Where it goes on, if the job does.
    pub restored: Option<SourceState>,
}

/// A source with everything around it.
pub struct SourceTask {
    settings: SourceSettings,
    decoder: Decoder,
    out_of_orderness_ms: i64,
    split: Arc<str>,
    times: SourceTimes,
    /// Told to read no further for now.
    held: bool,
    /// There is nothing more to read.
    exhausted: bool,
    ended: bool,
}

/// What a line must be to be a record.
struct Decoder {
    format: Format,
    /// How event times are spelled, and their place among what is wanted.
    timestamp: Option<(TimestampPlan, usize)>,
    /// The fields that every record must have.
    wanted: Wanted,
    /// Where those of the record at hand are.
    found: Found,
}

/// A line that is a record, or none, or blank.
enum Decoded<'a> {
    /// With its event time.
    Record(&'a [u8], i64),
    Blank,
    Malformed(String),
}

impl Decoded<'_> {
    fn too_long(bytes: u64) -> Self {
        Self::Malformed(format!("the line has {bytes} bytes, more than max_line"))
    }
}

impl Decoder {
    /// `time` is the record's, if whoever brought it knows.
    fn decode<'a>(&mut self, line: &'a [u8], time: i64) -> Decoded<'a> {
        let mut record = line;
        if self.format != Format::Bytes {
            record = line.strip_suffix(b"\r").unwrap_or(line);
            if record.is_empty() && self.format != Format::Lines {
                return Decoded::Blank;
            }
            // Most text is ASCII, which is cheaper to see than to decode.
            if !record.is_ascii()
                && let Err(error) = std::str::from_utf8(record)
            {
                let at = error.valid_up_to();
                return Decoded::Malformed(format!("it is not UTF-8 from byte {at} (from 0)"));
            }
        }
        if let Err(reason) = self.wanted.find(record, &mut self.found) {
            return Decoded::Malformed(reason);
        }
        let timestamp = match &self.timestamp {
            Some((plan, place)) => fields::timestamp(self.found.get(record, *place), plan),
            None => Ok(time),
        };
        match timestamp {
            Ok(timestamp) => Decoded::Record(record, timestamp),
            Err(reason) => Decoded::Malformed(reason),
        }
    }
}

impl SourceTask {
    /// A task for a source of the plan, whose every record must have the fields that are wanted.
    /// Its connector stands where it is to go on.
    pub fn new(plan: &SourcePlan, wanted: Wanted, mut settings: SourceSettings) -> Self {
        let restored = settings.restored.take();
        let place = |plan: &TimestampPlan| (plan.clone(), wanted.place(&plan.field));
        let timestamp = plan.timestamp.as_ref().map(place);
        let decoder = Decoder { format: plan.format, timestamp, wanted, found: Found::default() };
        let watermark = restored.as_ref().and_then(|state| state.watermark).unwrap_or(TIME_NONE);
        let now = settings.clock.now_ms();
        Self {
            settings,
            decoder,
            out_of_orderness_ms: plan.out_of_orderness_ms,
            split: plan.id.as_str().into(),
            times: SourceTimes::new(watermark, plan.idle_after.map(millis), now),
            held: false,
            exhausted: false,
            ended: false,
        }
    }

    /// Hands on as many records as a batch has, or as the connector has. Returns what there is to
    /// do then.
    fn read(&mut self, now: i64) -> Result<Read> {
        let Self { settings, decoder, split, times, .. } = self;
        let (mut lines, mut bytes_read, mut records) = (0, 0, 0);
        settings.outlets.begin(split);
        times.begin_step(settings.connector.lanes(), now);
        let mut lane = None;
        let read = loop {
            // Lines count whether they become records or not: a step is bounded in any case.
            if lines >= BATCH_RECORDS_MAX || bytes_read >= BATCH_BYTES_MAX {
                break Read::More;
            }
            // Matched where it lies: moving it would wait until all of it is stored.
            let (line, number, time, bytes) = match settings.connector.next(now) {
                Ok(Next::Line(line, number)) => (line, number, TIME_NONE, None),
                Ok(Next::Timed(line, number, time)) => (line, number, time, None),
                Ok(Next::TooLong(line, number, bytes)) => (line, number, TIME_NONE, Some(bytes)),
                // A batch holds records of one split.
                Ok(Next::Split(next)) => {
                    *split = next;
                    break Read::More;
                }
                Ok(Next::Lane(next, index)) => {
                    *split = next;
                    lane = Some(index);
                    break Read::More;
                }
                Ok(Next::Nothing(until)) => break Read::Nothing(until),
                Ok(Next::End) => break Read::End,
                Err(error) => return Err(error),
            };
            lines += 1;
            bytes_read += line.len();
            let decoded = bytes.map_or_else(|| decoder.decode(line, time), Decoded::too_long);
            match decoded {
                Decoded::Record(value, timestamp) => {
                    records += 1;
                    let watermark = times.watermark;
                    let record = Record { value, timestamp, watermark, line: number };
                    settings.outlets.push(record, &decoder.found);
                    if timestamp > TIME_NONE {
                        // As Flink's bounded out-of-orderness: later records have a higher time
                        // than this.
                        let behind =
                            timestamp.saturating_sub(self.out_of_orderness_ms).saturating_sub(1);
                        times.note(behind);
                    }
                }
                Decoded::Blank => {}
                Decoded::Malformed(reason) => {
                    let position = Position { split: split.clone(), line: number };
                    let (record, reason) = (line, &reason);
                    let malformed = Malformed { position, record, bytes, key: None, reason };
                    settings.rejects.reject(&malformed)?;
                }
            }
        };
        NodeMetrics::add(&settings.metrics.records_in, lines);
        times.end_step(lines > 0, now);
        if let Some(lane) = lane {
            // One that was found during this step.
            times.begin_step(settings.connector.lanes(), now);
            times.select(lane);
        }
        self.finish(records)?;
        Ok(read)
    }

    /// Ends the handing on of so many records.
    fn finish(&mut self, records: usize) -> Result<()> {
        let SourceSettings { outlets, rejects, metrics, .. } = &mut self.settings;
        NodeMetrics::add(&metrics.records_out, records);
        if records == 0 {
            return Ok(());
        }
        outlets.finish(&mut |batch: &Batch, index, reason| {
            let (record, position) = (batch.values.get(index), batch.position(index));
            rejects.reject(&Malformed { position, record, bytes: None, key: None, reason })
        })
    }

    /// Does what the coordinator says.
    fn obey(&mut self, command: SourceCommand) -> Result<()> {
        match command {
            SourceCommand::Barrier { barrier, hold } => {
                self.held |= hold;
                let outputs = self.settings.outlets.pass_barrier(&barrier, self.times.watermark)?;
                let state = barrier.target.is_some().then(|| self.state());
                self.settings.snapshotter.acknowledge(barrier.id, state, outputs);
            }
            SourceCommand::Resume => self.held = false,
            SourceCommand::Finish => {
                self.ended = true;
                self.settings.outlets.end(self.times.watermark)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> SourceState {
        SourceState {
            id: self.settings.metrics.id.clone(),
            position: self.settings.connector.position(),
            watermark: self.times.known(),
        }
    }

    /// Waits, and says that it does if it has been long.
    fn wait(&mut self, now: i64, until: Option<i64>) -> Result<Step> {
        let outlets = &mut self.settings.outlets;
        let idle = self.times.rise(now);
        outlets.flush(self.times.watermark)?;
        let mut wake = until;
        match idle {
            Idle::All => outlets.set_idle()?,
            Idle::Next(idle_at) => wake = [wake, idle_at].into_iter().flatten().min(),
        }
        if outlets.send() { Ok(Step::Idle(wake)) } else { Ok(Step::Idle(None)) }
    }
}

/// What a read came to.
enum Read {
    More,
    Nothing(Option<i64>),
    End,
}

impl Task for SourceTask {
    fn step(&mut self) -> Result<Step> {
        self.settings.snapshotter.pump();
        if !self.settings.outlets.send() {
            return Ok(Step::Idle(None));
        }
        if self.ended {
            return Ok(Step::Done);
        }
        if let Some(command) = self.settings.control.take() {
            self.obey(command)?;
            return Ok(Step::Worked);
        }
        if self.held || self.exhausted {
            return Ok(Step::Idle(None));
        }
        let now = self.settings.clock.now_ms();
        let read = self.read(now)?;
        match read {
            Read::More => {
                self.settings.outlets.end_step(self.times.watermark, true)?;
                Ok(Step::Worked)
            }
            Read::Nothing(until) => self.wait(now, until),
            Read::End => {
                // First what the last record came to, so that timers see the same whatever came
                // last.
                self.settings.outlets.flush(self.times.watermark)?;
                self.times.watermark = TIME_END;
                self.settings.outlets.flush(TIME_END)?;
                self.exhausted = true;
                self.settings.snapshotter.tell(Event::Exhausted(self.settings.index));
                Ok(Step::Worked)
            }
        }
    }
}
