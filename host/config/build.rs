//! Compiles the provider files in: `(name, text)` of each one, sorted by name.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Below the crate's folder, in which cargo runs this program. No full path: a build cache may serve several checkouts.
const FOLDER: &str = "providers";

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder in no other way")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let listed = fs::read_dir(FOLDER)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = listed.collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut list = String::from("[\n");
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&file)?;
        writeln!(list, "    ({name:?}, {text:?}),")?;
    }
    list.push_str("]\n");
    let folder = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    fs::write(Path::new(&folder).join("providers.rs"), list)?;
    Ok(())
}
