//! Releases and channels as `--json` prints them: the registry's files have other keys, and keep them.

use serde::Serialize;
use towpath_operate::json::Rfc3339;
use towpath_plugin::{Description, Manifest};
use towpath_registry::{Chosen, Pointer, Release};

/// A release.
#[derive(Serialize)]
pub(super) struct ReleaseShown<'a> {
    name: &'a str,
    version: &'a str,
    contract: &'a str,
    description: &'a Description,
    wasm_sha256: &'a str,
    builds: &'a [Manifest],
    cases: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    published_at: Rfc3339,
    #[serde(skip_serializing_if = "str::is_empty")]
    published_by: &'a str,
}

impl ReleaseShown<'_> {
    pub(super) fn of(release: &Release) -> ReleaseShown<'_> {
        ReleaseShown {
            name: &release.name,
            version: &release.version,
            contract: &release.contract,
            description: &release.description,
            wasm_sha256: &release.wasm_sha256,
            builds: &release.builds,
            cases: release.cases,
            commit: release.commit.as_deref(),
            published_at: Rfc3339(release.published_at),
            published_by: &release.published_by,
        }
    }
}

/// The pointer of a channel.
#[derive(Serialize)]
pub(super) struct PointerShown<'a> {
    current: &'a Chosen,
    previous: &'a [Chosen],
    pinned: bool,
    moves: Vec<Move<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
}

/// One move of a pointer.
#[derive(Serialize)]
struct Move<'a> {
    version: &'a str,
    how: &'a str,
    moved_at: Rfc3339,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'a str,
}

impl PointerShown<'_> {
    pub(super) fn of(pointer: &Pointer) -> PointerShown<'_> {
        let moves = pointer.moves.iter().map(|made| Move {
            version: &made.version,
            how: &made.how,
            moved_at: Rfc3339(made.at),
            by: &made.by,
        });
        PointerShown {
            current: &pointer.current,
            previous: &pointer.previous,
            pinned: pointer.pinned,
            moves: moves.collect(),
            sequence: Some(pointer.sequence).filter(|sequence| *sequence > 0),
            signature: pointer.signature.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towpath_types::clock::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_819_227_123);
    const TEXT: &str = "2026-11-27T22:40:27.123Z";

    #[test]
    fn releases_and_channels_show_times_as_text() {
        let description = json!({ "name": "crm", "version": "1.0.0", "summary": "maps", "targets": ["sss"] });
        let stored = json!({
            "v": 1, "name": "crm", "version": "1.0.0-3f2a", "contract": "towpath:plugin@1.0.0", "description": description,
            "wasm_sha256": "ab", "builds": [], "cases": 2, "published_at": NOW, "published_by": "ada",
        });
        let release: Release = serde_json::from_value(stored).expect("a release");
        let shown = json!({
            "name": "crm", "version": "1.0.0-3f2a", "contract": "towpath:plugin@1.0.0", "description": description,
            "wasm_sha256": "ab", "builds": [], "cases": 2, "published_at": TEXT, "published_by": "ada",
        });
        assert_eq!(json!(ReleaseShown::of(&release)), shown);
        let chosen = Chosen { version: "1.0.0-3f2a".to_owned(), manifest_sha256: "cd".to_owned() };
        let made = towpath_registry::Move {
            version: chosen.version.clone(),
            how: "publish".to_owned(),
            at: NOW,
            by: "ada".to_owned(),
        };
        let shown = json!({
            "current": { "version": "1.0.0-3f2a", "manifest_sha256": "cd" }, "previous": [], "pinned": false,
            "moves": [{ "version": "1.0.0-3f2a", "how": "publish", "moved_at": TEXT, "by": "ada" }],
        });
        assert_eq!(json!(PointerShown::of(&Pointer::at(chosen, made))), shown);
    }
}
