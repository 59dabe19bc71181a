//! Objects in S3.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use towpath_files::regular::MAX_CONFIG;
use towpath_types::artifacts::Bound;

use crate::error::in_words;

/// Limits for reading a config, or the operators' decisions on targets.
pub(crate) const SETTINGS: Bound = Bound { bytes: MAX_CONFIG, time: Duration::from_secs(20) };

/// An object's bytes and version; `None` if there is none. An object past its bound is an error, whatever length the
/// server announces; so is a slow server.
pub(crate) async fn get(
    client: &Client,
    bucket: &str,
    key: impl Into<String>,
    bound: Bound,
) -> Result<Option<(Vec<u8>, Option<String>)>, String> {
    let key = key.into();
    let got = async {
        let object = match client.get_object().bucket(bucket).key(&key).send().await {
            Ok(object) => object,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(in_words(&error)),
        };
        let version = object.e_tag.clone();
        Ok(Some((read(object, bound).await?, version)))
    };
    let got = tokio::time::timeout(bound.time, got).await;
    got.unwrap_or_else(|_| Err(format!("it took longer than {:?}", bound.time)))
        .map_err(|problem| format!("{key}: {problem}"))
}

/// An object's bytes. Each part of it must come within the bound's time.
pub(crate) async fn read(object: GetObjectOutput, bound: Bound) -> Result<Vec<u8>, String> {
    let too_large = || format!("larger than {} bytes (the limit)", bound.bytes);
    let said = object.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
    if said > bound.bytes {
        return Err(too_large());
    }
    let mut body = object.body;
    let mut bytes = Vec::with_capacity(usize::try_from(said).unwrap_or_default());
    loop {
        let next = tokio::time::timeout(bound.time, body.try_next()).await;
        let next = next.map_err(|_| format!("nothing came for {:?}", bound.time))?;
        let Some(chunk) = next.map_err(|error| error.to_string())? else { return Ok(bytes) };
        if (bytes.len() + chunk.len()) as u64 > bound.bytes {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
}
