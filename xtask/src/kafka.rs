//! `cargo xtask kafka`: a broker for trying things, empty each time. Not the one of the tests,
//! which start their own.

use crate::setup;
use crate::shell::{Outcome, capture, run as run_command, say};
use crate::workspace::Workspace;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where it listens.
const ADDRESS: &str = "localhost:9092";

const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
num.partitions=2
log.retention.ms=-1
offsets.topic.num.partitions=2
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
";

/// Runs it until Ctrl-C.
pub fn run(workspace: &Workspace) -> Outcome {
    let jars = setup::kafka::fetch(workspace)?;
    let folder = workspace.target().join("kafka");
    let failed = |error| format!("cannot make {}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    let properties = folder.join("server.properties");
    let data = format!("{PROPERTIES}log.dirs={}\n", folder.join("data").display());
    fs::write(&properties, data).map_err(failed)?;
    let mut format = java(&jars, "kafka.tools.StorageTool");
    format.args(["format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"]).arg(&properties);
    capture(&mut format)?;
    say(&format!("Kafka is at {ADDRESS} in a few seconds, until Ctrl-C"));
    run_command(java(&jars, "kafka.Kafka").arg(&properties))
}

fn java(jars: &Path, class: &str) -> Command {
    let mut java = Command::new("java");
    java.args(["-Xmx512m", "-cp"]).arg(format!("{}/*", jars.display())).arg(class);
    java
}
