//! `archive.stream`.

use super::{mistakes, parse};

const SQS: &str = "[queue]\nurl = \"https://sqs.eu-west-1.amazonaws.com/1/q.fifo\"\n\
                   dead_letter_url = \"https://sqs.eu-west-1.amazonaws.com/1/d.fifo\"\n";

#[test]
fn the_name_of_a_delivery_stream_is_read() {
    let longest = "a".repeat(64);
    for name in ["towpath-archive", "a", "A_1.b-c", &longest] {
        let config = parse(&format!("{SQS}[archive]\nstream = \"{name}\"")).expect("config");
        assert_eq!(config.archive.stream.as_deref(), Some(name));
    }
    assert_eq!(parse(SQS).expect("config").archive.stream, None);
}

#[test]
fn a_name_that_aws_would_refuse_is_a_mistake() {
    let too_long = "a".repeat(65);
    for name in ["", "a b", "arn:aws:firehose:eu-west-1:1:deliverystream/a", "ä", &too_long] {
        let found = mistakes(&format!("{SQS}[archive]\nstream = \"{name}\""));
        assert_eq!(found, [format!("archive.stream: {name:?} is not the name of a delivery stream")]);
    }
    assert_eq!(mistakes(&format!("{SQS}[archive]\nstraem = \"a\"")), ["archive.straem: unknown field `straem`"]);
}

#[test]
fn a_stream_needs_a_queue_on_sqs() {
    assert_eq!(mistakes("[archive]\nstream = \"a\""), ["archive.stream: is for SQS queues only"]);
}

#[test]
fn values_are_redacted_on_s3_too() {
    let config = parse(&format!("{SQS}[archive]\nstream = \"a\"\nredact = [\"/n\"]")).expect("config");
    assert_eq!(config.archive.redact, ["/n".parse().expect("a pointer")]);
}

#[test]
fn a_stream_may_name_the_folder_in_which_it_writes() {
    let with = |bucket: &str| format!("{SQS}[archive]\nstream = \"a\"\nbucket = \"{bucket}\"");
    let config = parse(&with("s3://b/towpath/events")).expect("config");
    assert_eq!(config.archive.bucket.map(|bucket| bucket.to_string()).as_deref(), Some("s3://b/towpath/events/"));
    let found = mistakes(&with("b"));
    assert_eq!(found, ["archive.bucket: \"b\" is not a folder on S3 such as \"s3://bucket/events/\""]);
    let alone = mistakes(&format!("{SQS}[archive]\nbucket = \"s3://b\""));
    assert_eq!(alone, ["archive.bucket: needs archive.stream"]);
}

#[test]
fn an_archive_has_a_folder_or_a_stream() {
    let both = format!("{SQS}[archive]\nstream = \"a\"\nfolder = \"f\"");
    assert_eq!(mistakes(&both), ["archive: has a folder and a stream"]);
}
