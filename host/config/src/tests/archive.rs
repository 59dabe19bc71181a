use super::*;

const SQS: &str = "[queue]\nurl = \"https://sqs.eu-west-1.amazonaws.com/1/e.fifo\"\n\
    dead_letter_url = \"https://sqs.eu-west-1.amazonaws.com/1/d.fifo\"\n";

#[test]
fn a_local_store_has_an_archive_and_sqs_only_where_a_folder_is_named() {
    let folder = |text: &str| parse(text).expect("config").archive.folder;
    let path = |path: &str| Some(Path::new("conf").join(path));
    assert_eq!(folder("[archive]"), path(".towpath/archive"));
    assert_eq!(folder("[queue]\nstore = \"s\"\n[archive]\nkeep = \"30d\""), path("s/archive"));
    assert_eq!(folder("[archive]\nfolder = \"/a\""), Some("/a".into()));
    assert_eq!(folder("[archive]\nkeep = \"0s\"\nfolder = \"a\""), None);
    assert_eq!(folder(SQS), None);
    assert_eq!(folder(&format!("{SQS}[archive]\nfolder = \"a\"\nkeep = \"1d\"")), path("a"));
}

#[test]
fn its_bounds_are_read_and_have_defaults() {
    let archive = parse("[archive]").expect("config").archive;
    assert_eq!((archive.keep, archive.max_size), (Duration::from_secs(7 * 24 * 3600), 10 << 30));
    let text = "[archive]\nkeep = \"1m\"\nmax_size = \"1MiB\"\nredact = [\"/customer/email\", \"/a~1b\"]";
    let archive = parse(text).expect("config").archive;
    assert_eq!((archive.keep, archive.max_size), (Duration::from_secs(60), 1 << 20));
    let redact: Vec<_> = archive.redact.iter().map(ToString::to_string).collect();
    assert_eq!(redact, ["/customer/email", "/a~1b"]);
}

#[test]
fn its_mistakes_are_shown_with_their_keys() {
    let text = "[archive]\nkeep = \"59s\"\nmax_size = \"1MB\"\nredact = [\"email\", \"/a\", \"\"]\nfolders = \"a\"";
    let mut found = mistakes(text);
    found.sort();
    let expected = [
        "archive.folders: unknown field `folders`",
        "archive.keep: must be at least 1m, or 0s",
        "archive.max_size: must be at least 1MiB",
        "archive.redact[0]: \"email\" is not a JSON pointer: it must begin with /",
        "archive.redact[2]: names the whole body",
    ];
    assert_eq!(found, expected);
    let alone = format!("{SQS}[archive]\nkeep = \"1d\"\nmax_size = \"1GiB\"");
    let expected = ["keep", "max_size"].map(|key| format!("archive.{key}: with SQS it needs archive.folder"));
    assert_eq!(mistakes(&alone), expected);
    assert_eq!(mistakes("[archive]\nkeep = 7"), ["archive.keep: invalid type: integer `7`"]);
}
