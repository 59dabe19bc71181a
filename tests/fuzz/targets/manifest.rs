//! Whoever writes to a plugin store writes these: manifests, releases, pointers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_plugin::Manifest;
use towpath_config::registry::{PublicKey, Reference};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::read(bytes) {
        // No one can write a manifest by chance that vouches for what it does not know.
        assert!(manifest.vouches_for(b"other code").is_err());
    }
    let _ = serde_json::from_slice::<towpath_registry::Release>(bytes);
    let _ = serde_json::from_slice::<towpath_registry::Pointer>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<PublicKey>();
        let _ = text.parse::<Reference>();
    }
});
