//! Groups with a letter that could not be sent back. They stay closed for the whole run: any later letter would overtake it.

use std::collections::HashSet;

use towpath_types::queue::GroupId;

use super::letter::Letter;
use super::queue::{Moved, NotSentBack};

const BEHIND: &str = "a letter before it in its group could not be sent back";

#[derive(Default)]
pub(super) struct BrokenGroups(HashSet<GroupId>);

impl BrokenGroups {
    /// Whether a letter may be sent back. If not, it is reported as failed.
    pub(super) fn lets(&self, letter: &Letter, moved: &mut Moved) -> bool {
        let closed = self.0.contains(&letter.group);
        if closed {
            moved.failed.push(NotSentBack { id: letter.first_id(), problem: BEHIND.to_owned(), error: None });
        }
        !closed
    }

    /// Reports letters that could not be sent back, and closes their groups.
    pub(super) fn close(&mut self, letters: &[Letter], problem: &anyhow::Error, moved: &mut Moved) {
        for letter in letters {
            self.0.insert(letter.group.clone());
            let error = problem.downcast_ref().copied();
            moved.failed.push(NotSentBack { id: letter.first_id(), problem: format!("{problem:#}"), error });
        }
    }
}
