//! The plugin registry: immutable releases of plugins, and pointers that say which one runs.
//!
//! ```text
//! NAME/versions/VERSION/plugin.wasm           the component
//!                      /TARGET.cwasm          the same, compiled for a target triple
//!                      /manifest.json         digests of all of them, and where they come from
//!                      /manifest.sig          an Ed25519 signature of manifest.json, in base64
//! NAME/pointers/current.json                  the version that runs, those that ran before it, and a signature
//!              /candidate.json                another one, for shadow and canary
//! ```
//!
//! A registry is a bucket's prefix or a folder: [`Artifacts`]. Everything that is loaded is verified byte by byte: a
//! pointer contains the digest of a manifest, a manifest the digests of its files. Where a public key is configured,
//! the manifest and the pointer must be signed, and the pointer's sequence only grows. Every object has a [`Bound`].

mod error;
mod folder;
mod key;
mod load;
mod pointer;
mod publish;
mod release;
mod sequences;
mod version;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use error::{PublishError, RegistryError};
pub use folder::Folder;
pub use key::{KeyError, SigningKey};
pub use load::{Failures, Opened, open};
pub use pointer::{Channel, Chosen, Move, Pointer};
pub use publish::{Built, PointerState};
pub use release::{Release, TARGETS};
pub use sequences::{Sequences, SequencesError};
pub use version::LoadError;
pub use watch::Watch;

use towpath_config::registry::{PublicKey, Reference, is_name};
use towpath_plugin::{Artifact, COMPILES, digest};
use towpath_types::artifacts::{Artifacts, ArtifactsError, Bound, Tag};

/// A registry, and which signatures it requires.
#[derive(Clone)]
pub struct Registry {
    artifacts: Arc<dyn Artifacts>,
    key: Option<PublicKey>,
    signer: Option<SigningKey>,
    sequences: Sequences,
    floors: BTreeMap<String, u64>,
    /// Whether the config contains the key, so that hosts require its signature.
    is_configured: bool,
}

impl Registry {
    /// The registry at this place. With a key, only releases and pointers signed with it are used.
    pub fn new(artifacts: Arc<dyn Artifacts>, key: Option<PublicKey>) -> Registry {
        let is_configured = key.is_some();
        let sequences = Sequences::default();
        let floors = BTreeMap::new();
        Registry { artifacts, key, signer: None, sequences, floors, is_configured }
    }

    /// Adds the key to sign releases and pointers with. Whatever it did not sign is then not used.
    pub fn signing(self, signer: SigningKey) -> Result<Registry, KeyError> {
        let found = signer.public();
        match &self.key {
            Some(wanted) if *wanted != found => Err(KeyError::Other { wanted: wanted.clone(), found }),
            _ => Ok(Registry { key: Some(found), signer: Some(signer), ..self }),
        }
    }

    /// Rejects pointers older than those recorded in `sequences`.
    #[must_use]
    pub fn remembering(self, sequences: Sequences) -> Registry {
        Registry { sequences, ..self }
    }

    /// Rejects pointers of these plugins with a lower sequence.
    #[must_use]
    pub fn with_floors(self, floors: BTreeMap<String, u64>) -> Registry {
        Registry { floors, ..self }
    }

    pub fn place(&self) -> String {
        self.artifacts.place()
    }

    /// The pointer of a channel, with the tag to replace it by. With a key, only one that it signed.
    pub async fn pointer(&self, name: &str, channel: &str) -> Result<Option<(Pointer, Tag)>, RegistryError> {
        let Some((pointer, tag)) = self.unverified(name, channel).await? else { return Ok(None) };
        self.check_signature(&pointer, name, channel)?;
        Ok(Some((pointer, tag)))
    }

    fn check_signature(&self, pointer: &Pointer, name: &str, channel: &str) -> Result<(), RegistryError> {
        let Some(public_key) = &self.key else { return Ok(()) };
        pointer.verified_by(public_key, name, channel).map_err(|problem| RegistryError::Unsigned {
            key: pointer_key(name, channel),
            name: name.to_owned(),
            channel: channel.to_owned(),
            problem,
        })
    }

    /// A pointer whose signature was not checked.
    async fn unverified(&self, name: &str, channel: &str) -> Result<Option<(Pointer, Tag)>, RegistryError> {
        let key = pointer_key(name, channel);
        let Some((bytes, tag)) = self.artifacts.get(&key, Bound::POINTER).await? else { return Ok(None) };
        let read = serde_json::from_slice::<Pointer>(&bytes).map_err(|error| error.to_string());
        let pointer = read.and_then(Pointer::checked).map_err(|problem| RegistryError::Unreadable { key, problem })?;
        Ok(Some((pointer, tag)))
    }

    /// The versions that a reference allows, the current one first, then earlier good ones. With a key, a pointer with
    /// a lower sequence than `min_sequence`, or than one that was seen before, is an error.
    pub async fn resolve(&self, reference: &Reference, min_sequence: u64) -> Result<Vec<Chosen>, RegistryError> {
        let Reference { name, tag } = reference;
        if let Some((pointer, _)) = self.pointer(name, tag).await? {
            if self.key.is_some() {
                self.check_sequence(reference, pointer.sequence, min_sequence).await?;
            }
            return Ok(std::iter::once(pointer.current).chain(pointer.previous.into_iter().rev()).collect());
        }
        match self.artifacts.get(&version_key(name, tag, MANIFEST), Bound::MANIFEST).await? {
            Some((manifest, _)) => Ok(vec![Chosen { version: tag.clone(), manifest_sha256: digest(&manifest) }]),
            None => Err(self.missing(name, reference.to_string())),
        }
    }

    /// The lowest accepted sequence of a signed pointer.
    fn lowest(&self, reference: &Reference) -> u64 {
        let floor = self.floors.get(&reference.name).copied().unwrap_or_default();
        floor.max(self.sequences.highest(&self.remembered(reference)))
    }

    /// The key of a pointer in [`Sequences`].
    fn remembered(&self, reference: &Reference) -> String {
        format!("{} {reference}", self.place())
    }

    async fn check_sequence(&self, reference: &Reference, found: u64, floor: u64) -> Result<(), RegistryError> {
        let floor = floor.max(self.floors.get(&reference.name).copied().unwrap_or_default());
        let older = |wanted| {
            let key = pointer_key(&reference.name, &reference.tag);
            Err(RegistryError::Older { key, found, wanted })
        };
        if found < floor {
            return older(floor);
        }
        let sequences = self.sequences.clone();
        let pointer = self.remembered(reference);
        // This writes a file when the pointer is new.
        let taken = tokio::task::spawn_blocking(move || sequences.take(&pointer, found)).await;
        match taken {
            Ok(Err(seen)) => older(seen),
            Ok(Ok(())) => Ok(()),
            Err(stopped) => Err(ArtifactsError { place: self.place(), problem: stopped.to_string() }.into()),
        }
    }

    /// Whether a start may fall back to the version before one that fails to load for this reason. With a key, only if
    /// the release was correctly signed and is itself broken: otherwise whoever can damage a release could bring back
    /// the version that it replaced.
    pub(crate) fn allows_fallback(&self, problem: &LoadError) -> bool {
        match problem {
            LoadError::Registry(error) => self.key.is_none() || !error.is_of_the_place(),
            _ => true,
        }
    }

    /// The manifest of a version, if its digest and signature are valid.
    pub async fn release(&self, name: &str, chosen: &Chosen) -> Result<Release, RegistryError> {
        let key = version_key(name, &chosen.version, MANIFEST);
        let bytes = self.get(name, &key, Bound::MANIFEST).await?;
        let found = digest(&bytes);
        if found != chosen.manifest_sha256 {
            return Err(RegistryError::Digest { key, found, wanted: chosen.manifest_sha256.clone() });
        }
        if let Some(public_key) = &self.key {
            let signature =
                self.artifacts.get(&version_key(name, &chosen.version, SIGNATURE), Bound::SIGNATURE).await?;
            let problem = match signature {
                None => Some("it is missing"),
                Some((signature, _)) if key::verifies(public_key, &bytes, &signature) => None,
                Some(_) => Some("it does not match"),
            };
            if let Some(problem) = problem {
                return Err(RegistryError::Signature { key, problem });
            }
        }
        let release: Release = serde_json::from_slice(&bytes)
            .map_err(|error| RegistryError::Unreadable { key: key.clone(), problem: error.to_string() })?;
        // A signed manifest that was copied elsewhere still has a valid signature.
        if release.name == name && release.version == chosen.version {
            Ok(release)
        } else {
            let found = format!("{} {}", release.name, release.version);
            Err(RegistryError::Misplaced { key, found })
        }
    }

    /// The code of a release for this host: the component if this host can compile it, else the precompiled code.
    pub async fn code(&self, release: &Release) -> Result<Artifact, RegistryError> {
        let Release { name, version, .. } = release;
        if COMPILES {
            return Ok(Artifact::wasm(self.component(release).await?));
        }
        let target = towpath_plugin::host_triple();
        let build = release.builds.iter().find(|build| build.target == target);
        let build =
            build.ok_or_else(|| RegistryError::NotCompiled { version: version.clone(), target: target.to_owned() })?;
        let key = version_key(name, version, &release::native_file(target));
        let bytes = self.get(name, &key, Bound::NATIVE).await?;
        Artifact::native(bytes, build).map_err(|source| RegistryError::Compiled { key, source })
    }

    pub async fn component(&self, release: &Release) -> Result<Vec<u8>, RegistryError> {
        let key = version_key(&release.name, &release.version, towpath_plugin::COMPONENT);
        let bytes = self.get(&release.name, &key, Bound::COMPONENT).await?;
        let found = digest(&bytes);
        if found == release.wasm_sha256 {
            Ok(bytes)
        } else {
            Err(RegistryError::Digest { key, found, wanted: release.wasm_sha256.clone() })
        }
    }

    /// The versions of a plugin, oldest first. One with an invalid manifest is listed with its error.
    pub async fn versions(&self, name: &str) -> Result<Vec<(String, Result<Release, RegistryError>)>, RegistryError> {
        let mut versions = Vec::new();
        for version in self.artifacts.list(&format!("{name}/versions")).await? {
            let key = version_key(name, &version, MANIFEST);
            // Without a manifest a publish is still running, or was interrupted.
            let Some((manifest, _)) = self.artifacts.get(&key, Bound::MANIFEST).await? else { continue };
            let chosen = Chosen { version: version.clone(), manifest_sha256: digest(&manifest) };
            versions.push((version, self.release(name, &chosen).await));
        }
        versions.sort_by_key(|(_, release)| release.as_ref().map_or(u64::MAX, |release| release.published_at.0));
        Ok(versions)
    }

    /// The names of all published plugins.
    pub async fn plugins(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.artifacts.list("").await?.into_iter().filter(|name| is_name(name)).collect())
    }

    /// The channels of a plugin, by name, each with the reason why no host would follow it, if any.
    pub async fn channels(&self, name: &str) -> Result<Vec<Channel>, RegistryError> {
        let mut channels = Vec::new();
        for file in self.artifacts.list(&format!("{name}/pointers")).await? {
            let Some(channel) = file.strip_suffix(".json").filter(|channel| is_name(channel)) else { continue };
            // An unreadable channel must not hide the others.
            let (pointer, problem) = match self.unverified(name, channel).await {
                Ok(Some((pointer, _))) => {
                    let problem = self.check(&pointer, name, channel).await.err();
                    (Some(pointer), problem)
                }
                Ok(None) => continue,
                Err(error) => (None, Some(error)),
            };
            channels.push(Channel { name: channel.to_owned(), pointer, problem });
        }
        Ok(channels)
    }

    /// With a key, fails unless it signed the pointer and no newer one was seen.
    async fn check(&self, pointer: &Pointer, name: &str, channel: &str) -> Result<(), RegistryError> {
        self.check_signature(pointer, name, channel)?;
        match &self.key {
            Some(_) => self.check_sequence(&Reference::new(name, channel), pointer.sequence, 0).await,
            None => Ok(()),
        }
    }

    async fn get(&self, name: &str, key: &str, bound: Bound) -> Result<Vec<u8>, RegistryError> {
        let found = self.artifacts.get(key, bound).await?;
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
