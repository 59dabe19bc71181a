//! Publishing: everything is stored before the pointer moves, and the pointer moves only from where it was seen.

use super::reference::CURRENT;
use super::release::{native_file, version};
use super::{
    Bound, Chosen, MANIFEST, Move, Pointer, Registry, RegistryError, Release, SIGNATURE, Tag, pointer_key, version_key,
};
use crate::clock::Timestamp;
use crate::plugin::{COMPONENT, Description, Manifest, digest};

/// A component that was checked and compiled, ready to be published.
#[derive(Clone, Debug)]
pub struct Built {
    /// The plugin's name in the registry.
    pub name: String,
    /// What it says of itself.
    pub description: Description,
    /// The contract that it speaks.
    pub contract: String,
    /// The component.
    pub wasm: Vec<u8>,
    /// What it was compiled to, each with its manifest.
    pub native: Vec<(Vec<u8>, Manifest)>,
    /// How many golden cases it passed.
    pub cases: u32,
    /// The git commit.
    pub commit: Option<String>,
}

/// Why a pointer was not moved.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Somebody else moved it meanwhile.
    #[error(
        "somebody else moved {channel} of {name} meanwhile: look at `towpath plugin versions {name}`, then do this again"
    )]
    Conflict {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
    },
    /// It stays where it is.
    #[error(
        "{channel} of {name} is pinned to {version}, it stays there; {published} is in the registry: \
        `towpath plugin pin {name} --off` lets it move"
    )]
    Pinned {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
        /// Where it is pinned to.
        version: String,
        /// What was to become of it.
        published: String,
    },
    /// Hosts take no pointer that is not signed.
    #[error(
        "pointers of this registry are signed, and moving {channel} of {name} takes the key: give --key FILE, or set \
        TOWPATH_SIGNING_KEY_FILE"
    )]
    NoKey {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
    },
    /// Nothing to go back to.
    #[error(
        "nothing is remembered that {channel} of {name} was at before {version}: name a version, \
        `towpath plugin rollback {name} --to VERSION`"
    )]
    NothingBefore {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
        /// Where it is.
        version: String,
    },
    /// A version to which it is no way back.
    #[error(
        "{wanted} is not among the last versions that {channel} of {name} was at: `towpath plugin pin {name} --to {wanted}` \
        moves it there all the same"
    )]
    NotBefore {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
        /// The version.
        wanted: String,
    },
    /// The version is there with other content.
    #[error("{name} {version} is in the registry with another component: was its object changed?")]
    Taken {
        /// The plugin.
        name: String,
        /// The version.
        version: String,
    },
}

/// Where a pointer was when somebody decided to move it.
#[derive(Debug)]
pub struct Seen(Option<(Pointer, Tag)>);

impl Registry {
    /// Stores a release, whole: component, compiled code, manifest, and with a key its signature. One that is there already stays
    /// as it is, and is signed if it was not. Returns it, and what a pointer says of it.
    pub async fn store(&self, built: Built, by: &str, now: Timestamp) -> Result<(Release, Chosen), PublishError> {
        let builds: Vec<Manifest> = built.native.iter().map(|(_, manifest)| manifest.clone()).collect();
        let (name, version) = (built.name, version(&built.description.version, &builds));
        let mut files = vec![(COMPONENT.to_owned(), built.wasm.clone(), Bound::COMPONENT)];
        let native = built.native.into_iter();
        files.extend(native.map(|(code, manifest)| (native_file(&manifest.target), code, Bound::NATIVE)));
        for (file, bytes, bound) in files {
            self.store_file(&version_key(&name, &version, &file), bytes, bound).await?;
        }
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
        let manifest_key = version_key(&name, &version, MANIFEST);
        let mut manifest = serde_json::to_vec_pretty(&release)
            .map_err(|error| RegistryError::Unreadable { key: manifest_key.clone(), problem: error.to_string() })?;
        if !self.put_new(&manifest_key, manifest.clone(), Bound::MANIFEST).await? {
            manifest = self.get(&name, &manifest_key, Bound::MANIFEST).await?;
        }
        let stored: Release = serde_json::from_slice(&manifest)
            .map_err(|error| RegistryError::Unreadable { key: manifest_key, problem: error.to_string() })?;
        if stored.wasm_sha256 != release.wasm_sha256 || stored.builds.len() != release.builds.len() {
            return Err(PublishError::Taken { name, version });
        }
        if let Some(key) = &self.signer {
            let signature_key = version_key(&name, &version, SIGNATURE);
            let signature = key.sign(&manifest).into_bytes();
            self.store_file(&signature_key, signature, Bound::SIGNATURE).await?;
        }
        Ok((stored, Chosen { version, manifest_sha256: digest(&manifest) }))
    }

    /// Stores a file of a release. One that is there is looked at: an upload that broke off, or was damaged since, is
    /// done again.
    async fn store_file(&self, key: &str, bytes: Vec<u8>, bound: Bound) -> Result<(), RegistryError> {
        if self.put_new(key, bytes.clone(), bound).await? {
            return Ok(());
        }
        match self.artifacts.get(key, bound).await? {
            Some((there, _)) if there == bytes => Ok(()),
            there => {
                self.artifacts.put(key, bytes, there.map(|(_, tag)| tag).as_ref(), bound).await?;
                Ok(())
            }
        }
    }

    async fn put_new(&self, key: &str, bytes: Vec<u8>, bound: Bound) -> Result<bool, RegistryError> {
        Ok(self.artifacts.put(key, bytes, None, bound).await?)
    }

    /// Where a channel is now. What is decided on it is done only if it is still there then. Fails if it could not be moved
    /// for want of the key.
    pub async fn look(&self, name: &str, channel: &str) -> Result<Seen, PublishError> {
        let seen = self.pointer(name, channel).await?;
        let is_signed = seen.as_ref().is_some_and(|(pointer, _)| pointer.signature.is_some());
        match self.signer.is_none() && (is_signed || self.key.is_some()) {
            true => Err(PublishError::NoKey { name: name.to_owned(), channel: channel.to_owned() }),
            false => Ok(Seen(seen)),
        }
    }

    /// Moves a channel on to a version. A pinned one stays.
    pub async fn advance(
        &self,
        name: &str,
        channel: &str,
        seen: Seen,
        to: Chosen,
        made: Move,
    ) -> Result<Pointer, PublishError> {
        let (pointer, tag) = match seen.0 {
            None => (Pointer::at(to, made), None),
            Some((pointer, _)) if pointer.pinned => {
                let (version, published) = (pointer.current.version, to.version);
                return Err(PublishError::Pinned { name: name.into(), channel: channel.into(), version, published });
            }
            Some((pointer, tag)) => (pointer.advanced(to, made), Some(tag)),
        };
        self.swap(name, channel, pointer, tag).await
    }

    /// Moves a channel back: to a version that it was at, or to the one before. What it was pinned to it leaves too. A version
    /// that it was rolled back from is one that it was at.
    pub async fn roll_back(
        &self,
        name: &str,
        channel: &str,
        to: Option<&str>,
        made: impl Fn(&str) -> Move,
    ) -> Result<Pointer, PublishError> {
        let (pointer, tag) = self.there(name, channel).await?;
        let (name_of, channel_of) = (name.to_owned(), channel.to_owned());
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
        // Nobody remembers the digest that it had then: what vouches for it now must.
        self.release(name, &chosen).await?;
        self.swap(name, channel, pointer.advanced(chosen, made(&to)), Some(tag)).await
    }

    /// What a pointer says of a version that is in the registry.
    async fn version(&self, name: &str, version: &str) -> Result<Chosen, RegistryError> {
        let manifest = self.artifacts.get(&version_key(name, version, MANIFEST), Bound::MANIFEST).await?;
        let (manifest, _) = manifest.ok_or_else(|| self.missing(name, format!("version {version} of {name}")))?;
        Ok(Chosen { version: version.to_owned(), manifest_sha256: digest(&manifest) })
    }

    /// Pins a channel to where it is, or to another version; or lets it move again.
    pub async fn pin(
        &self,
        name: &str,
        channel: &str,
        to: Option<Chosen>,
        pinned: bool,
        made: impl Fn(&str) -> Move,
    ) -> Result<Pointer, PublishError> {
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
        Ok(self.look(name, channel).await?.0.ok_or_else(|| self.missing(name, what))?)
    }

    /// Signs a pointer that was not, or was altered, as it is now: whoever does has looked at it. What it points to must be
    /// signed; what it was at before and is not is forgotten.
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
        if pointer.verified_by(&signer.public(), name, channel).is_err() {
            // Whoever altered it could have left no number above its own.
            pointer.sequence = 0;
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
            Some(signer) => pointer.signed_by(signer, name, channel).map_err(unwritable)?,
            None => pointer,
        };
        let bytes = serde_json::to_vec_pretty(&pointer).map_err(unwritable)?;
        match self.artifacts.put(&key, bytes, tag.as_ref(), Bound::POINTER).await.map_err(RegistryError::from)? {
            true => Ok(pointer),
            false => Err(PublishError::Conflict { name: name.to_owned(), channel: channel.to_owned() }),
        }
    }
}
