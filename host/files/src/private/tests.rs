//! Attacks on files that are their user's alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

type Opens = fn(&Path) -> io::Result<()>;

/// Everything that opens a file which may exist.
const OPENS: [(&str, Opens); 4] = [
    ("make", make),
    ("append", |path| append(path).map(drop)),
    ("update", |path| update(path).map(drop)),
    ("read", |path| read(path).map(drop)),
];

#[test]
fn files_and_folders_are_private_new_or_not() {
    let folder = TempDir::new().expect("folder");
    let made = folder.path().join("a/b");
    let file = folder.path().join("a/b/file");
    make_folder(&made).expect("made");
    assert_eq!([&folder.path().join("a"), &made].map(|folder| mode(folder).expect("there")), [FOLDER; 2]);
    for open in [make as Opens, |path| append(path).map(drop)] {
        open(&file).expect("made");
        assert_eq!(mode(&file).expect("there"), FILE);
        fs::remove_file(&file).expect("removed");
    }
    for (name, open) in OPENS {
        fs::write(&file, "").expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o664)).expect("loose");
        open(&file).expect("opened");
        assert_eq!(mode(&file).expect("there"), FILE, "{name}");
    }
}

#[test]
fn an_existing_folder_stays_as_it_is_until_it_is_tightened() {
    let folder = TempDir::new().expect("folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("loose");
    make_folder(folder.path()).expect("there");
    assert_eq!(mode(folder.path()).expect("there"), 0o755);
    tighten_folder(folder.path());
    assert_eq!(mode(folder.path()).expect("there"), FOLDER);
}

/// The umask is per process: the test runs itself again under another one.
#[test]
fn no_umask_gives_others_rights_or_takes_the_owners() {
    const NAME: &str = "private::tests::under_this_umask";
    for umask in ["000", "022", "077", "277", "777"] {
        let script = format!("umask {umask} && exec \"$0\" --exact {NAME} --include-ignored --nocapture");
        let own = std::env::current_exe().expect("this test");
        let output = Command::new("sh").args(["-c", &script]).arg(own).output().expect("run");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "umask {umask}: {said}");
    }
}

#[test]
fn under_this_umask() {
    let passing = passing_folder("umask-", None).expect("folder");
    assert_eq!(mode(passing.path()).expect("there"), FOLDER);
    assert_eq!(mode(passing_folder("x", Some(passing.path())).expect("folder").path()).expect("there"), FOLDER);
    let deep = passing.path().join("a/b/c");
    let file = passing.path().join("a/b/c/file");
    make_folder(&deep).expect("made");
    drop(append(&file).expect("made"));
    write(&deep.join("new"), b"x").expect("made");
    copy(&deep.join("new"), &deep.join("copy")).expect("copied");
    for folder in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode(&passing.path().join(folder)).expect("there"), FOLDER, "{folder}");
    }
    for file in ["file", "new", "copy"] {
        assert_eq!(mode(&deep.join(file)).expect("there"), FILE, "{file}");
    }
}

#[test]
fn a_planted_link_is_an_error_and_its_destination_is_not_touched() {
    let folder = TempDir::new().expect("folder");
    let others = folder.path().join("others");
    let link = folder.path().join("link");
    fs::write(&others, "theirs").expect("written");
    fs::set_permissions(&others, Permissions::from_mode(0o644)).expect("loose");
    symlink(&others, &link).expect("planted");
    for (name, open) in OPENS {
        let error = open(&link).expect_err(name).to_string();
        assert!(error.contains("link is a symbolic link") && error.contains("remove it"), "{name}: {error}");
    }
    tighten(&link);
    assert!(create(&link).is_err() && copy(&others, &link).is_err() && copy(&link, &folder.path().join("c")).is_err());
    assert_eq!(
        (fs::read_to_string(&others).expect("there").as_str(), mode(&others).expect("there")),
        ("theirs", 0o644)
    );
    // A dangling link creates no file at its destination.
    let nowhere = folder.path().join("nowhere");
    let dangling = folder.path().join("dangling");
    symlink(&nowhere, &dangling).expect("planted");
    for (name, open) in OPENS {
        assert!(open(&dangling).expect_err(name).to_string().contains("dangling is a symbolic link"), "{name}");
    }
    assert!(create(&dangling).is_err() && make_folder(&dangling).is_err());
    assert!(!nowhere.exists());
}

#[test]
fn a_link_in_the_place_of_a_folder_is_an_error_and_one_above_it_is_followed() {
    let folder = TempDir::new().expect("folder");
    let real = folder.path().join("real");
    let link = folder.path().join("link");
    fs::create_dir(&real).expect("made");
    symlink(&real, &link).expect("planted");
    for path in [link.clone(), link.join("."), folder.path().join("link/")] {
        let error = make_folder(&path).expect_err("a link").to_string();
        assert!(error.contains("is a symbolic link"), "{}: {error}", path.display());
    }
    make_folder(&link.join("below")).expect("a disk that is mounted elsewhere");
    assert_eq!(mode(&real.join("below")).expect("there"), FOLDER);
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_an_error_and_does_not_block() {
    let folder = TempDir::new().expect("folder");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("run").success());
    for (name, open) in OPENS {
        let error = open(&pipe).expect_err(name).to_string();
        assert!(error.contains("pipe is a pipe, not a regular file"), "{name}: {error}");
    }
    assert!(make_folder(&pipe).is_err());
}
