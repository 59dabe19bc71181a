//! Splits a batch into groups.

use towpath_types::queue::Received;

/// Keeps the order of the batch within each group.
pub fn by_group(batch: Vec<Received>) -> Vec<Vec<Received>> {
    let mut groups: Vec<Vec<Received>> = Vec::new();
    for message in batch {
        let same = |group: &&mut Vec<Received>| group.first().is_some_and(|first| first.group == message.group);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(message),
            None => groups.push(vec![message]),
        }
    }
    groups
}
