//! Groups that wait, and what was done to one.

use serde::Serialize;
use serde_json::Value;
use towpath_config::route::OnDeadLetter;
use towpath_local::{MOST_BEHIND, Standing};
use towpath_types::queue::{GroupId, MessageId};

use super::Rfc3339;
use super::story::line;
use crate::groups;

/// A page of groups.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Groups<'a> {
    groups: Vec<Group<'a>>,
    /// The cursor of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Groups<'_> {
    /// The shape of a page.
    pub fn of(page: &groups::Page) -> Groups<'_> {
        let next = page.next.as_ref().map(ToString::to_string);
        Groups { groups: page.groups.iter().map(Group::of).collect(), next }
    }
}

/// A group, and why its head waits.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = WaitingGroup))]
pub struct Group<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    state: &'static str,
    head: Head<'a>,
    /// How many messages are behind the head; with `behind_at_least` there may be more.
    behind: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    behind_at_least: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_dead_letter: Option<&'static str>,
    /// The line of the head's last pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pass: Option<Value>,
}

/// The first message of a group.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = GroupHead))]
struct Head<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: MessageId,
    /// Its id in the queue, which differs after a redrive.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    queue_id: &'a MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    webhook_id: MessageId,
    receive_count: u32,
    sent_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<Rfc3339>,
    /// When it is tried next; absent if it can be received now.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<Rfc3339>,
}

impl Group<'_> {
    /// The shape of a group.
    pub fn of(group: &groups::Group) -> Group<'_> {
        let head = &group.head;
        Group {
            group: &head.group,
            state: group.state(),
            head: Head {
                message_id: group.message_id(),
                queue_id: &head.id,
                webhook_id: group.webhook_id(),
                receive_count: head.receive_count,
                sent_at: Rfc3339(head.sent_at),
                received_at: head.received_at.map(Rfc3339),
                next_try_at: (head.standing != Standing::Ready).then_some(Rfc3339(head.ready_at)),
            },
            behind: head.behind,
            behind_at_least: head.behind >= MOST_BEHIND,
            on_dead_letter: group.on_dead_letter.map(policy),
            last_pass: group.last.as_ref().map(line),
        }
    }
}

fn policy(policy: OnDeadLetter) -> &'static str {
    match policy {
        OnDeadLetter::Continue => "continue",
        OnDeadLetter::Park => "park",
        OnDeadLetter::Block => "block",
    }
}

/// What was done to a group.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = DoneToGroup))]
pub struct GroupAction<'a> {
    action: &'static str,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: MessageId,
    /// How many messages can be received now, or were moved.
    messages: u64,
    /// Whether messages are left that hosts park when they receive them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    left_to_hosts: bool,
}

impl GroupAction<'_> {
    /// The shape of what was done.
    pub fn of(done: &groups::Done) -> GroupAction<'_> {
        GroupAction {
            action: done.action.as_str(),
            group: &done.group.head.group,
            message_id: done.group.message_id(),
            messages: done.messages,
            left_to_hosts: done.is_rest,
        }
    }
}
