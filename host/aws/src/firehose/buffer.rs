//! The lines that wait for a flush, within the limits of Firehose. Source: the quotas of Amazon Data Firehose and its `PutRecordBatch` API.

use super::dropped::Dropped;

/// Most events that wait. An invocation brings at most ten messages; `towpath poll` flushes each second.
const MOST_LINES: usize = 10_000;

/// Most bytes that wait.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The largest record, before base64.
const MOST_BYTES_A_RECORD: usize = 1000 * 1024;

/// Most records of a call.
const MOST_RECORDS_A_CALL: usize = 500;

/// Most bytes of a call, which may have 4 MiB. AWS does not say whether that is before or after base64, so it must fit after, with 32 bytes of
/// JSON around each record.
const MOST_BYTES_A_CALL: usize = (4 * 1024 * 1024 - MOST_RECORDS_A_CALL * 32) / 4 * 3;

/// Lines, and what could not be kept as one.
#[derive(Default)]
pub(super) struct Buffer {
    lines: Vec<Vec<u8>>,
    bytes: usize,
    dropped: Dropped,
}

impl Buffer {
    /// Adds a line, or drops it if it cannot be sent or does not fit.
    pub(super) fn add(&mut self, line: Result<Vec<u8>, serde_json::Error>) {
        let line = match line {
            Ok(line) => line,
            Err(error) => return self.dropped.add(format!("cannot be written as JSON: {error}")),
        };
        if line.len() > MOST_BYTES_A_RECORD {
            return self.dropped.add(format!("{} bytes, a record has at most {MOST_BYTES_A_RECORD}", line.len()));
        }
        if self.lines.len() == MOST_LINES || self.bytes + line.len() > MOST_BYTES {
            return self
                .dropped
                .add(format!("more than {MOST_LINES} events or {MOST_BYTES} bytes since the last flush"));
        }
        self.bytes += line.len();
        self.lines.push(line);
    }

    /// Everything since the last call.
    pub(super) fn take(&mut self) -> (Vec<Vec<u8>>, Dropped) {
        let Buffer { lines, dropped, .. } = std::mem::take(self);
        (lines, dropped)
    }
}

/// The lines as calls, each within the limits.
pub(super) fn batches(lines: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for line in lines {
        if batch.len() == MOST_RECORDS_A_CALL || bytes + line.len() > MOST_BYTES_A_CALL {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += line.len();
        batch.push(line);
    }
    batches.push(batch);
    batches.retain(|batch| !batch.is_empty());
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize, bytes: usize) -> Vec<Vec<u8>> {
        vec![vec![b'x'; bytes]; count]
    }

    #[test]
    fn a_call_has_no_more_records_and_bytes_than_firehose_takes() {
        let sizes = |lines| batches(lines).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(lines(0, 10)), [0; 0]);
        assert_eq!(sizes(lines(500, 10)), [500]);
        assert_eq!(sizes(lines(501, 10)), [500, 1]);
        assert_eq!(sizes(lines(7, MOST_BYTES_A_RECORD)), [3, 3, 1], "3 of 1,000 KiB are 4 MiB as base64");
        for batch in batches(lines(40, 100_000)) {
            let base64: usize = batch.iter().map(|line| line.len().div_ceil(3) * 4 + 32).sum();
            assert!(base64 <= 4 * 1024 * 1024, "{base64}");
        }
    }

    #[test]
    fn what_cannot_be_sent_or_does_not_fit_is_dropped_and_the_rest_is_kept() {
        let mut buffer = Buffer::default();
        buffer.add(Ok(vec![b'x'; MOST_BYTES_A_RECORD + 1]));
        buffer.add(Ok(vec![b'x'; MOST_BYTES_A_RECORD]));
        let (kept, dropped) = buffer.take();
        assert_eq!((kept.len(), dropped.events()), (1, 1));
        for line in lines(MOST_LINES + 3, 10) {
            buffer.add(Ok(line));
        }
        let (kept, dropped) = buffer.take();
        assert_eq!((kept.len(), dropped.events()), (MOST_LINES, 3));
        for line in lines(40, 1_000_000) {
            buffer.add(Ok(line));
        }
        let (kept, dropped) = buffer.take();
        assert_eq!((kept.len(), dropped.events()), (33, 7));
        buffer.add(Ok(vec![b'x']));
        assert_eq!(buffer.take().0.len(), 1, "a flush makes room");
    }
}
