//! The location of an object in S3.

use std::fmt;

/// `s3://bucket/key`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3Url {
    pub bucket: String,
    pub key: String,
}

impl std::str::FromStr for S3Url {
    type Err = String;

    fn from_str(text: &str) -> Result<S3Url, String> {
        let parts = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        match parts {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() && !key.ends_with('/') => {
                Ok(S3Url { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err(format!("{text:?} is not an object such as \"s3://bucket/towpath/holds.json\"")),
        }
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}
