//! Headers that grant access or prove the sender, by their names.

/// Parts of the names of headers that grant access.
const KEYS: [&str; 15] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "api-key",
    "apikey",
    "access-key",
    "auth-key",
    "functions-key",
    "hook-key",
    "private-key",
    "subscription-key",
];

/// Whole words in such names. As parts of other words they mean nothing (`x-author`).
const WORDS: [&str; 4] = ["auth", "jwt", "pass", "session"];

/// Parts of the names of headers that prove the sender. They grant no access and are shown; in a case they are useless.
const PROOFS: [&str; 2] = ["signature", "hmac"];

/// Whether the value of a header of this name (in lower case, with `-` for `_`) may grant access.
pub fn grants_access(name: &str) -> bool {
    KEYS.iter().any(|part| name.contains(part)) || name.split('-').any(|word| WORDS.contains(&word))
}

/// Whether the value of a header of this name (written likewise) proves the sender.
pub fn proves(name: &str) -> bool {
    PROOFS.iter().any(|part| name.contains(part))
}
