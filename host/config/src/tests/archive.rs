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
    let alone = format!("{SQS}[archive]\nkeep = \"1d\"\nmax_size = \"1GiB\"\nredact = [\"/a\"]");
    let expected = ["keep: with SQS it needs archive.folder", "max_size: with SQS it needs archive.folder"];
    let expected = [expected[0], expected[1], "redact: with SQS it needs archive.folder or archive.stream"];
    assert_eq!(mistakes(&alone), expected.map(|mistake| format!("archive.{mistake}")));
    assert_eq!(mistakes("[archive]\nkeep = 7"), ["archive.keep: invalid type: integer `7`"]);
}

/// The warnings about a route with these keys, with this archive.
fn warnings(keys: &str, archive: &str) -> Vec<String> {
    let text = format!(
        "[archive]\n{archive}\n[[route]]\npath = 'a'\n{keys}\nallow_from = ['203.0.113.0/24']\nplugin = 'p'\n[plugin.p]\npath = 'p'\n"
    );
    let draft = Config::draft(&text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("TOML");
    assert!(draft.mistakes.is_empty(), "{:#?}", draft.mistakes);
    draft.warnings.iter().map(|warning| format!("{}: {}", warning.at, warning.problem)).collect()
}

#[test]
fn a_route_whose_archived_body_is_another_document_is_a_warning_if_values_are_redacted() {
    let says = |key: &str, document: &str| {
        vec![format!("route[0].{key}: archive.redact looks for its pointers in what is archived, here {document}")]
    };
    let element = "group = 'a/{item:/n}'\nsplit = '/events'";
    let rest = "group = 'a/{item:/n}'\nsplit = { at = '/events', rest = true }";
    let unwrapped = "group = 'a/{json:/n}'\nunwrap = 'json:/Message'";
    let redact = "redact = ['/mail']";
    assert_eq!(warnings(element, redact), says("split", "the element"));
    assert_eq!(warnings(rest, redact), says("split", "the body with one element"));
    assert_eq!(warnings(unwrapped, redact), says("unwrap", "the body as it was received, around this value"));
    for archive in ["", "redact = ['/mail']\nkeep = '0s'"] {
        assert_eq!(warnings(unwrapped, archive), [""; 0], "{archive}");
    }
}

#[test]
fn a_key_that_shows_what_is_redacted_is_only_a_warning() {
    let redact = "redact = ['/n', '/customer/email']";
    let says = |key: &str, pointer: &str| {
        format!(
            "route[0].{key}: shows {pointer}, which archive.redact removes from bodies: keys are archived as they are"
        )
    };
    let cases = [
        ("group = 'a/{json:/customer/email}'", vec![says("group", "/customer/email")]),
        ("group = 'a/{raw:/customer/email|lower}'", vec![says("group", "/customer/email")]),
        ("group = 'a/{json:/customer}'", vec![says("group", "/customer/email")]),
        ("group = 'a/{json:/n/0}'", vec![says("group", "/n")]),
        ("group = 'a/{body|json:/n}'\ndedup = 'json:/n'", vec![says("group", "/n"), says("dedup", "/n")]),
        ("group = 'a/{json:/customer/email|sha256|hex}'\ndedup = 'header:n'", vec![]),
        ("group = 'a/{json:/customer/id}'\ndedup = 'json:/nn'", vec![]),
    ];
    for (keys, expected) in cases {
        assert_eq!(warnings(keys, redact), expected, "{keys}");
    }
    assert_eq!(warnings("group = 'a/{json:/n}'", "redact = ['/n']\nkeep = '0s'"), [""; 0], "there is no archive");
    let stream = format!("redact = ['/n']\nstream = 's'\n{SQS}");
    assert_eq!(warnings("group = 'a/{json:/n}'", &stream), [says("group", "/n")], "on S3 they are as they are too");
}
