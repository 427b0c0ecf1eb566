//! Writes clicks `threshold` at a time, each such batch followed by a line of `=`.
//!
//! Shows a sink function and operator state. The clicks that wait are kept in a field, as any
//! program would keep them; `snapshot_state` brings them into a list of the partition, and
//! `initialize_state` takes them back after a restart. With another parallelism the list's elements
//! are dealt out anew, so that no click is lost, and none is written twice.
//!
//! After `BufferingSink`, a Flink `SinkFunction` that is a `CheckpointedFunction`. What waits when
//! the input ends stays in the last checkpoint, as there. Run it with
//!
//! ```text
//! tidegate build examples/buffering-sink
//! tidegate run examples/buffering-sink/job.toml
//! ```

use tidegate_sdk::prelude::*;

/// What follows each batch.
const RULE: &str = "==========";

struct BufferingSink {
    threshold: usize,
    buffered: Vec<String>,
    checkpointed: OperatorListState<String>,
}

impl SinkFunction for BufferingSink {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let threshold = setup.param("threshold", 10_usize)?;
        if threshold == 0 {
            bail!("parameter `threshold` is 0; a batch has at least one click");
        }
        let checkpointed = setup.operator_list_state("buffered-elements");
        Ok(Self { threshold, buffered: Vec::new(), checkpointed })
    }

    fn invoke(&mut self, click: &str, ctx: &mut SinkContext<'_, String>) -> Result<()> {
        self.buffered.push(click.to_owned());
        // More than the threshold can wait after a restart with fewer partitions.
        if self.buffered.len() >= self.threshold {
            self.buffered.drain(..).for_each(|click| ctx.collect(click));
            ctx.collect(RULE.to_owned());
        }
        Ok(())
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.checkpointed.update(ctx, &self.buffered)
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        if ctx.is_restored() {
            self.buffered = self.checkpointed.get(ctx)?;
        }
        Ok(())
    }
}

tidegate_sdk::export!(sink: BufferingSink);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn writes_whole_batches_only() -> Result<()> {
        let mut sink = Harness::sink::<BufferingSink>().param("threshold", "2").open()?;
        sink.push_all([("a", 1), ("b", 2), ("c", 3)])?;
        assert_eq!(sink.take_output(), ["a", "b", RULE]);
        assert_eq!(sink.operator_list_state::<String>("buffered-elements")?, ["c"]);
        Ok(())
    }

    #[test]
    fn what_waits_survives_a_restart() -> Result<()> {
        let mut sink = Harness::sink::<BufferingSink>().param("threshold", "3").open()?;
        sink.push_all([("a", 1), ("b", 2)])?;
        sink.restart()?;
        sink.push("c", 3)?;
        assert_eq!(sink.take_output(), ["a", "b", "c", RULE]);
        Ok(())
    }

    #[test]
    fn a_batch_of_nothing_is_refused() {
        let opened = Harness::sink::<BufferingSink>().param("threshold", "0").open();
        assert!(opened.is_err_and(|error| error.message().contains("parameter `threshold`")));
    }
}
