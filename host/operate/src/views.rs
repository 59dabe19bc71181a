//! Saved views: filters with a name, in a file next to the store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use towpath_files::lock::lock_if_supported;
use towpath_files::private;
use towpath_types::clock::Timestamp;

use crate::place::Found;

/// How many views there are at most, and how long their texts are.
const MOST: usize = 100;
const LONGEST_NAME: usize = 60;
const LONGEST_FILTER: usize = 2_000;

/// No view has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no view {0:?}")]
pub struct NoSuchView(pub String);

/// How long to wait for somebody else who saves a view.
const PATIENCE: Duration = Duration::from_secs(5);

/// A filter with a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Whether it shows what ingest turned away, instead of dead letters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// The filter, as in the query of a URL.
    pub filter: String,
    /// Who saved it.
    pub by: String,
    /// When it was saved, in milliseconds.
    pub at: Timestamp,
}

/// The file of saved views.
pub struct Views(PathBuf);

impl Views {
    /// The views of a place.
    pub fn of(found: &Found) -> Views {
        Views(found.folder().join("views.json"))
    }

    /// Where they are.
    pub fn file(&self) -> &Path {
        &self.0
    }

    /// All views, by name.
    pub fn read(&self) -> anyhow::Result<Vec<View>> {
        let text = private::read(&self.0).with_context(|| format!("reading {}", self.0.display()))?;
        let Some(text) = text else { return Ok(Vec::new()) };
        serde_json::from_str(&text).with_context(|| format!("{} is not a list of views", self.0.display()))
    }

    /// Saves a view, instead of the one with its name.
    pub fn save(&self, view: View) -> anyhow::Result<()> {
        let name = view.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            bail!("a name of a view has 1 to {LONGEST_NAME} characters and no line ends");
        }
        if view.filter.len() > LONGEST_FILTER {
            bail!("the filter of a view has at most {LONGEST_FILTER} characters");
        }
        let view = View { name: name.to_owned(), ..view };
        self.change(|views| {
            views.retain(|other| other.name != view.name);
            if views.len() >= MOST {
                bail!("there are {MOST} views already: remove one");
            }
            views.push(view);
            views.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(())
        })
    }

    /// Removes a view. Fails if there is none of this name.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.change(|views| {
            let before = views.len();
            views.retain(|view| view.name != name);
            anyhow::ensure!(views.len() < before, NoSuchView(name.to_owned()));
            Ok(())
        })
    }

    fn change(&self, change: impl FnOnce(&mut Vec<View>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let writing = || format!("writing {}", self.0.display());
        if let Some(folder) = self.0.parent() {
            private::make_folder(folder).with_context(writing)?;
        }
        let _alone = lock_if_supported(&self.0.with_extension("lock"), PATIENCE).with_context(writing)?;
        let mut views = self.read()?;
        change(&mut views)?;
        let text = serde_json::to_string_pretty(&views).with_context(writing)?;
        private::replace(&self.0, text.as_bytes()).with_context(writing)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn view(name: &str, filter: &str) -> View {
        View {
            name: name.to_owned(),
            refused: false,
            filter: filter.to_owned(),
            by: "ann".to_owned(),
            at: Timestamp(1),
        }
    }

    #[test]
    fn a_view_is_saved_replaced_and_removed_in_a_file_of_its_owner() {
        let folder = tempfile::TempDir::new().expect("folder");
        let views = Views(folder.path().join("views.json"));
        assert_eq!(views.read().expect("no file"), []);
        views.save(view("crm", "route=crm")).expect("saved");
        views.save(view(" a ", "reason=refused")).expect("saved");
        views.save(view("crm", "route=crm&status=500")).expect("replaced");
        let expected = [view("a", "reason=refused"), view("crm", "route=crm&status=500")];
        assert_eq!(views.read().expect("views"), expected);
        let mode = std::fs::metadata(&views.0).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        views.remove("a").expect("removed");
        views.remove("a").expect_err("it is gone");
        for name in ["", "  ", "a\nb", &"x".repeat(61)] {
            views.save(view(name, "route=crm")).expect_err(name);
        }
        assert_eq!(views.read().expect("views").len(), 1);
    }
}
