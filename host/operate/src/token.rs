//! Random keys and tokens, and the files that keep them.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use towpath_files::private;

/// The shortest token that a file may have: 128 bits in hexadecimal digits.
const SHORTEST: usize = 32;

/// A random token, or key, of 244 bits.
pub fn made() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

/// The token in a file that only its owner can read; makes one if the file does not exist or is empty, as a crash leaves it.
pub fn kept(file: &Path) -> anyhow::Result<String> {
    let keep = || match private::read(file)? {
        Some(text) if !text.trim().is_empty() => Ok(text),
        Some(_) => {
            let token = made();
            private::replace(file, token.as_bytes()).map(|()| token)
        }
        None => {
            private::make_folder(file.parent().unwrap_or(Path::new("")))?;
            let token = made();
            match private::write(file, token.as_bytes()) {
                // Another process was faster, and both must use the same.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    private::read(file).map(Option::unwrap_or_default)
                }
                written => written.map(|()| token),
            }
        }
    };
    let text = keep().with_context(|| format!("keeping a token in {}", file.display()))?;
    let token = text.trim();
    if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            "{} has no token of {SHORTEST} or more characters without spaces: delete it, and a new one is made",
            file.display()
        );
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_kept_for_its_owner_alone() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("store/console.token");
        let token = kept(&file).expect("made");
        assert_eq!((token.len(), kept(&file).expect("read")), (64, token));
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "").expect("as a crash leaves it");
        assert_eq!(kept(&file).expect("made again").len(), 64);
    }

    #[test]
    fn what_can_be_guessed_is_no_token() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("console.token");
        for text in ["secret", "a b c d e f g h i j k l m n o p q r s t", "ä".repeat(40).as_str()] {
            std::fs::write(&file, text).expect("written");
            let error = kept(&file).expect_err(text);
            assert!(error.to_string().contains("delete it"), "{error:#}");
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("console.token");
        std::fs::write(folder.path().join("other"), "x".repeat(64)).expect("written");
        std::os::unix::fs::symlink(folder.path().join("other"), &file).expect("a link");
        assert!(kept(&file).is_err());
    }
}
