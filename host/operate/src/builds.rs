//! Builds of plugins in a folder that the config names: they are chosen by name, never by a path that somebody sends.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use towpath_types::clock::Timestamp;

/// The component in a folder with a build.
const COMPONENT: &str = "plugin.wasm";

/// The builds of a folder.
pub struct Builds<'a>(&'a Path);

/// One build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    /// Its file name, or the name of its folder.
    pub name: String,
    /// When it was built.
    pub built_at: Timestamp,
    /// Where it is.
    at: PathBuf,
}

impl Builds<'_> {
    /// Those of this folder.
    pub fn of(folder: &Path) -> Builds<'_> {
        Builds(folder)
    }

    /// All builds, the newest first: `.wasm` files, and folders with a `plugin.wasm`. Links are not followed.
    pub fn list(&self) -> anyhow::Result<Vec<Build>> {
        let reading = || format!("reading {}", self.0.display());
        let mut builds = Vec::new();
        for entry in std::fs::read_dir(self.0).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let kind = entry.file_type().with_context(reading)?;
            let at = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let component = if kind.is_dir() { at.join(COMPONENT) } else { at.clone() };
            let is_build = kind.is_dir() || (kind.is_file() && name.ends_with(".wasm"));
            let Ok(found) = std::fs::symlink_metadata(&component) else { continue };
            if is_build && found.is_file() {
                let built = found.modified().with_context(reading)?.duration_since(UNIX_EPOCH).unwrap_or_default();
                let built_at = Timestamp(u64::try_from(built.as_millis()).unwrap_or_default());
                builds.push(Build { name, built_at, at });
            }
        }
        builds.sort_by(|one, other| other.built_at.cmp(&one.built_at).then_with(|| one.name.cmp(&other.name)));
        Ok(builds)
    }

    /// The path of the build with this name.
    pub fn find(&self, name: &str) -> anyhow::Result<PathBuf> {
        let found = self.list()?.into_iter().find(|build| build.name == name);
        found.map(|build| build.at).with_context(|| format!("there is no build {name:?} in {}", self.0.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_a_component_of_the_folder_and_no_name_leads_out_of_it() {
        let folder = tempfile::TempDir::new().expect("folder");
        let inside = folder.path().join("builds");
        std::fs::create_dir_all(inside.join("crm-2")).expect("made");
        std::fs::create_dir_all(inside.join("empty")).expect("made");
        for file in ["builds/crm-2/plugin.wasm", "builds/crm-1.wasm", "builds/notes.txt", "secret.wasm"] {
            std::fs::write(folder.path().join(file), b"x").expect("written");
        }
        std::os::unix::fs::symlink(folder.path().join("secret.wasm"), inside.join("link.wasm")).expect("linked");
        let builds = Builds::of(&inside);
        let mut names: Vec<String> = builds.list().expect("listed").into_iter().map(|build| build.name).collect();
        names.sort();
        assert_eq!(names, ["crm-1.wasm", "crm-2"]);
        assert_eq!(builds.find("crm-2").expect("found"), inside.join("crm-2"));
        let absolute = folder.path().join("secret.wasm").display().to_string();
        for name in ["../secret.wasm", "link.wasm", "notes.txt", "crm-2/plugin.wasm", "", ".", &absolute] {
            builds.find(name).expect_err(name);
        }
    }
}
