//! Receipt handles: they name a message, and one receive of it.

use towpath_types::queue::{Handle, QueueError};

/// A parsed receipt handle. Each receive of a message sets a new nonce, so only the handle of the last receive matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Receipt {
    pub(crate) queue: i64,
    pub(crate) seq: i64,
    pub(crate) nonce: i64,
}

impl Receipt {
    pub(crate) fn write(self) -> Handle {
        Handle::from(format!("towpath-{}-{}-{:016x}", self.queue, self.seq, self.nonce))
    }

    /// Parses a handle. One of another queue is invalid: queue numbers are never reused, so it cannot reach a later queue.
    pub(crate) fn read(handle: &Handle, queue: i64) -> Result<Receipt, QueueError> {
        let receipt = parse(handle.as_str()).filter(|receipt| receipt.queue == queue);
        receipt.ok_or(QueueError::HandleInvalid)
    }
}

fn parse(text: &str) -> Option<Receipt> {
    let mut parts = text.strip_prefix("towpath-")?.split('-');
    let queue = parts.next()?;
    let seq = parts.next()?;
    let nonce = parts.next()?;
    let receipt =
        Receipt { queue: queue.parse().ok()?, seq: seq.parse().ok()?, nonce: i64::from_str_radix(nonce, 16).ok()? };
    parts.next().is_none().then_some(receipt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_handles_of_the_queue_are_read() {
        let receipt = Receipt { queue: 1, seq: 42, nonce: i64::MAX };
        assert_eq!(Receipt::read(&receipt.write(), 1).expect("valid"), receipt);
        for (text, queue) in [(receipt.write().as_str(), 2), ("garbage", 1), ("towpath-1-2", 1), ("towpath-1-2-3-4", 1)]
        {
            let error = Receipt::read(&text.into(), queue).expect_err(text);
            assert!(matches!(error, QueueError::HandleInvalid), "{text}");
        }
    }
}
