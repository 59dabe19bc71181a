//! How long a message can wait in a queue: until its retention ends, and for as many receives as the queue allows.

use std::time::Duration;

use super::{MAX_RETENTION, MAX_VISIBILITY};

/// The longest wait between two receives. A message can be hidden for [`MAX_VISIBILITY`] from its receive, and part of
/// that has passed when it is released: on Lambda up to six times the longest invocation, which is 90 minutes.
pub const LONGEST_WAIT: Duration = MAX_VISIBILITY.saturating_sub(Duration::from_secs(2 * 60 * 60));

/// Allows for the latency of a request and for clock skew, so that SQS does not reject a long visibility timeout.
const MARGIN: Duration = Duration::from_secs(60);

/// With fewer receives, a message that has waited for hours is checked noticeably late.
const ENOUGH_RECEIVES: u32 = 500;

/// One receive in this many is reserved for the unplanned: a crash, a throttled batch, somebody who inspects the queue.
const SPARE: u32 = 10;

/// The last call comes this fraction of the retention before its end: a day of 14.
const LAST_CALL: u32 = 14;

/// The age below which waits do not grow.
const YOUNG: Duration = Duration::from_secs(1);

/// How long, and for how many receives, a queue lets a message wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueLimits {
    /// The queue deletes a message at this age.
    pub retention: Duration,
    /// After this many receives the queue itself dead-letters a message (`maxReceiveCount`); `None` if it never does.
    pub max_receives: Option<u32>,
}

/// How much longer a message that was received this long ago can stay hidden. A queue rejects more, and then the
/// message comes back when its visibility timeout ends.
pub fn hidden_at_most(held: Duration) -> Duration {
    MAX_VISIBILITY.saturating_sub(held.saturating_add(MARGIN))
}

impl QueueLimits {
    /// The local queue: 14 days, and any number of receives.
    pub const LOCAL: QueueLimits = QueueLimits { retention: MAX_RETENTION, max_receives: None };

    /// Assumed for an SQS queue that cannot be asked: what the Terraform module sets.
    pub const ASSUMED: QueueLimits = QueueLimits { retention: MAX_RETENTION, max_receives: Some(1000) };

    /// The age at which a message must leave the queue, as a dead letter if need be, before the queue deletes it.
    pub fn last_call(&self) -> Duration {
        self.retention.saturating_sub(self.retention / LAST_CALL)
    }

    /// Whether the queue itself will dead-letter the message at its next receive.
    pub fn is_last_receive(&self, receive_count: u32) -> bool {
        self.max_receives.is_some_and(|most| receive_count >= most)
    }

    /// The shortest wait with which the remaining receives last until the last call, for a message of this age and
    /// receive count. Zero where the queue does not count receives.
    ///
    /// Each wait is the same share of the age: a message that has waited for minutes is checked within seconds, one
    /// that has waited for days within the hour. With 1,000 receives it is about 0.7 % of the age.
    pub fn least_wait(&self, age: Duration, receive_count: u32) -> Duration {
        let Some(most) = self.max_receives else { return Duration::ZERO };
        // After the last call a message stays only while its dead letter cannot be stored.
        let (end, usable) =
            if age < self.last_call() { (self.last_call(), most - most / SPARE) } else { (self.retention, most) };
        let left = end.saturating_sub(age);
        let receives = usable.saturating_sub(receive_count).max(1);
        let grown = age.max(YOUNG).as_secs_f64();
        let growth = (end.as_secs_f64() / grown).max(1.0).powf(1.0 / f64::from(receives));
        let evenly = Duration::from_secs_f64(grown * (growth - 1.0));
        // This wait, if each later one is as long as allowed. Where even the spare receives cannot last, even growth is
        // the best option.
        let can_last = left <= LONGEST_WAIT.saturating_mul(most.saturating_sub(receive_count));
        let owed =
            if can_last { left.saturating_sub(LONGEST_WAIT.saturating_mul(receives - 1)) } else { Duration::ZERO };
        evenly.max(owed).min(self.longest_wait(age))
    }

    /// The longest wait at this age: the message must be received again at the last call, and before it is deleted.
    pub fn longest_wait(&self, age: Duration) -> Duration {
        let left = match (self.last_call().saturating_sub(age), self.retention.saturating_sub(age)) {
            (Duration::ZERO, Duration::ZERO) => LONGEST_WAIT,
            (Duration::ZERO, left) => left / 2,
            (left, _) => left,
        };
        left.min(LONGEST_WAIT).max(YOUNG)
    }

    /// The smallest `maxReceiveCount` with which a message can wait until the last call: twice as many receives as the
    /// longest waits need, because the first waits are short.
    pub fn fewest_receives(&self) -> u32 {
        let waits = self.last_call().as_secs().div_ceil(LONGEST_WAIT.as_secs());
        u32::try_from(waits * 2).unwrap_or(u32::MAX)
    }

    /// Whether the queue would dead-letter a message before the last call.
    pub fn cannot_last(&self) -> bool {
        self.max_receives.is_some_and(|receives| receives < self.fewest_receives())
    }

    /// What is wrong with the queue's `maxReceiveCount`, and the fix.
    pub fn problem(&self) -> Option<String> {
        let receives = self.max_receives.filter(|receives| *receives < ENOUGH_RECEIVES)?;
        let days = self.last_call().as_secs() / (24 * 60 * 60);
        Some(if self.cannot_last() {
            format!(
                "its maxReceiveCount is {receives}: each check of a waiting message is a receive, so the queue would dead-letter \
                messages long before they have waited {days} days; set 1000"
            )
        } else {
            format!(
                "its maxReceiveCount is {receives}: each check of a waiting message is a receive, so checks are far apart and a \
                resumed target gets its backlog late; set 1000"
            )
        })
    }

    /// The longest time between two checks of a message that has waited this long for a closed gate. `usual` is the
    /// longest wait where the queue does not count receives.
    pub fn look_within(&self, waited: Duration, usual: Duration) -> Duration {
        let mut age = Duration::ZERO;
        let mut receives = 1;
        let mut wait = usual;
        // Waits grow only where receives are counted. There, checks are no more than receives, and none comes after the
        // deletion.
        let waited = self.max_receives.map_or(Duration::ZERO, |_| waited.min(self.retention));
        while age < waited && !self.is_last_receive(receives) {
            // Waits are spread over their upper half: the more checks there were, the further apart the next ones are.
            let shortest = (usual / 2).max(YOUNG);
            let next = shortest.max(self.least_wait(age, receives));
            wait = wait.max(next);
            age += next;
            receives += 1;
        }
        wait
    }
}

#[cfg(test)]
#[path = "limits/tests.rs"]
mod tests;
