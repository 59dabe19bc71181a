//! Erases lines of files that other processes append to.
//!
//! A line is overwritten where it is: a process that has the file open appends behind it, and a rename would cut off its lines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use towpath_files::private;
use towpath_files::regular::{self, Links};

/// What takes the place of a line that is to be erased; `None` to keep it. Text that is longer than the line is left out.
pub(super) type Judge<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How many lines are to be erased.
pub(super) fn count(path: &Path, judge: Judge<'_>) -> io::Result<u64> {
    each(regular::open(OpenOptions::new().read(true), path, Links::Refuse), judge, |_, _, _, _| Ok(()))
}

/// Erases lines. Returns how many.
pub(super) fn erase(path: &Path, judge: Judge<'_>) -> io::Result<u64> {
    each(private::update(path), judge, overwrite)
}

fn each(
    opened: io::Result<File>,
    judge: Judge<'_>,
    with: impl Fn(&File, u64, usize, &str) -> io::Result<()>,
) -> io::Result<u64> {
    let file = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let mut reader = BufReader::new(&file);
    let mut line = Vec::new();
    let mut at = 0;
    let mut erased = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        // One without an end is still being written.
        if let Some(content) = line.strip_suffix(b"\n")
            && let Some(text) = judged(&String::from_utf8_lossy(content), judge)
        {
            with(&file, at, content.len(), &text)?;
            erased += 1;
        }
        at += line.len() as u64;
        line.clear();
    }
    if erased > 0 {
        file.sync_data()?;
    }
    Ok(erased)
}

/// Ends what takes the place of an erased line that has a text.
pub(super) const END: &str = "\"erased\":true}";

fn judged(line: &str, judge: Judge<'_>) -> Option<String> {
    // A crash left the rest of it.
    if line.starts_with(' ') && !line.trim().is_empty() {
        return Some(String::new());
    }
    if let Some((text, rest)) = line.split_once(END)
        && !rest.trim().is_empty()
        && serde_json::from_str::<serde_json::Value>(line).is_err()
    {
        return Some(format!("{text}{END}"));
    }
    judge(line)
}

fn overwrite(file: &File, at: u64, length: usize, text: &str) -> io::Result<()> {
    let text = if text.len() <= length { text } else { "" };
    let mut bytes = vec![b' '; length];
    bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    file.write_all_at(&bytes, at)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_line_is_overwritten_where_it_is_and_a_process_that_has_the_file_open_appends_behind_it() {
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("story.jsonl");
        let mut host = private::append(&path).expect("opened");
        host.write_all(b"{\"a\":1}\n{\"secret\":2}\n{\"b\":3}\n{\"secret\":").expect("written");
        let judge: Judge<'_> = &|line| line.contains("secret").then(String::new);
        assert_eq!(count(&path, judge).expect("read"), 1);
        assert_eq!(erase(&path, judge).expect("erased"), 1, "the last one is still being written");
        host.write_all(b"4}\n").expect("appended");
        let text = std::fs::read_to_string(&path).expect("read");
        assert_eq!(text, "{\"a\":1}\n            \n{\"b\":3}\n{\"secret\":4}\n");
        assert_eq!(erase(&path, judge).expect("erased"), 1);
        assert_eq!(erase(&path, judge).expect("erased"), 0, "once is enough");
        assert_eq!(count(&folder.path().join("none"), judge).expect("no error"), 0);
    }

    #[test]
    fn what_a_crash_left_of_a_line_is_erased() {
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("audit.jsonl");
        let whole = "{\"by\":\"a\",\"erased\":true}";
        let half = format!("{whole}   secret\"}}");
        std::fs::write(&path, format!("    secret\"}}\n{half}\n{whole}  \n")).expect("written");
        assert_eq!(erase(&path, &|_| None).expect("erased"), 2);
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(!text.contains("secret") && text.matches(whole).count() == 2, "{text}");
        assert_eq!(erase(&path, &|_| None).expect("erased"), 0);
    }

    #[test]
    fn a_text_that_does_not_fit_is_left_out() {
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "ab\ncdef\n").expect("written");
        assert_eq!(erase(&path, &|_| Some("xyz".to_owned())).expect("erased"), 2);
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "  \nxyz \n");
    }
}
