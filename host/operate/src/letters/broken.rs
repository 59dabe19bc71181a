//! Groups in which a letter could not be sent back. They stay closed for the whole run: whatever comes behind that letter,
//! in this chunk or a later one, would overtake it.

use std::collections::HashSet;

use towpath_types::queue::GroupId;

use super::letter::Letter;
use super::queue::{Moved, NotSentBack};

const BEHIND: &str = "a letter before it in its group could not be sent back";

#[derive(Default)]
pub(super) struct BrokenGroups(HashSet<GroupId>);

impl BrokenGroups {
    /// Whether a letter may go. One that may not is reported as failed.
    pub(super) fn lets(&self, letter: &Letter, moved: &mut Moved) -> bool {
        let closed = self.0.contains(&letter.group);
        if closed {
            moved.failed.push(NotSentBack { id: letter.first_id(), problem: BEHIND.to_owned() });
        }
        !closed
    }

    /// Reports letters that could not be sent back, and closes their groups.
    pub(super) fn close(&mut self, letters: &[Letter], problem: &anyhow::Error, moved: &mut Moved) {
        for letter in letters {
            self.0.insert(letter.group.clone());
            moved.failed.push(NotSentBack { id: letter.first_id(), problem: format!("{problem:#}") });
        }
    }
}
