//! Apache Kafka: one node that is broker and controller, as `cargo xtask test` fetches it
//! (`xtask/src/setup/kafka.rs`), and the other side of it: topics, input, what consumers see.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{env, fs};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::process::Server;
use super::{free_ports, skip};
use crate::Folder;
use crate::binary::repository;

/// Nothing here takes that long, however slow the machine.
const TIME_MAX: Duration = Duration::from_secs(90);

/// One request.
const REQUEST: Duration = Duration::from_secs(5);

/// What protects the broker's key: the file is of no use to anybody.
const STORE_PASSWORD: &str = "changeit";

/// The password of the user `tidegate` on the listener that asks for one, over TLS.
pub const PASSWORD: &str = "right";

/// A broker.
pub struct Broker {
    folder: Folder,
    jars: PathBuf,
    ports: [u16; 3],
    server: Option<Server>,
}

/// A record of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: Option<i64>,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
}

/// Where the jars are; none if they could not be had.
fn jars() -> Option<PathBuf> {
    let pom = repository().join("tests/servers/kafka/pom.xml");
    let pom = fs::read_to_string(pom).expect("it is in the repository");
    let broker = pom.split("<artifactId>kafka_2.13</artifactId>").nth(1)?;
    let version = broker.split("<version>").nth(1)?.split('<').next()?;
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let folder = cache.join("tidegate").join(format!("kafka-{version}"));
    folder.is_dir().then_some(folder)
}

impl Broker {
    /// A broker that runs; none if there is no Java or no Kafka, which is said.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let mut broker = Self::prepare()?;
        broker.run();
        Some(broker)
    }

    /// A broker that does not run yet.
    #[track_caller]
    pub fn prepare() -> Option<Self> {
        let has_java = Command::new("java").arg("-version").output().is_ok();
        let Some(jars) = jars().filter(|_| has_java) else {
            skip("there is no Java or no Kafka; `cargo xtask test suite` says why");
            return None;
        };
        let folder = Folder::new("kafka");
        let broker = Self { folder, jars, ports: free_ports(), server: None };
        broker.folder.write("server.properties", broker.properties());
        broker.make_certificate();
        let format = ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"];
        let arguments = broker.java("kafka.tools.StorageTool");
        let formatted = Command::new("java")
            .args(arguments)
            .args(format)
            .arg(broker.folder.join("server.properties"))
            .output()
            .expect("there is java");
        let story = String::from_utf8_lossy(&formatted.stderr).into_owned();
        assert!(formatted.status.success(), "{story}");
        Some(broker)
    }

    fn properties(&self) -> String {
        let [plain, controller, sasl] = self.ports;
        let data = self.folder.join("data");
        format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},\
             SASL://127.0.0.1:{sasl}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL://localhost:{sasl}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,\
             SASL:SASL_SSL\n\
             ssl.keystore.type=PKCS12\nssl.keystore.location={store}\n\
             ssl.keystore.password={STORE_PASSWORD}\nssl.key.password={STORE_PASSWORD}\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n\
             sasl.enabled.mechanisms=PLAIN\n\
             listener.name.sasl.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_tidegate=\"{PASSWORD}\";\n\
             log.dirs={data}\nlog.retention.ms=-1\nlog.cleaner.enable=false\n\
             auto.create.topics.enable=false\n\
             offsets.topic.num.partitions=2\noffsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=2\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\ncontrolled.shutdown.enable=false\n",
            data = data.display(),
            store = self.folder.join("broker.p12").display()
        )
    }

    /// A key of its own, and the certificate by which clients know it.
    fn make_certificate(&self) {
        let keytool = |arguments: &[&str]| {
            let mut keytool = Command::new("keytool");
            keytool.current_dir(self.folder.path()).args(arguments);
            keytool.args(["-alias", "broker", "-keystore", "broker.p12"]);
            let made = keytool.args(["-storepass", STORE_PASSWORD]).output();
            let made = made.expect("keytool comes with java");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        };
        let names = "san=dns:localhost,ip:127.0.0.1";
        let key = ["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-storetype", "PKCS12"];
        keytool(&[&key[..], &["-dname", "CN=localhost", "-ext", names]].concat());
        keytool(&["-exportcert", "-rfc", "-file", "broker.pem"]);
    }

    /// The certificate of the listener that asks for a password.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("broker.pem")
    }

    /// Arguments for java: small, and quick to start.
    fn java(&self, class: &str) -> Vec<String> {
        let jars = format!("{}/*", self.jars.display());
        let options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"];
        let options = options.iter().map(|option| (*option).to_owned());
        options.chain([jars, class.to_owned()]).collect()
    }

    /// Runs it, and waits until it answers.
    pub fn run(&mut self) {
        let mut arguments = self.java("kafka.Kafka");
        arguments.push(self.folder.join("server.properties").display().to_string());
        self.server = Some(Server::start("java", arguments, &self.folder.join("broker.log")));
        let client: BaseConsumer = self.client().create().expect("a client");
        until("the broker to answer", || {
            let answer = client.fetch_metadata(None, Duration::from_millis(500)).ok()?;
            (answer.brokers().len() == 1).then_some(())
        });
    }

    /// Kills it.
    pub fn kill(&mut self) {
        let server = self.server.take().expect("it runs");
        server.signal("KILL");
        server.wait();
    }

    /// Lets it do nothing, until it is told to go on.
    pub fn pause(&self) {
        self.server.as_ref().expect("it runs").signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.server.as_ref().expect("it runs").signal("CONT");
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where it listens with TLS and asks for user and password.
    pub fn address_with_password(&self) -> String {
        format!("localhost:{}", self.ports[2])
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.address()).set("reconnect.backoff.max.ms", "500");
        client
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("a client")
    }

    /// Makes a topic.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        let options = AdminOptions::new().operation_timeout(Some(REQUEST));
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let made = block_on(self.admin().create_topics([&topic], &options)).expect("it answers");
        made.into_iter().for_each(|topic| assert!(topic.is_ok(), "{topic:?}"));
    }

    /// Gives a topic more partitions.
    pub fn add_partitions(&self, name: &str, count: usize) {
        let options = AdminOptions::new().operation_timeout(Some(REQUEST));
        let partitions = NewPartitions::new(name, count);
        let made = block_on(self.admin().create_partitions([&partitions], &options));
        made.expect("it answers").into_iter().for_each(|topic| assert!(topic.is_ok(), "{topic:?}"));
    }

    /// A producer that delivers each message once, also over restarts of the broker.
    pub fn producer(&self) -> BaseProducer {
        let mut client = self.client();
        client.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        client.create().expect("a client")
    }

    /// Writes records and waits until they are there. A partition below zero means the key's.
    pub fn produce<'a>(&self, topic: &str, records: impl IntoIterator<Item = &'a Record>) {
        let producer = self.producer();
        for record in records {
            let add = |headers: OwnedHeaders, (key, value): &(String, Option<String>)| {
                headers.insert(Header { key, value: value.as_ref() })
            };
            let message = BaseRecord::<str, str> {
                topic,
                partition: (record.partition >= 0).then_some(record.partition),
                payload: record.value.as_deref(),
                key: record.key.as_deref(),
                timestamp: record.timestamp,
                headers: Some(record.headers.iter().fold(OwnedHeaders::new(), add)),
                delivery_opaque: (),
            };
            producer.send(message).map_err(|(error, _)| error).expect("the queue has room");
        }
        producer.flush(TIME_MAX).expect("the broker takes them");
    }

    /// All that a consumer sees that reads what is committed, partition by partition, once it is so
    /// many records.
    pub fn committed(&self, topic: &str, count: usize) -> Vec<Record> {
        let mut found = Vec::new();
        until(&format!("{count} records of {topic}"), || {
            found = self.read_committed(topic);
            (found.len() >= count).then_some(())
        });
        found
    }

    /// All that a consumer sees that reads what is committed, partition by partition.
    pub fn read_committed(&self, topic: &str) -> Vec<Record> {
        let mut client = self.client();
        client.set("group.id", "tests").set("enable.auto.commit", "false");
        client.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = client.create().expect("a client");
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST).expect("it answers");
        let partitions = metadata.topics()[0].partitions().len() as i32;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&all).expect("it can be assigned");
        let mut records: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
        let mut ended = 0;
        let started = Instant::now();
        while ended < partitions {
            assert!(started.elapsed() < TIME_MAX, "{topic} does not end");
            match consumer.poll(REQUEST) {
                Some(Ok(message)) => {
                    records.entry(message.partition()).or_default().push(record(&message));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(_)) | None => {}
            }
        }
        records.into_values().flatten().collect()
    }

    /// The offsets that a group has committed for a topic, by partition.
    pub fn group_offsets(&self, group: &str, topic: &str, partitions: i32) -> Vec<Option<i64>> {
        let mut client = self.client();
        let consumer: BaseConsumer = client.set("group.id", group).create().expect("a client");
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions - 1);
        let answer = consumer.committed_offsets(asked, REQUEST).expect("it answers");
        let offset = |partition| match answer.find_partition(topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        (0..partitions).map(offset).collect()
    }
}

impl Record {
    /// A record for the partition of its key.
    pub fn keyed(key: &str, value: impl Into<String>) -> Self {
        Self {
            partition: -1,
            key: Some(key.to_owned()),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// A record for a partition, of a time.
    pub fn at(partition: i32, timestamp: i64, value: impl Into<String>) -> Self {
        let value = Some(value.into());
        Self { partition, timestamp: Some(timestamp), value, ..Self::default() }
    }
}

fn record(message: &impl Message<Headers = rdkafka::message::BorrowedHeaders>) -> Record {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().map(|headers| {
        headers.iter().map(|one| (one.key.to_owned(), one.value.map(text))).collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(text),
        value: message.payload().map(text),
        headers: headers.unwrap_or_default(),
    }
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none for too long.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < TIME_MAX, "waited {TIME_MAX:?} for {what}");
        // Not to wait for anything, but to leave the machine to those who are waited for.
        thread::park_timeout(Duration::from_millis(20));
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
