//! What `check` refuses of Kafka.

use super::{Folder, check_in};

/// A job from topic to topic, with further keys of the source and of the sink.
fn refusals(name: &str, checkpoint: &str, source: &str, sink: &str) -> String {
    let job = format!(
        "[job]\nname = \"j\"\n{checkpoint}\n\
         [[source]]\nid = \"in\"\nconnector = \"kafka\"\nbrokers = \"localhost:9092\"\n\
         topics = \"t\"\n{source}\n\
         [[sink]]\nid = \"out\"\nconnector = \"kafka\"\nfrom = \"in\"\n\
         brokers = \"localhost:9092\"\ntopic = \"u\"\n{sink}\n"
    );
    check_in(&Folder::new(name), &job, &[]).refusals
}

const CHECKPOINT: &str = "[checkpoint]\nstorage = \"memory\"\n";

#[test]
fn good_settings_have_no_problems() {
    for (source, sink) in [
        ("", ""),
        ("start = \"latest\"\nuntil = \"latest\"\ngroup = \"g\"", "guarantee = \"exactly-once\""),
        ("start = { timestamp = 5 }\ntimestamp = \"record\"", "guarantee = \"at-least-once\""),
        ("start = { offsets = { \"t[0]\" = 5 } }\ndiscovery_interval = \"never\"", "key = 0"),
        ("format = \"json\"\nenvelope = true", "envelope = true"),
        (
            "watermark = { strategy = \"bounded-out-of-orderness\", delay = \"1s\" }",
            "[sink.properties]\nsasl.mechanism = \"PLAIN\"\n\"sasl.username\" = \"u\"\n",
        ),
    ] {
        assert_eq!(refusals("kafka-good", CHECKPOINT, source, sink), "", "{source}\n{sink}");
    }
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    for (checkpoint, source, sink, message, hint) in [
        ("", "", "guarantee = \"exactly-once\"", "takes no checkpoints", "add `[checkpoint]`"),
        (
            "[checkpoint]\nstorage = \"memory\"\nmode = \"at-least-once\"",
            "",
            "guarantee = \"exactly-once\"",
            "`checkpoint.mode` is not",
            "leave one of the two out",
        ),
        ("", "envelope = true", "", "`source.in.envelope` makes json", "format = \"json\""),
        ("", "", "envelope = true", "`sink.out.envelope` needs json", "send out json"),
        ("", "", "key = \"k\"", "`sink.out.key` names the field", "position of the field"),
        ("", "", "envelope = true\nkey = 0", "not with `envelope`", "leave it out"),
        ("", "start = \"first\"", "", "`source.in.start` is \"first\"", "\"earliest\""),
        ("", "start = {}", "", "neither a time nor offsets", "{ timestamp = "),
        ("", "start = { offset = 5 }", "", "unknown key `offset`", "offsets"),
        ("", "timestamp = \"recrod\"", "", "`source.in.timestamp` is \"recrod\"", "\"record\"?"),
        (
            "",
            "[source.properties]\ngroup.id = \"g\"",
            "",
            "sets \"group.id\", which the job decides",
            "write `group`",
        ),
        (
            "",
            "properties = { fetch.min.byte = 1 }",
            "",
            "is refused: \"fetch.min.byte\": No such configuration property",
            "CONFIGURATION.md",
        ),
        (
            "",
            "",
            "properties = { \"sasl.password\" = \"${TIDEGATE_IS_NOT_SET}\" }",
            "names ${TIDEGATE_IS_NOT_SET}, which is not set",
            "set this variable of the environment",
        ),
    ] {
        let said = refusals("kafka-bad", checkpoint, source, sink);
        for text in [message, hint] {
            assert!(
                said.contains(text),
                "{text:?} is not in what {source:?} {sink:?} says: {said}"
            );
        }
    }
}
