//! `split` of a route: an array in the body, each element of which becomes a message of its own.

use towpath_types::json::Pointer;

/// The most elements of an array that is split.
pub const MOST_ITEMS: usize = 10_000;

/// How a webhook is split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    /// Where the array is in the opened body.
    pub at: Pointer,
    /// Whether the plugin sees the body with only its element in the array, instead of the element alone.
    pub rest: bool,
}
