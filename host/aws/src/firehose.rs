//! The archive as a delivery stream of Amazon Data Firehose, which writes lines of JSON to S3.
//!
//! Best effort: an event that cannot be sent within one flush is dropped, counted and logged. Firehose keeps no order and may store a record
//! twice. Readers sort the lines of a group by `sequence`, and drop those that repeat an `id` and `sequence`.

mod buffer;
mod dropped;
mod line;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_firehose::Client;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use futures_util::future::join_all;
use parking_lot::Mutex;
use towpath_types::archive::{Archive, Archived};

use crate::error::in_words;
use buffer::{Buffer, batches};
use dropped::Flush;

pub use line::{NotALine, read};

/// The wait before refused records are tried again: Firehose refuses what exceeds its throughput.
const PAUSE: Duration = Duration::from_millis(20);

/// A delivery stream.
pub struct Firehose {
    client: Client,
    stream: String,
    buffer: Mutex<Buffer>,
}

/// The records of a call that Firehose did not accept.
struct Refused {
    records: Vec<Record>,
    problem: String,
}

impl Firehose {
    /// The client must not retry: a flush has its own second try.
    pub fn new(client: Client, stream: String) -> Firehose {
        Firehose { client, stream, buffer: Mutex::default() }
    }

    /// Sends a batch, and once more what was refused of it.
    async fn send(&self, lines: Vec<Vec<u8>>, flush: &Flush<'_>) {
        let records = lines.into_iter().filter_map(|line| Record::builder().data(Blob::new(line)).build().ok());
        let Err(refused) = self.put(records.collect(), flush).await else { return };
        flush.refused(refused.problem);
        tokio::time::sleep(PAUSE).await;
        if let Err(refused) = self.put(refused.records, flush).await {
            flush.refused(refused.problem);
        }
    }

    /// Makes one call.
    async fn put(&self, records: Vec<Record>, flush: &Flush<'_>) -> Result<(), Refused> {
        let put = self.client.put_record_batch().delivery_stream_name(&self.stream);
        let answer = match put.set_records(Some(records.clone())).send().await {
            Ok(answer) => answer,
            Err(error) => return Err(Refused { records, problem: in_words(&error) }),
        };
        if answer.failed_put_count == 0 {
            flush.sent(records.len());
            return Ok(());
        }
        let count = records.len();
        let mut problem = None;
        let mut answers = answer.request_responses.into_iter();
        let mut is_refused = |_: &Record| {
            let Some(answer) = answers.next() else { return true };
            let Some(code) = answer.error_code else { return false };
            problem = Some(format!("{code}: {}", answer.error_message.unwrap_or_default()));
            true
        };
        let records: Vec<Record> = records.into_iter().filter(|record| is_refused(record)).collect();
        flush.sent(count - records.len());
        Err(Refused { records, problem: problem.unwrap_or_else(|| "refused without a reason".to_owned()) })
    }
}

#[async_trait]
impl Archive for Firehose {
    fn keep(&self, event: Archived) {
        let line = line::write(&event);
        self.buffer.lock().add(line);
    }

    /// Sends what was kept since the last flush. What has not been sent when it ends, or is cancelled, is dropped.
    async fn flush(&self) {
        let (lines, dropped) = self.buffer.lock().take();
        let flush = Flush::new(&self.stream, lines.len(), dropped);
        join_all(batches(lines).into_iter().map(|lines| self.send(lines, &flush))).await;
    }
}
