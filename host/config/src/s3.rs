//! Locations in S3: an object, or a folder of objects.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// `s3://bucket/prefix/`: what lies below this prefix of a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct S3Folder {
    pub bucket: String,
    /// Empty, or it ends with a slash.
    pub prefix: String,
}

impl std::str::FromStr for S3Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<S3Folder, String> {
        let rest = text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        let Some((bucket, prefix)) = rest.filter(|(bucket, _)| !bucket.is_empty()) else {
            return Err(format!("{text:?} is not a folder on S3 such as \"s3://bucket/events/\""));
        };
        let mut prefix = prefix.to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        Ok(S3Folder { bucket: bucket.to_owned(), prefix })
    }
}

impl TryFrom<String> for S3Folder {
    type Error = String;

    fn try_from(text: String) -> Result<S3Folder, String> {
        text.parse()
    }
}

impl From<S3Folder> for String {
    fn from(folder: S3Folder) -> String {
        folder.to_string()
    }
}

impl fmt::Display for S3Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_bucket_or_a_prefix_that_ends_with_a_slash() {
        for (text, prefix) in [("s3://b", ""), ("s3://b/", ""), ("s3://b/events", "events/"), ("s3://b/a/e/", "a/e/")] {
            let folder: S3Folder = text.parse().expect(text);
            assert_eq!((folder.bucket.as_str(), folder.prefix.as_str()), ("b", prefix), "{text}");
            assert_eq!(folder.to_string().parse(), Ok(folder), "{text}");
        }
        for text in ["", "b", "s3://", "s3:///events/", "https://b/events/"] {
            assert!(text.parse::<S3Folder>().is_err(), "{text}");
        }
    }
}
