//! Objects in S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;

use crate::error::in_words;

/// An object's bytes and its version; `None` if it is not there. The error says why it is not to be had.
pub(crate) async fn get(
    client: &Client,
    bucket: &str,
    key: impl Into<String>,
) -> Result<Option<(Vec<u8>, Option<String>)>, String> {
    let object = match client.get_object().bucket(bucket).key(key).send().await {
        Ok(object) => object,
        Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
        Err(error) => return Err(in_words(&error)),
    };
    let version = object.e_tag;
    let bytes = object.body.collect().await.map_err(|error| error.to_string())?;
    Ok(Some((bytes.to_vec(), version)))
}
