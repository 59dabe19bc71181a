//! The config of the function that `dev` runs: the user's own, with the queues of the SQS endpoint, the fake targets, and
//! precompiled plugins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml::{Table, Value};
use towpath_config::plugin::Settings;
use towpath_config::target::{Kind, Target};
use towpath_config::{RegistryConfig, RegistryUrl, Secret};
use towpath_files::private;
use towpath_files::regular::{self, MAX_CONFIG};
use towpath_plugin::{find, precompile};
use towpath_types::artifacts::{MAX_COMPONENT, MAX_MANIFEST, MAX_NATIVE};

/// What the function's config is made from.
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) registry: Option<RegistryConfig>,
    pub(crate) plugins: BTreeMap<String, Settings>,
    pub(crate) targets: BTreeMap<String, Target>,
}

/// A folder with the config and its plugins. Dropping this removes it.
pub(crate) struct FunctionConfig {
    folder: tempfile::TempDir,
    token: Secret,
}

impl FunctionConfig {
    /// Writes the config that the function reads. The endpoint of the queues requires this token.
    pub(crate) fn write(
        source: &Source,
        url: &str,
        dead_letter_url: &str,
        token: Secret,
    ) -> anyhow::Result<FunctionConfig> {
        let folder = private::passing_folder("towpath-lambda-", None).context("making a folder for the function")?;
        let text = regular::read_text(&source.file, MAX_CONFIG)
            .with_context(|| format!("reading {}", source.file.display()))?;
        let mut file: Table = text.parse().context("reading the config")?;
        let mut queue = Table::new();
        queue.insert("url".to_owned(), url.into());
        queue.insert("dead_letter_url".to_owned(), dead_letter_url.into());
        file.insert("queue".to_owned(), Value::Table(queue));
        // The function has no ingest, and ingest has other limits with SQS.
        file.remove("ingest");
        // In `dev`, secrets come from the environment. Relative paths must become absolute, as the file is in another folder.
        file.remove("secrets");
        if let (Some(registry), Some(Value::Table(table))) = (&source.registry, file.get_mut("registry")) {
            let url = match &registry.url {
                RegistryUrl::Folder(folder) => {
                    std::path::absolute(folder).context("finding the registry")?.display().to_string()
                }
                RegistryUrl::S3(url) => url.to_string(),
            };
            table.insert("url".to_owned(), url.into());
        }
        for (name, settings) in &source.plugins {
            let Some(path) = settings.code.path() else { continue };
            let wasm = find(path).with_context(|| format!("finding the plugin {name}"))?;
            let native = folder.path().join(format!("{name}.cwasm"));
            compile(&wasm, &native).with_context(|| format!("compiling the plugin {name}"))?;
            set(&mut file, "plugin", name, "path", Some(native.display().to_string().into()));
            // The pin is the component's digest, not that of the native code.
            set(&mut file, "plugin", name, "sha256", None);
        }
        for (name, target) in &source.targets {
            let Kind::Http(http) = &target.kind;
            set(&mut file, "target", name, "url", Some(http.url.to_string().into()));
            set(&mut file, "target", name, "allow_private", Some(http.reach.allow_private.into()));
        }
        let path = folder.path().join("towpath.toml");
        private::write(&path, file.to_string().as_bytes()).with_context(|| format!("writing {}", path.display()))?;
        Ok(FunctionConfig { folder, token })
    }

    pub(super) fn token(&self) -> &Secret {
        &self.token
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("towpath.toml")
    }
}

/// Sets a key of the table `[kind.name]`. It exists, because the config was checked.
fn set(file: &mut Table, kind: &str, name: &str, key: &str, value: Option<Value>) {
    let Some(Value::Table(tables)) = file.get_mut(kind) else { return };
    let Some(Value::Table(table)) = tables.get_mut(name) else { return };
    match value {
        Some(value) => drop(table.insert(key.to_owned(), value)),
        None => drop(table.remove(key)),
    }
}

fn compile(wasm: &Path, native: &Path) -> anyhow::Result<()> {
    let manifest = native.with_added_extension("json");
    if wasm.extension().is_some_and(|extension| extension == "cwasm") {
        private::write(native, &read(wasm, MAX_NATIVE)?).context("copying")?;
        let described = read(&wasm.with_added_extension("json"), MAX_MANIFEST)?;
        return private::write(&manifest, &described).context("copying its manifest");
    }
    let bytes = read(wasm, MAX_COMPONENT)?;
    let (code, described) = precompile(&bytes, None)?;
    private::write(native, &code).context("writing")?;
    private::write(&manifest, &serde_json::to_vec(&described).context("writing its manifest")?).context("writing")
}

fn read(file: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    regular::read(file, limit).with_context(|| format!("reading {}", file.display()))
}
