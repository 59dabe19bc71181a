//! Documents with public keys, and URLs that webhooks name: whatever is in them, no other host is asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_config::hosts::Hosts;
use towpath_verify::documents::read;
use towpath_verify::fetched::Document;

fuzz_target!(|input: (Vec<u8>, String)| {
    let (bytes, pointer) = input;
    for document in [Document::Jwks, Document::Certificate, Document::Key(None), Document::Key(Some(pointer.clone()))] {
        if let Ok(keys) = read(&document, &bytes) {
            assert!(!keys.is_empty() && keys.len() <= 256);
        }
    }
    let hosts = Hosts::new(vec!["sns.*.amazonaws.com".parse().expect("host")], false);
    if let Some(url) = hosts.url(&pointer) {
        let host = url.host_str().expect("a host");
        assert!(host.starts_with("sns.") && host.ends_with(".amazonaws.com") && host.split('.').count() == 4);
        assert!(url.scheme() == "https" && url.port().is_none() && url.username().is_empty());
    }
});
