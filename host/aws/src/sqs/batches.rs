//! Sends many messages in batches, so that each group stays in order even if a batch fails in part.
//!
//! Each entry of a batch succeeds or fails alone. If two were of one group, the first could fail and the second be stored: a
//! repeat would then store the first one behind it. So a batch has at most one message of each group, and the first failure
//! ends the sending. A repeat with the same deduplication ids skips what is stored, which keeps its place.

use std::collections::{HashMap, VecDeque};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use towpath_types::queue::{GroupId, MAX_BATCH, MAX_MESSAGE_BYTES, MessageId, NewMessage, QueueError, Sent};

use super::{SqsQueue, known, written};

pub(super) const UNMENTIONED: &str = "the answer to a batch lacks an entry";

/// A message, and its position among all.
type Numbered = (usize, NewMessage);

impl SqsQueue {
    /// Sends messages in order within each group. Nothing is sent behind a failure.
    pub(super) async fn send_in_batches(&self, messages: Vec<NewMessage>) -> Result<Vec<Sent>, QueueError> {
        let mut sent: Vec<Option<Sent>> = vec![None; messages.len()];
        let mut is_begun = false;
        for batch in batches(messages) {
            let stored = self.send_batch(batch, &mut sent).await;
            is_begun |= sent.iter().any(Option::is_some);
            match stored {
                // A part is stored: a repeat must complete it, and then learns what is wrong.
                Err(QueueError::Invalid(why) | QueueError::TooLong { said: why, .. }) if is_begun => {
                    return Err(self.odd(&why));
                }
                stored => stored?,
            }
        }
        sent.into_iter().map(|sent| sent.ok_or_else(|| self.odd(UNMENTIONED))).collect()
    }

    async fn send_batch(&self, batch: Vec<Numbered>, sent: &mut [Option<Sent>]) -> Result<(), QueueError> {
        let places: Vec<usize> = batch.iter().map(|(at, _)| *at).collect();
        let entries = batch.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let send = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = send.send().await.map_err(|error| self.learn(self.failed(error)))?;
        for entry in answer.successful {
            if let Some(place) = entry.id.parse().ok().and_then(|at: usize| sent.get_mut(at)) {
                *place = Some(Sent { id: MessageId::from(entry.message_id), sequence: entry.sequence_number });
            }
        }
        if let Some(entry) = answer.failed.into_iter().next() {
            let message = entry.message.unwrap_or_default();
            let error = known(&entry.code, &message);
            return Err(self.learn(error.unwrap_or_else(|| self.odd(&format!("{}: {message}", entry.code)))));
        }
        // An entry that the answer does not mention may not be stored: what is behind it in its group must wait.
        let is_stored = |at: usize| sent.get(at).is_some_and(Option::is_some);
        if places.into_iter().all(is_stored) { Ok(()) } else { Err(self.odd(UNMENTIONED)) }
    }
}

fn entry((at, message): Numbered) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_group_id(message.group)
        .set_message_deduplication_id(message.dedup_id.map(String::from))
        .message_body(message.body.into_text());
    for (name, attribute) in message.attributes {
        entry = entry.message_attributes(name, written(attribute)?);
    }
    entry.build().map_err(|error| QueueError::Invalid(error.to_string()))
}

/// Batches to send one after the other: at most ten messages and 1 MiB each, of different groups, each group in order.
fn batches(messages: Vec<NewMessage>) -> Vec<Vec<Numbered>> {
    let mut groups: HashMap<GroupId, VecDeque<Numbered>> = HashMap::new();
    let mut turns: VecDeque<GroupId> = VecDeque::new();
    for (at, message) in messages.into_iter().enumerate() {
        let group = groups.entry(message.group.clone()).or_default();
        if group.is_empty() {
            turns.push_back(message.group.clone());
        }
        group.push_back((at, message));
    }
    let mut batches = Vec::new();
    while !turns.is_empty() {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut again = Vec::new();
        while batch.len() < MAX_BATCH
            && let Some(turn) = turns.pop_front()
        {
            let Some(group) = groups.get_mut(&turn) else { continue };
            let size = group.front().map_or(0, |(_, message)| message.size());
            if !batch.is_empty() && bytes + size > MAX_MESSAGE_BYTES {
                turns.push_front(turn);
                break;
            }
            bytes += size;
            batch.extend(group.pop_front());
            if !group.is_empty() {
                again.push(turn);
            }
        }
        turns.extend(again);
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(group: usize, bytes: usize) -> NewMessage {
        let group = GroupId::from(format!("g{group}"));
        NewMessage { group, dedup_id: None, body: "x".repeat(bytes).into(), attributes: Default::default() }
    }

    #[test]
    fn a_batch_has_one_message_of_a_group_and_groups_stay_in_order() {
        let sizes = [1, 400_000, 700_000, 1_048_576];
        for groups in [1, 3, 10, 25] {
            let messages: Vec<NewMessage> =
                (0..100).map(|at| message(at * 7 % groups, sizes[at % sizes.len()])).collect();
            let batches = batches(messages.clone());
            let mut seen: HashMap<GroupId, Vec<usize>> = HashMap::new();
            for batch in &batches {
                let of: std::collections::HashSet<_> = batch.iter().map(|(_, message)| &message.group).collect();
                assert_eq!(of.len(), batch.len(), "{groups} groups");
                assert!((1..=MAX_BATCH).contains(&batch.len()));
                assert!(batch.iter().map(|(_, message)| message.size()).sum::<usize>() <= MAX_MESSAGE_BYTES);
                batch.iter().for_each(|(at, message)| seen.entry(message.group.clone()).or_default().push(*at));
            }
            assert_eq!(seen.values().map(Vec::len).sum::<usize>(), messages.len());
            assert!(seen.values().all(|order| order.is_sorted()), "{groups} groups");
        }
        assert_eq!(batches((0..25).map(|group| message(group, 1)).collect()).len(), 3);
    }
}
