//! A registry in a bucket.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use towpath_config::S3Url;
use towpath_types::artifacts::{Artifacts, ArtifactsError, Bound, LIST_TIME, MAX_NAMES, Tag};

use crate::error::in_words;
use crate::object;

/// Objects under a prefix of a bucket.
pub struct S3Artifacts {
    client: Client,
    url: S3Url,
}

impl S3Artifacts {
    /// The registry at this URL, whose key is the prefix.
    pub fn new(client: Client, url: S3Url) -> S3Artifacts {
        S3Artifacts { client, url }
    }

    fn key(&self, key: &str) -> String {
        format!("{}/{key}", self.url.key)
    }

    async fn names(&self, folder: &str) -> Result<Vec<String>, ArtifactsError> {
        // With an empty `folder`, what is directly in the registry.
        let prefix = format!("{}/", self.key(folder).trim_end_matches('/'));
        let list = self.client.list_objects_v2().bucket(&self.url.bucket).prefix(&prefix).delimiter("/");
        let mut pages = list.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed(&error))?;
            let folders = page.common_prefixes().iter().filter_map(|folder| folder.prefix());
            let objects = page.contents().iter().filter_map(|object| object.key());
            let below = folders.chain(objects).filter_map(|key| key.strip_prefix(&prefix));
            names.extend(below.map(|name| name.trim_end_matches('/').to_owned()));
            if names.len() > MAX_NAMES {
                let problem = format!("{folder} has more than {MAX_NAMES} names: remove what is no longer used");
                return Err(self.error(problem));
            }
        }
        Ok(names)
    }

    fn failed<E>(&self, error: &SdkError<E>) -> ArtifactsError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.error(in_words(error))
    }

    fn error(&self, problem: String) -> ArtifactsError {
        ArtifactsError { place: self.url.to_string(), problem }
    }
}

#[async_trait]
impl Artifacts for S3Artifacts {
    fn place(&self) -> String {
        self.url.to_string()
    }

    async fn get(&self, key: &str, bound: Bound) -> Result<Option<(Vec<u8>, Tag)>, ArtifactsError> {
        let found = object::get(&self.client, &self.url.bucket, self.key(key), bound).await;
        let found = found.map_err(|problem| self.error(problem))?;
        let Some((bytes, tag)) = found else { return Ok(None) };
        let tag = tag.ok_or_else(|| self.error("an object has no ETag".to_owned()))?;
        Ok(Some((bytes, Tag(tag))))
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, state: Option<&Tag>, bound: Bound) -> Result<bool, ArtifactsError> {
        if bytes.len() as u64 > bound.bytes {
            let problem = format!("{key} is larger than {} bytes (the limit)", bound.bytes);
            return Err(self.error(problem));
        }
        let put = self.client.put_object().bucket(&self.url.bucket).key(self.key(key)).body(ByteStream::from(bytes));
        let put = match state {
            Some(Tag(tag)) => put.if_match(tag),
            None => put.if_none_match("*"),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.code() {
                // `NoSuchKey`: the object was deleted concurrently.
                Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey") => Ok(false),
                _ => Err(self.failed(&error)),
            },
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, ArtifactsError> {
        let listed = tokio::time::timeout(LIST_TIME, self.names(folder)).await;
        listed.unwrap_or_else(|_| Err(self.error(format!("listing {folder} took longer than {LIST_TIME:?}"))))
    }
}
