//! The plugin registry: releases of plugins that never change, and pointers that say which one runs.
//!
//! ```text
//! NAME/versions/VERSION/plugin.wasm           the component
//!                      /TARGET.cwasm          the same, compiled for a target triple
//!                      /manifest.json         digests of all of them, and where they come from
//!                      /manifest.sig          an Ed25519 signature of manifest.json, in base64
//! NAME/pointers/current.json                  the version that runs, and those that ran before it
//!              /candidate.json                another one, for shadow and canary
//! ```
//!
//! A registry is a bucket's prefix or a folder: [`Artifacts`]. What is loaded from one was vouched for byte by
//! byte: a pointer names the digest of a manifest, a manifest those of its files, and where a public key is
//! configured a signature stands for the manifest.

mod artifacts;
mod folder;
mod key;
mod load;
mod pointer;
mod publish;
mod reference;
mod release;
mod watch;

use std::sync::Arc;

pub use artifacts::{Artifacts, ArtifactsError, Tag};
pub use folder::Folder;
pub use key::{KeyError, PublicKey, SigningKey};
pub use load::{Failures, open};
pub use pointer::{Chosen, Move, Pointer};
pub use publish::{Built, PublishError, Seen};
pub use reference::{CANDIDATE, CURRENT, Reference, is_name};
pub use release::{Release, TARGETS};
pub use watch::Watch;

use crate::plugin::{Artifact, ManifestError, digest};

/// Why something of a registry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry cannot be read or written.
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    /// Nothing published.
    #[error("{place} has no {what}: `towpath plugin versions {name}` shows what there is")]
    Missing {
        /// The registry.
        place: String,
        /// What is missing.
        what: String,
        /// The plugin.
        name: String,
    },
    /// An object that is not what it should be.
    #[error("{key} is not readable: {problem}")]
    Unreadable {
        /// The object.
        key: String,
        /// Why.
        problem: String,
    },
    /// Changed or damaged.
    #[error("{key} is not what was published: its digest is {found}, it should be {wanted}")]
    Digest {
        /// The object.
        key: String,
        /// What it is.
        found: String,
        /// What was published.
        wanted: String,
    },
    /// Nobody vouches for it.
    #[error("the signature of {key} is not by the key of the config: {problem}")]
    Signature {
        /// The manifest.
        key: String,
        /// `it is missing`, or `it does not fit`.
        problem: &'static str,
    },
    /// A manifest of another plugin or version, under this one's name.
    #[error("{key} is the manifest of {found}: it was put where it does not belong")]
    Misplaced {
        /// The manifest.
        key: String,
        /// What it says it is.
        found: String,
    },
    /// Not compiled for this host.
    #[error(
        "{version} is not compiled for {target}: publish it again, with `towpath plugin publish` of the host's version"
    )]
    NotCompiled {
        /// The version.
        version: String,
        /// This host's target triple.
        target: String,
    },
    /// Compiled by something else than this host.
    #[error("{key}")]
    Compiled {
        /// The object.
        key: String,
        /// What does not fit.
        source: ManifestError,
    },
}

/// A registry, and whose releases of it are used.
#[derive(Clone)]
pub struct Registry {
    artifacts: Arc<dyn Artifacts>,
    key: Option<PublicKey>,
}

impl Registry {
    /// The registry at this place. With a key, only releases that were signed with it.
    pub fn new(artifacts: Arc<dyn Artifacts>, key: Option<PublicKey>) -> Registry {
        Registry { artifacts, key }
    }

    /// Where it is.
    pub fn place(&self) -> String {
        self.artifacts.place()
    }

    /// The pointer of a channel, with the tag to replace it by.
    pub async fn pointer(&self, name: &str, channel: &str) -> Result<Option<(Pointer, Tag)>, RegistryError> {
        let key = pointer_key(name, channel);
        let Some((bytes, tag)) = self.artifacts.get(&key).await? else { return Ok(None) };
        let read = serde_json::from_slice::<Pointer>(&bytes).map_err(|error| error.to_string());
        let pointer = read.and_then(Pointer::checked).map_err(|problem| RegistryError::Unreadable { key, problem })?;
        Ok(Some((pointer, tag)))
    }

    /// What a reference means now, and what else was good before it: the one to run comes first.
    pub async fn resolve(&self, reference: &Reference) -> Result<Vec<Chosen>, RegistryError> {
        if let Some((pointer, _)) = self.pointer(&reference.name, &reference.tag).await? {
            return Ok(std::iter::once(pointer.current).chain(pointer.previous.into_iter().rev()).collect());
        }
        match self.artifacts.get(&version_key(&reference.name, &reference.tag, MANIFEST)).await? {
            Some((manifest, _)) => {
                Ok(vec![Chosen { version: reference.tag.clone(), manifest_sha256: digest(&manifest) }])
            }
            None => Err(self.missing(&reference.name, reference.to_string())),
        }
    }

    /// The manifest of a version, if everything that vouches for it does.
    pub async fn release(&self, name: &str, chosen: &Chosen) -> Result<Release, RegistryError> {
        let key = version_key(name, &chosen.version, MANIFEST);
        let bytes = self.get(name, &key).await?;
        let found = digest(&bytes);
        if found != chosen.manifest_sha256 {
            return Err(RegistryError::Digest { key, found, wanted: chosen.manifest_sha256.clone() });
        }
        if let Some(public_key) = &self.key {
            let signature = self.artifacts.get(&version_key(name, &chosen.version, SIGNATURE)).await?;
            let problem = match signature {
                None => Some("it is missing"),
                Some((signature, _)) if public_key.verifies(&bytes, &signature) => None,
                Some(_) => Some("it does not fit"),
            };
            if let Some(problem) = problem {
                return Err(RegistryError::Signature { key, problem });
            }
        }
        let release: Release = serde_json::from_slice(&bytes)
            .map_err(|error| RegistryError::Unreadable { key: key.clone(), problem: error.to_string() })?;
        // A signed manifest that was copied elsewhere is still signed.
        match release.name == name && release.version == chosen.version {
            true => Ok(release),
            false => {
                let found = format!("{} {}", release.name, release.version);
                Err(RegistryError::Misplaced { key, found })
            }
        }
    }

    /// The code of a release for this host: the component where it can be compiled, else what was compiled of it.
    pub async fn code(&self, release: &Release) -> Result<Artifact, RegistryError> {
        let Release { name, version, .. } = release;
        if cfg!(feature = "compile") {
            return Ok(Artifact::wasm(self.component(release).await?));
        }
        let target = crate::plugin::host_triple();
        let build = release.builds.iter().find(|build| build.target == target);
        let build =
            build.ok_or_else(|| RegistryError::NotCompiled { version: version.clone(), target: target.to_owned() })?;
        let key = version_key(name, version, &release::native_file(target));
        let bytes = self.get(name, &key).await?;
        Artifact::native(bytes, build).map_err(|source| RegistryError::Compiled { key, source })
    }

    /// The component of a release.
    pub async fn component(&self, release: &Release) -> Result<Vec<u8>, RegistryError> {
        let key = version_key(&release.name, &release.version, crate::plugin::COMPONENT);
        let bytes = self.get(&release.name, &key).await?;
        let found = digest(&bytes);
        match found == release.wasm_sha256 {
            true => Ok(bytes),
            false => Err(RegistryError::Digest { key, found, wanted: release.wasm_sha256.clone() }),
        }
    }

    /// The versions of a plugin, oldest first. One whose manifest is not good is listed with what is wrong.
    pub async fn versions(&self, name: &str) -> Result<Vec<(String, Result<Release, RegistryError>)>, RegistryError> {
        let mut versions = Vec::new();
        for version in self.artifacts.list(&format!("{name}/versions")).await? {
            let key = version_key(name, &version, MANIFEST);
            // Without a manifest it is being published, or that broke off.
            let Some((manifest, _)) = self.artifacts.get(&key).await? else { continue };
            let chosen = Chosen { version: version.clone(), manifest_sha256: digest(&manifest) };
            versions.push((version, self.release(name, &chosen).await));
        }
        versions.sort_by_key(|(_, release)| release.as_ref().map_or(u64::MAX, |release| release.published_at.0));
        Ok(versions)
    }

    /// The names of the plugins that were published.
    pub async fn plugins(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.artifacts.list("").await?.into_iter().filter(|name| is_name(name)).collect())
    }

    /// The channels of a plugin that point somewhere, by name.
    pub async fn channels(&self, name: &str) -> Result<Vec<(String, Pointer)>, RegistryError> {
        let mut channels = Vec::new();
        for file in self.artifacts.list(&format!("{name}/pointers")).await? {
            let Some(channel) = file.strip_suffix(".json") else { continue };
            if let Some((pointer, _)) = self.pointer(name, channel).await? {
                channels.push((channel.to_owned(), pointer));
            }
        }
        Ok(channels)
    }

    async fn get(&self, name: &str, key: &str) -> Result<Vec<u8>, RegistryError> {
        let found = self.artifacts.get(key).await?;
        found.map(|(bytes, _)| bytes).ok_or_else(|| self.missing(name, key.to_owned()))
    }

    fn missing(&self, name: &str, what: String) -> RegistryError {
        RegistryError::Missing { place: self.place(), what, name: name.to_owned() }
    }
}

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";

fn version_key(name: &str, version: &str, file: &str) -> String {
    format!("{name}/versions/{version}/{file}")
}

fn pointer_key(name: &str, channel: &str) -> String {
    format!("{name}/pointers/{channel}.json")
}
