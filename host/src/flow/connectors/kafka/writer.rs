//! The at-least-once sink: a producer in the task, whose messages are all delivered before a
//! barrier is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer};

use super::client::{Context, Role, settings};
use super::message::{check, with_message};
use crate::error::Result;
use crate::flow::StopFlag;
use crate::job::plan::kafka::KafkaSinkPlan;
use crate::model::Batch;
use crate::wasm::LogSink;

/// How long to wait for room or deliveries before it is looked whether the job is to end.
const WAIT: Duration = Duration::from_millis(20);

/// Writes the records of one partition.
pub(in crate::flow) struct KafkaWriter {
    plan: KafkaSinkPlan,
    producer: BaseProducer<Context>,
    stop: Arc<StopFlag>,
}

impl KafkaWriter {
    /// A writer. Connects in the background; `log` takes warnings.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub(in crate::flow) fn open(
        plan: KafkaSinkPlan,
        stop: Arc<StopFlag>,
        log: LogSink,
    ) -> Result<Self> {
        let mut settings = settings(&plan.client, Role::Producer)?;
        // A record waits for a broker as long as that may be away.
        let timeout = plan.client.timeout.as_millis().to_string();
        if settings.get("message.timeout.ms").is_none() {
            settings.set("message.timeout.ms", timeout);
        }
        let context = Context::new(&plan.client, log);
        let producer = BaseProducer::from_config_and_context(&settings, context);
        Ok(Self { producer: producer.map_err(Context::unmade)?, plan, stop })
    }

    fn context(&self) -> &Context {
        self.producer.client().context()
    }

    /// Fails if something was not delivered, or never will be.
    fn check(&self) -> Result<()> {
        match self.context().refusal().or_else(|| self.context().take_undelivered()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Sends the records of a batch. Waits for room while brokers take no more.
    pub(in crate::flow) fn write(&self, batch: &Batch) -> Result<()> {
        check(&self.plan.topic, &self.plan.shape, batch)?;
        for (value, &timestamp) in batch.values.iter().zip(&batch.timestamps) {
            let KafkaSinkPlan { shape, topic, .. } = &self.plan;
            with_message(shape, topic, value, timestamp, |mut message| {
                loop {
                    match self.producer.send(message) {
                        Ok(()) => return Ok(()),
                        Err((error, again))
                            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) =>
                        {
                            message = again;
                            self.producer.poll(WAIT);
                            self.check()?;
                            // What is not sent comes again from the checkpoint.
                            if self.stop.ends_at_once() {
                                return Ok(());
                            }
                        }
                        Err((error, _)) => return Err(self.context().failed(&error.to_string())),
                    }
                }
            })?;
        }
        self.pump()
    }

    /// Takes note of what was delivered.
    pub(in crate::flow) fn pump(&self) -> Result<()> {
        self.producer.poll(Duration::ZERO);
        self.check()
    }

    /// Waits until all that was written is delivered.
    pub(in crate::flow) fn flush(&self) -> Result<()> {
        while self.producer.in_flight_count() > 0 && !self.stop.ends_at_once() {
            // A time-out only leads to another look.
            let _ = self.producer.flush(WAIT);
            self.check()?;
        }
        self.check()
    }
}
