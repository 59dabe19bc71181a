//! Publishing: everything is stored before the pointer moves, and the pointer moves only if it did not change
//! meanwhile.

use super::key::verifies;
use super::release::{native_file, version};
use super::{
    Chosen, MANIFEST, Move, Pointer, PublishError, Registry, RegistryError, Release, SIGNATURE, pointer_key,
    version_key,
};
use towpath_config::registry::{CURRENT, Reference};
use towpath_plugin::{COMPONENT, Description, Manifest, digest};
use towpath_types::artifacts::{Bound, Tag};
use towpath_types::clock::Timestamp;

/// A checked and compiled component, ready to be published.
#[derive(Clone, Debug)]
pub struct Built {
    /// The plugin's name in the registry.
    pub name: String,
    /// What the plugin declares.
    pub description: Description,
    /// The version of the contract that it implements.
    pub contract: String,
    pub wasm: Vec<u8>,
    /// Native code with its manifest, for each target.
    pub native: Vec<(Vec<u8>, Manifest)>,
    /// Number of golden cases that it passed.
    pub cases: u32,
    pub commit: Option<String>,
}

/// What storing a manifest replaces.
enum Replaced {
    /// It is stored already.
    Nothing,
    /// Another manifest, or none.
    This(Option<Tag>),
}

/// The state of a pointer when an operator decided to move it.
#[derive(Debug)]
pub struct PointerState {
    /// The pointer whose history is kept.
    pointer: Option<Pointer>,
    /// The object to replace.
    tag: Option<Tag>,
    /// Why the history of the pointer is discarded, if it is.
    pub replaces: Option<RegistryError>,
}

impl Registry {
    /// Stores a complete release: component, native code, manifest, and with a key its signature. An equivalent
    /// manifest that exists stays, and is signed if it was not; a manifest of anybody else is never signed. Returns the
    /// release, and the pointer entry for it.
    pub async fn store(&self, built: Built, by: &str, now: Timestamp) -> Result<(Release, Chosen), PublishError> {
        let builds: Vec<Manifest> = built.native.iter().map(|(_, manifest)| manifest.clone()).collect();
        let name = built.name;
        let version = version(&built.description.version, &builds);
        let release = Release {
            v: 1,
            name: name.clone(),
            version: version.clone(),
            contract: built.contract,
            description: built.description,
            wasm_sha256: digest(&built.wasm),
            builds,
            cases: built.cases,
            commit: built.commit,
            published_at: now,
            published_by: by.to_owned(),
        };
        let (release, manifest, replaced) = self.settle(release).await?;
        let mut files = vec![(COMPONENT.to_owned(), built.wasm, Bound::COMPONENT)];
        let native = built.native.into_iter();
        files.extend(native.map(|(code, manifest)| (native_file(&manifest.target), code, Bound::NATIVE)));
        for (file, bytes, bound) in files {
            self.store_file(&version_key(&name, &version, &file), bytes, bound).await?;
        }
        let manifest_key = version_key(&name, &version, MANIFEST);
        if let Replaced::This(tag) = replaced {
            self.replace(&manifest_key, manifest.clone(), tag.as_ref(), Bound::MANIFEST).await?;
        }
        if let Some(key) = &self.signer {
            let signature_key = version_key(&name, &version, SIGNATURE);
            let signature = key.sign(&manifest).into_bytes();
            self.store_file(&signature_key, signature, Bound::SIGNATURE).await?;
        }
        Ok((release, Chosen { version, manifest_sha256: digest(&manifest) }))
    }

    /// The release to store, its manifest, and what that replaces. An existing manifest is used if it differs only in
    /// who published it and when. One that differs in more is overwritten only if it is not signed.
    async fn settle(&self, ours: Release) -> Result<(Release, Vec<u8>, Replaced), PublishError> {
        let name = &ours.name;
        let version = &ours.version;
        let key = version_key(name, version, MANIFEST);
        let unwritable =
            |error: serde_json::Error| RegistryError::Unreadable { key: key.clone(), problem: error.to_string() };
        let manifest = serde_json::to_vec_pretty(&ours).map_err(unwritable)?;
        let Some((found, tag)) = self.artifacts.get(&key, Bound::MANIFEST).await.map_err(RegistryError::from)? else {
            return Ok((ours, manifest, Replaced::This(None)));
        };
        if let Some(theirs) = ours.found_again(&found) {
            return Ok((theirs, found, Replaced::Nothing));
        }
        let signature = self.artifacts.get(&version_key(name, version, SIGNATURE), Bound::SIGNATURE).await;
        let signature = signature.map_err(RegistryError::from)?;
        let is_worthless = self
            .key
            .as_ref()
            .is_some_and(|key| !signature.is_some_and(|(signature, _)| verifies(key, &found, &signature)));
        if is_worthless {
            Ok((ours, manifest, Replaced::This(Some(tag))))
        } else {
            Err(PublishError::Taken { name: name.clone(), version: version.clone() })
        }
    }

    /// Stores a file of a release. An existing file is checked: an incomplete upload, or one that was damaged since, is
    /// repeated.
    async fn store_file(&self, key: &str, bytes: Vec<u8>, bound: Bound) -> Result<(), PublishError> {
        if self.put_new(key, bytes.clone(), bound).await? {
            return Ok(());
        }
        match self.artifacts.get(key, bound).await.map_err(RegistryError::from)? {
            Some((there, _)) if there == bytes => Ok(()),
            there => self.replace(key, bytes, there.map(|(_, tag)| tag).as_ref(), bound).await,
        }
    }

    /// Replaces an object if it still has this tag.
    async fn replace(&self, key: &str, bytes: Vec<u8>, tag: Option<&Tag>, bound: Bound) -> Result<(), PublishError> {
        if self.artifacts.put(key, bytes, tag, bound).await.map_err(RegistryError::from)? {
            Ok(())
        } else {
            Err(PublishError::Meanwhile { key: key.to_owned() })
        }
    }

    async fn put_new(&self, key: &str, bytes: Vec<u8>, bound: Bound) -> Result<bool, RegistryError> {
        Ok(self.artifacts.put(key, bytes, None, bound).await?)
    }

    /// Reads where a channel is. A move that is decided on it succeeds only if the channel did not change meanwhile.
    /// Fails if the channel cannot be moved without the key, or if a newer pointer was seen.
    pub async fn look(&self, name: &str, channel: &str) -> Result<PointerState, PublishError> {
        let Some((pointer, tag)) = self.pointer(name, channel).await? else {
            self.demand_key(None, name, channel)?;
            return Ok(PointerState { pointer: None, tag: None, replaces: None });
        };
        self.demand_key(Some(&pointer), name, channel)?;
        self.check(&pointer, name, channel).await?;
        Ok(PointerState { pointer: Some(pointer), tag: Some(tag), replaces: None })
    }

    /// Like [`Registry::look`], for commands that name the release to run. With the configured key they may also
    /// replace a pointer that no host would follow: one that is older than the last one seen, not signed by the key, or
    /// unreadable. Its history is discarded.
    pub async fn look_to_replace(&self, name: &str, channel: &str) -> Result<PointerState, PublishError> {
        // Before the check: a pointer that is stored after it is not replaced.
        let found =
            self.artifacts.get(&pointer_key(name, channel), Bound::POINTER).await.map_err(RegistryError::from)?;
        let may = self.signer.is_some() && self.is_configured;
        let worthless = match self.look(name, channel).await {
            Err(PublishError::Registry(error)) if may && error.is_of_the_pointer() => error,
            seen => return seen,
        };
        Ok(PointerState { pointer: None, tag: found.map(|(_, tag)| tag), replaces: Some(worthless) })
    }

    fn demand_key(&self, seen: Option<&Pointer>, name: &str, channel: &str) -> Result<(), PublishError> {
        let is_signed = seen.is_some_and(|pointer| pointer.signature.is_some());
        if self.signer.is_none() && (is_signed || self.key.is_some()) {
            Err(PublishError::NoKey { name: name.to_owned(), channel: channel.to_owned() })
        } else {
            Ok(())
        }
    }

    /// Moves a channel on to a version. A pinned channel stays.
    pub async fn advance(
        &self,
        name: &str,
        channel: &str,
        seen: PointerState,
        to: Chosen,
        made: Move,
    ) -> Result<Pointer, PublishError> {
        let (pointer, tag) = match (seen.pointer, seen.tag) {
            (None, tag) => (Pointer::at(to, made), tag),
            (Some(pointer), _) if pointer.pinned => {
                let version = pointer.current.version;
                let published = to.version;
                return Err(PublishError::Pinned { name: name.into(), channel: channel.into(), version, published });
            }
            (Some(pointer), tag) => (pointer.advanced(to, made), tag),
        };
        self.swap(name, channel, pointer, tag).await
    }

    /// Moves a channel back to a version that it was at, or to the one before. A pin stays. A version that it was rolled
    /// back from counts as one that it was at.
    pub async fn roll_back(
        &self,
        name: &str,
        channel: &str,
        to: Option<&str>,
        made: impl Fn(&str) -> Move,
    ) -> Result<Pointer, PublishError> {
        let (pointer, tag) = self.there(name, channel).await?;
        let name_of = name.to_owned();
        let channel_of = channel.to_owned();
        let before = pointer.previous.last().map(|chosen| chosen.version.clone());
        let Some(to) = to.map(str::to_owned).or(before) else {
            let version = pointer.current.version;
            return Err(PublishError::NothingBefore { name: name_of, channel: channel_of, version });
        };
        if to == pointer.current.version {
            return Ok(pointer);
        }
        if let Some(back) = pointer.clone().returned(&to, made(&to)) {
            return self.swap(name, channel, back, Some(tag)).await;
        }
        let chosen = self.version(name, &to).await?;
        if !pointer.moves.iter().any(|step| step.version == to) {
            return Err(PublishError::NotBefore { name: name_of, channel: channel_of, wanted: to });
        }
        // The digest that it had then is not recorded, so its signature must be valid now.
        self.release(name, &chosen).await?;
        self.swap(name, channel, pointer.advanced(chosen, made(&to)), Some(tag)).await
    }

    /// The pointer entry for a version in the registry.
    async fn version(&self, name: &str, version: &str) -> Result<Chosen, RegistryError> {
        let manifest = self.artifacts.get(&version_key(name, version, MANIFEST), Bound::MANIFEST).await?;
        let (manifest, _) = manifest.ok_or_else(|| self.missing(name, format!("version {version} of {name}")))?;
        Ok(Chosen { version: version.to_owned(), manifest_sha256: digest(&manifest) })
    }

    /// Pins a channel to its current version, or to another one; or unpins it.
    pub async fn pin(
        &self,
        name: &str,
        channel: &str,
        to: Option<Chosen>,
        pinned: bool,
        made: impl Fn(&str) -> Move,
    ) -> Result<Pointer, PublishError> {
        if let Some(to) = &to {
            let seen = self.look_to_replace(name, channel).await?;
            if seen.replaces.is_some() {
                let pointer = Pointer::at(to.clone(), made(&to.version)).with_pin(pinned, made(&to.version));
                return self.swap(name, channel, pointer, seen.tag).await;
            }
        }
        let (mut pointer, tag) = self.there(name, channel).await?;
        if let Some(to) = to.filter(|to| *to != pointer.current) {
            let made = made(&to.version);
            pointer = pointer.advanced(to, made);
        }
        let made = made(&pointer.current.version);
        self.swap(name, channel, pointer.with_pin(pinned, made), Some(tag)).await
    }

    async fn there(&self, name: &str, channel: &str) -> Result<(Pointer, Tag), PublishError> {
        let what = match channel {
            CURRENT => format!("plugin {name}"),
            _ => format!("channel {channel} of {name}"),
        };
        let seen = self.look(name, channel).await?;
        Ok(seen.pointer.zip(seen.tag).ok_or_else(|| self.missing(name, what))?)
    }

    /// Signs an unsigned or altered pointer as it is now, on behalf of an operator who has inspected it. The release
    /// that it points to must be signed; earlier versions that are not are forgotten.
    pub async fn sign_pointer(
        &self,
        name: &str,
        channel: &str,
        made: impl Fn(&str) -> Move,
    ) -> Result<Pointer, PublishError> {
        let Some(signer) = &self.signer else {
            return Err(PublishError::NoKey { name: name.to_owned(), channel: channel.to_owned() });
        };
        let found = self.unverified(name, channel).await?;
        let (mut pointer, tag) = found.ok_or_else(|| self.missing(name, format!("channel {channel} of {name}")))?;
        self.release(name, &pointer.current).await?;
        match pointer.verified_by(&signer.public(), name, channel) {
            // An attacker could have stored any sequence: take none from a pointer that was not signed.
            Err(_) => pointer.sequence = 0,
            // Otherwise an older pointer that was put back would become the newest.
            Ok(()) => self.check(&pointer, name, channel).await?,
        }
        let mut previous = Vec::new();
        for chosen in std::mem::take(&mut pointer.previous) {
            if self.release(name, &chosen).await.is_ok() {
                previous.push(chosen);
            }
        }
        let made = made(&pointer.current.version);
        self.swap(name, channel, Pointer { previous, ..pointer }.moved(made), Some(tag)).await
    }

    async fn swap(
        &self,
        name: &str,
        channel: &str,
        pointer: Pointer,
        tag: Option<Tag>,
    ) -> Result<Pointer, PublishError> {
        let key = pointer_key(name, channel);
        let unwritable =
            |error: serde_json::Error| RegistryError::Unreadable { key: key.clone(), problem: error.to_string() };
        let pointer = match &self.signer {
            // Hosts have seen every sequence that was seen here.
            Some(signer) => {
                let sequence = pointer.sequence.max(self.lowest(&Reference::new(name, channel)));
                Pointer { sequence, ..pointer }.signed_by(signer, name, channel).map_err(unwritable)?
            }
            None => pointer,
        };
        let bytes = serde_json::to_vec_pretty(&pointer).map_err(unwritable)?;
        if self.artifacts.put(&key, bytes, tag.as_ref(), Bound::POINTER).await.map_err(RegistryError::from)? {
            if pointer.signature.is_some() {
                self.check(&pointer, name, channel).await?;
            }
            Ok(pointer)
        } else {
            Err(PublishError::Conflict { name: name.to_owned(), channel: channel.to_owned() })
        }
    }
}
