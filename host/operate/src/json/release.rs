//! Releases and channels: the registry's files have other keys, and keep them.

use serde::Serialize;
use towpath_plugin::{Description, Manifest};
use towpath_registry::{Channel, Chosen};

use super::Rfc3339;
use crate::releases;

/// A release.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PluginRelease))]
pub struct Release<'a> {
    name: &'a str,
    version: &'a str,
    contract: &'a str,
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    description: &'a Description,
    wasm_sha256: &'a str,
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Object>))]
    builds: &'a [Manifest],
    cases: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    published_at: Rfc3339,
    #[serde(skip_serializing_if = "str::is_empty")]
    published_by: &'a str,
}

impl Release<'_> {
    /// The shape of a release.
    pub fn of(release: &towpath_registry::Release) -> Release<'_> {
        Release {
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

/// A version in the registry.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PluginVersion))]
pub struct Version<'a> {
    version: &'a str,
    channels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<Release<'a>>,
    /// Why hosts do not load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl Version<'_> {
    /// The shape of a version.
    pub fn of(version: &releases::Version) -> Version<'_> {
        Version {
            version: &version.version,
            channels: &version.channels,
            release: version.release.as_ref().map(Release::of),
            problem: version.problem.as_deref(),
        }
    }
}

/// The pointer of a channel.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ChannelPointer))]
pub struct Pointer<'a> {
    current: Build<'a>,
    /// Where it was before, the most recent one last.
    previous: Vec<Build<'a>>,
    pinned: bool,
    moves: Vec<Move<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
}

/// A version that a pointer names.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ChosenVersion))]
struct Build<'a> {
    version: &'a str,
    manifest_sha256: &'a str,
}

impl Build<'_> {
    fn of(chosen: &Chosen) -> Build<'_> {
        Build { version: &chosen.version, manifest_sha256: &chosen.manifest_sha256 }
    }
}

/// One move of a pointer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ChannelMove))]
struct Move<'a> {
    version: &'a str,
    how: &'a str,
    moved_at: Rfc3339,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'a str,
}

impl Pointer<'_> {
    /// The shape of a pointer.
    pub fn of(pointer: &towpath_registry::Pointer) -> Pointer<'_> {
        let moves = pointer.moves.iter().map(|made| Move {
            version: &made.version,
            how: &made.how,
            moved_at: Rfc3339(made.at),
            by: &made.by,
        });
        Pointer {
            current: Build::of(&pointer.current),
            previous: pointer.previous.iter().map(Build::of).collect(),
            pinned: pointer.pinned,
            moves: moves.collect(),
            sequence: Some(pointer.sequence).filter(|sequence| *sequence > 0),
            signature: pointer.signature.as_deref(),
        }
    }
}

/// A channel in the registry.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PluginChannel))]
pub(super) struct PluginChannel<'a> {
    channel: &'a str,
    /// Absent if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<Pointer<'a>>,
    /// Why no host follows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl PluginChannel<'_> {
    pub(super) fn of(channel: &Channel) -> PluginChannel<'_> {
        PluginChannel {
            channel: &channel.name,
            pointer: channel.pointer.as_ref().map(Pointer::of),
            problem: channel.problem.as_ref().map(ToString::to_string),
        }
    }
}

/// What differs between two releases.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReleaseDifference<'a> {
    old: ComparedRelease<'a>,
    new: ComparedRelease<'a>,
    imports: Changed<'a>,
    exports: Changed<'a>,
    targets: Changed<'a>,
}

/// A release of a comparison.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct ComparedRelease<'a> {
    release: Release<'a>,
    /// The size of its component.
    bytes: u64,
    imports: &'a [String],
    exports: &'a [String],
}

impl ComparedRelease<'_> {
    fn of(side: &releases::Side) -> ComparedRelease<'_> {
        let releases::Side { release, bytes, imports, exports } = side;
        ComparedRelease { release: Release::of(release), bytes: *bytes, imports, exports }
    }
}

/// Names that only one of two releases has.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ChangedNames))]
struct Changed<'a> {
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
}

impl<'a> Changed<'a> {
    fn between(old: &'a [String], new: &'a [String]) -> Changed<'a> {
        Changed { added: releases::missing(new, old), removed: releases::missing(old, new) }
    }
}

impl ReleaseDifference<'_> {
    /// The shape of a comparison.
    pub fn of(compared: &releases::Compared) -> ReleaseDifference<'_> {
        let releases::Compared { old, new } = compared;
        ReleaseDifference {
            imports: Changed::between(&old.imports, &new.imports),
            exports: Changed::between(&old.exports, &new.exports),
            targets: Changed::between(&old.release.description.targets, &new.release.description.targets),
            old: ComparedRelease::of(old),
            new: ComparedRelease::of(new),
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
        let release: towpath_registry::Release = serde_json::from_value(stored).expect("a release");
        let shown = json!({
            "name": "crm", "version": "1.0.0-3f2a", "contract": "towpath:plugin@1.0.0", "description": description,
            "wasm_sha256": "ab", "builds": [], "cases": 2, "published_at": TEXT, "published_by": "ada",
        });
        assert_eq!(json!(Release::of(&release)), shown);
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
        assert_eq!(json!(Pointer::of(&towpath_registry::Pointer::at(chosen, made))), shown);
    }
}
