//! A source as a task: takes lines from its connector, gives each its event time and watermark, and
//! refuses those that cannot be records.

use std::sync::Arc;

use super::connectors::{Connector, Next};
use super::control::{SourceCommand, SourceControl};
use super::dead_letters::{Malformed, Rejects};
use super::outlet::Outlets;
use super::snapshotter::Snapshotter;
use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Event, NodeMetrics, Step, Task, fields};
use crate::checkpoint::manifest::SourceState;
use crate::env::Clock;
use crate::error::Result;
use crate::job::plan::{Field, SourcePlan, TimestampPlan};
use crate::model::{Batch, Format, Position, TIME_END, TIME_NONE, millis};

/// What a source is made of.
pub struct SourceSettings {
    /// What it reads.
    pub connector: Box<dyn Connector>,
    /// Who reads it.
    pub outlets: Outlets,
    /// What becomes of lines that cannot be records.
    pub rejects: Rejects,
    /// The fields that every record must have.
    pub required: Vec<Field>,
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
    idle_after_ms: Option<i64>,
    batch: Batch,
    split: Arc<str>,
    /// The watermark after the last record.
    watermark: i64,
    last_record_ms: i64,
    /// Told to read no further for now.
    held: bool,
    /// There is nothing more to read.
    exhausted: bool,
    ended: bool,
}

/// What a line must be to be a record.
struct Decoder {
    format: Format,
    timestamp: Option<TimestampPlan>,
    required: Vec<Field>,
}

/// A line that is a record, or none, or blank.
enum Decoded<'a> {
    Record(&'a [u8], i64),
    Blank,
    Malformed(String),
}

impl Decoder {
    fn decode<'a>(&self, line: &'a [u8]) -> Decoded<'a> {
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
        let timestamp = match &self.timestamp {
            Some(plan) => fields::timestamp(record, self.format, plan),
            None => Ok(TIME_NONE),
        };
        let decoded = timestamp.and_then(|timestamp| {
            fields::check(record, self.format, &self.required).map(|()| timestamp)
        });
        match decoded {
            Ok(timestamp) => Decoded::Record(record, timestamp),
            Err(reason) => Decoded::Malformed(reason),
        }
    }
}

impl SourceTask {
    /// A task for a source of the plan. Its connector stands where it is to go on.
    pub fn new(plan: &SourcePlan, mut settings: SourceSettings) -> Self {
        let restored = settings.restored.take();
        let decoder = Decoder {
            format: plan.format,
            timestamp: plan.timestamp.clone(),
            required: std::mem::take(&mut settings.required),
        };
        let last_record_ms = settings.clock.now_ms();
        Self {
            settings,
            decoder,
            out_of_orderness_ms: plan.out_of_orderness_ms,
            idle_after_ms: plan.idle_after.map(millis),
            batch: Batch::default(),
            split: plan.id.as_str().into(),
            watermark: restored.as_ref().and_then(|state| state.watermark).unwrap_or(TIME_NONE),
            last_record_ms,
            held: false,
            exhausted: false,
            ended: false,
        }
    }

    /// Fills the batch. Returns what there is to do when it is full or the connector has nothing
    /// more.
    fn read(&mut self, now: i64) -> Result<Read> {
        let Self { settings, decoder, batch, split, .. } = self;
        let (mut lines, mut bytes_read) = (0, 0);
        let read = loop {
            // Lines count whether they become records or not: a step is bounded in any case.
            if lines >= BATCH_RECORDS_MAX || bytes_read >= BATCH_BYTES_MAX {
                break Read::More;
            }
            let (line, number, bytes) = match settings.connector.next(now)? {
                Next::Line(line, number) => (line, number, None),
                Next::TooLong(line, number, bytes) => (line, number, Some(bytes)),
                // A batch holds records of one split.
                Next::Split(next) => {
                    *split = next;
                    break Read::More;
                }
                Next::Nothing(until) => break Read::Nothing(until),
                Next::End => break Read::End,
            };
            lines += 1;
            bytes_read += line.len();
            let decoded = match bytes {
                None => decoder.decode(line),
                Some(bytes) => {
                    Decoded::Malformed(format!("the line has {bytes} bytes, more than max_line"))
                }
            };
            match decoded {
                Decoded::Record(record, timestamp) => {
                    batch.values.push(record);
                    batch.timestamps.push(timestamp);
                    batch.watermarks.push(self.watermark);
                    batch.lines.push(number);
                    if timestamp > TIME_NONE {
                        // As Flink's bounded out-of-orderness: later records have a higher time
                        // than this.
                        let behind =
                            timestamp.saturating_sub(self.out_of_orderness_ms).saturating_sub(1);
                        self.watermark = self.watermark.max(behind);
                    }
                }
                Decoded::Blank => {}
                Decoded::Malformed(reason) => {
                    let position = Position { split: split.clone(), line: number };
                    let reason = &reason;
                    settings.rejects.reject(&Malformed {
                        position,
                        record: line,
                        bytes,
                        key: None,
                        reason,
                    })?;
                }
            }
        };
        NodeMetrics::add(&settings.metrics.records_in, lines);
        if lines > 0 {
            self.last_record_ms = now;
        }
        Ok(read)
    }

    fn route(&mut self, split: Arc<str>) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch.split = Some(split);
        NodeMetrics::add(&self.settings.metrics.records_out, self.batch.len());
        let rejects = &mut self.settings.rejects;
        self.settings.outlets.route(0, &self.batch, &mut |batch: &Batch, index, reason| {
            let (record, position) = (batch.values.get(index), batch.position(index));
            rejects.reject(&Malformed { position, record, bytes: None, key: None, reason })
        })?;
        self.batch.clear();
        Ok(())
    }

    /// Does what the coordinator says.
    fn obey(&mut self, command: SourceCommand) -> Result<()> {
        match command {
            SourceCommand::Barrier { barrier, hold } => {
                self.held |= hold;
                let outputs = self.settings.outlets.pass_barrier(&barrier, self.watermark)?;
                let state = barrier.target.is_some().then(|| self.state());
                self.settings.snapshotter.acknowledge(barrier.id, state, outputs);
            }
            SourceCommand::Resume => self.held = false,
            SourceCommand::Finish => {
                self.ended = true;
                self.settings.outlets.end(self.watermark)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> SourceState {
        SourceState {
            id: self.settings.metrics.id.clone(),
            position: self.settings.connector.position(),
            watermark: Some(self.watermark).filter(|time| *time > TIME_NONE),
        }
    }

    /// Waits, and says that it does if it has been long.
    fn wait(&mut self, now: i64, until: Option<i64>) -> Result<Step> {
        let outlets = &mut self.settings.outlets;
        outlets.flush(self.watermark)?;
        let mut wake = until;
        if let Some(after) = self.idle_after_ms {
            let idle_at = self.last_record_ms.saturating_add(after);
            if idle_at <= now {
                outlets.set_idle()?;
            } else {
                wake = Some(wake.map_or(idle_at, |wake| wake.min(idle_at)));
            }
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
        let split = self.split.clone();
        let read = self.read(now)?;
        self.route(split)?;
        match read {
            Read::More => {
                self.settings.outlets.end_step(self.watermark, true)?;
                Ok(Step::Worked)
            }
            Read::Nothing(until) => self.wait(now, until),
            Read::End => {
                // First what the last record came to, so that timers see the same whatever came
                // last.
                self.settings.outlets.flush(self.watermark)?;
                self.watermark = TIME_END;
                self.settings.outlets.flush(TIME_END)?;
                self.exhausted = true;
                self.settings.snapshotter.tell(Event::Exhausted(self.settings.index));
                Ok(Step::Worked)
            }
        }
    }
}
