//! Edits a letter: its body in a form, what would change with the new verdict, and then the change.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use towpath_operate::dlq::edit::{Done, Edit, WebhookId, edit};
use towpath_operate::dlq::preview::{self, preview as tried};
use towpath_operate::letters::Letter;
use towpath_operate::place::Found;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_operate::set::Set;
use towpath_operate::shown::{lines, readable};
use towpath_types::envelope::Webhook;
use towpath_types::message::webhook;

use super::{Which, short};
use crate::access::Operator;
use crate::asked::Asked;
use crate::dead::{PAGE, before, find, look, looks_are_free, opened, released};
use crate::pages::diff::{diff, pretty};
use crate::pages::layout::{Page, fragment, page};
use crate::pages::overview::urlencoded;
use crate::{Problem, Shared};

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct New {
    #[serde(default)]
    at: String,
    body: Option<String>,
    #[serde(default)]
    set: String,
    keep_group: Option<String>,
    new_webhook_id: Option<String>,
    accept_unverified: Option<String>,
    #[serde(default)]
    note: String,
    /// The digest of the letter that the form shows.
    made_for: Option<String>,
    /// The mark of the edit that was previewed.
    #[serde(default)]
    previewed: String,
}

impl New {
    /// The edit of this letter. Browsers send every line end of a text field as CRLF: a body with other line ends gets them back.
    fn of(self, letter: &Letter, came: &Webhook) -> Result<Edit, Problem> {
        let lines_set = self.set.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
        let set = lines_set.map(str::parse::<Set>).collect::<Result<Vec<Set>, _>>().map_err(Problem::bad_request)?;
        let has_crlf = came.body.windows(2).any(|pair| pair == b"\r\n");
        let body = self.body.map(|body| if has_crlf { body } else { body.replace("\r\n", "\n") });
        Ok(Edit {
            id: letter.id.to_string(),
            body: body.map(String::into_bytes).filter(|body| *body != came.body),
            set,
            keep_group: self.keep_group.is_some(),
            new_webhook_id: self.new_webhook_id.is_some(),
            accept_unverified: self.accept_unverified.is_some(),
            note: self.note,
            made_for: self.made_for,
        })
    }
}

/// Tells an edit from any other one; the note may still change.
fn mark(edit: &Edit) -> String {
    let Edit { id, body, set, keep_group, new_webhook_id, accept_unverified, note: _, made_for } = edit;
    let length = body.as_ref().map(Vec::len);
    let others = format!("{:?}", (id, length, set, keep_group, new_webhook_id, accept_unverified, made_for));
    hex::encode(Sha256::new().chain_update(others).chain_update(body.as_deref().unwrap_or_default()).finalize())
}

/// The body as a text field can keep it byte for byte; otherwise why not.
fn editable(letter: &Letter, came: &Webhook, secrets: &SecretHeaders) -> Result<String, &'static str> {
    let Ok(text) = String::from_utf8(came.body.clone()) else { return Err("it is not UTF-8") };
    if secrets.clone().and(letter.death.secret_header.as_deref()).hidden(came.clone()).body != came.body {
        return Err("it holds a secret of its route, which is not shown");
    }
    let pairs = text.matches("\r\n").count();
    let are_same = pairs == text.matches('\r').count() && (pairs == 0 || pairs == text.matches('\n').count());
    if !are_same || text.contains('\0') {
        return Err("a text field would change its line ends or control characters");
    }
    Ok(text)
}

pub(super) async fn form(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Path(id): Path<String>,
    asked: Result<Asked, Problem>,
) -> Page {
    let shown = async {
        looks_are_free(&console.found)?;
        let letter = find(&console.found, which.is_refused(), &id, asked?.at()).await?;
        look(&console.acting(&session), &letter)?;
        let came = came(&letter)?;
        let body = editable(&letter, &came, &SecretHeaders::of(console.found.config.as_deref()));
        let title = format!("Edit {}", short(&letter.death.id));
        Ok(page(&session, which.path(), &title, fields(which, &letter, body)))
    };
    Page(shown.await)
}

fn came(letter: &Letter) -> Result<Webhook, Problem> {
    let webhook = webhook(&letter.body, &letter.attributes);
    let webhook = webhook.map_err(|error| Problem::conflict(format!("the event cannot be unpacked: {error}")))?;
    Ok(Arc::unwrap_or_clone(webhook))
}

fn fields(which: Which, letter: &Letter, body: Result<String, &'static str>) -> Markup {
    let own = format!("{}/{}", which.path(), urlencoded(letter.id.as_str()));
    html! {
        p { a href=(which.to(letter)) { "Back to the letter" } }
        p { "Nothing is sent: the letter stays here until somebody redrives it. The audit keeps it as it was." }
        form.act #edit hx-post={ (own) "/preview" } hx-target="#preview" {
            input type="hidden" name="at" value=(letter.sequence());
            input type="hidden" name="made_for" value=(letter.digest());
            @match body {
                Ok(text) => {
                    label for="new-body" { "Body" }
                    // HTML drops the first line end of a text field.
                    textarea #new-body name="body" rows="16" spellcheck="false" autocomplete="off" { "\n" (text) }
                }
                Err(why) => p.note { "The whole body cannot be edited here, because " (why) ". Values of it can." }
            }
            label { "Set values: one /json/pointer=VALUE a line; no other byte changes" textarea name="set" rows="2" spellcheck="false" {} }
            div { input #keep type="checkbox" name="keep_group"; label for="keep" { "Keep its group, even if the new body belongs to another one" } }
            div { input #id type="checkbox" name="new_webhook_id"; label for="id" { "Derive its webhook-id again, if its key changes" } }
            @if !letter.death.is_verified() {
                div { input #unverified type="checkbox" name="accept_unverified"; label for="unverified" { "It was never verified. I vouch for it: after a redrive it is delivered without verification" } }
            }
            label { "Why (stays on the message, and is in the audit)" input name="note" maxlength="500" autocomplete="off"; }
            div { button.primary type="submit" { "See the change and its verdict" } }
        }
        div #preview aria-live="polite" {}
    }
}

pub(super) async fn preview(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Path(id): Path<String>,
    Form(new): Form<New>,
) -> Response {
    let shown = async {
        looks_are_free(&console.found)?;
        let acting = console.acting(&session);
        let at = new.at.clone();
        let letter = find(&acting, which.is_refused(), &id, Some(&at)).await?;
        look(&acting, &letter)?;
        let edit = new.of(&letter, &came(&letter)?)?;
        preview_of(&acting, which, &at, &edit).await
    };
    fragment(shown.await)
}

async fn preview_of(acting: &Found, which: Which, at: &str, edit: &Edit) -> Result<Markup, Problem> {
    let from = before(Some(at));
    let mut letters = opened(acting, which.is_refused(), from.as_deref(), PAGE).await?;
    let result = tried(acting, &mut *letters, edit).await;
    Ok(previewed(which, &released(letters, result).await?, edit))
}

fn previewed(which: Which, preview: &preview::Preview, edit: &Edit) -> Markup {
    let change = &preview.change;
    let letter = &change.letter;
    let [before, after] = &preview.bodies;
    let was_json = serde_json::from_slice::<serde_json::Value>(before).is_ok();
    let is_json = serde_json::from_slice::<serde_json::Value>(after).is_ok();
    html! {
        h2 { "What changes" }
        @if was_json && !is_json { p.alert role="alert" { "The new body is not JSON; the old one was." } }
        (diff(&lines(&readable(before)), &lines(&readable(after))))
        @if change.group != letter.group { p.note { "Its group changes: " (letter.group) " → " (change.group) ". It is delivered behind what waits there." } }
        (of_webhook_id(&change.webhook_id, letter))
        h2 { "Verdict" }
        @match &preview.verdicts {
            Ok([now, new]) => {
                @if now == new { p { "It stays the same." } }
                (diff(&pretty(now), &pretty(new)))
                p { "By the build that the config names, in its sandbox. Nothing was sent." }
            }
            Err(why) => p.note { "There is none: " (why) "." }
        }
        @if edit.note.trim().is_empty() { p.note { "Say why in the form above; then save." } }
        input #previewed type="hidden" name="previewed" value=(mark(edit));
        button.primary type="button" hx-post={ (which.path()) "/" (urlencoded(letter.id.as_str())) "/edit" } hx-include="#edit, #previewed" hx-target="#preview" { "Save the edit" }
    }
}

fn of_webhook_id(webhook_id: &WebhookId, letter: &Letter) -> Markup {
    html! {
        @match webhook_id {
            WebhookId::Fits => {}
            WebhookId::Kept { .. } => p.note { "Its webhook-id stays, although its key changes: a target may take the event for one that it already has." }
            WebhookId::New { now } => p.note { "Its webhook-id changes: " (letter.webhook_id()) " → " (now) }
        }
    }
}

pub(super) async fn save(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Path(id): Path<String>,
    Form(new): Form<New>,
) -> Response {
    let shown = async {
        looks_are_free(&console.found)?;
        if new.note.trim().is_empty() {
            return Err(Problem::bad_request("a note is required: it stays on the message, and is in the audit"));
        }
        let acting = console.acting(&session);
        let at = new.at.clone();
        let letter = find(&acting, which.is_refused(), &id, Some(&at)).await?;
        let seen = new.previewed.clone();
        let wanted = new.of(&letter, &came(&letter)?)?;
        if seen != mark(&wanted) {
            look(&acting, &letter)?;
            let preview = preview_of(&acting, which, &at, &wanted).await?;
            return Ok(html! {
                p.alert role="alert" { "Nothing is saved yet: this is not what you have seen. Look at the change, and save again." }
                (preview)
            });
        }
        let from = before(Some(&at));
        let mut letters = opened(&acting, which.is_refused(), from.as_deref(), PAGE).await?;
        let result = edit(&acting, &mut *letters, wanted).await;
        Ok(saved(which, &released(letters, result).await?))
    };
    fragment(shown.await)
}

fn saved(which: Which, done: &Done) -> Markup {
    html! {
        p.note role="status" {
            "The edit is saved"
            @if done.group != done.letter.group { ", and the letter is in the group " (done.group) }
            ". It is not sent yet: " a href=(which.to(&done.letter)) { "redrive it from its page" } "."
        }
    }
}
