//! SDK errors in words: the SDK's own text omits the cause, or shows whole responses.

use std::error::Error;
use std::iter::successors;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

/// The service's error as `CODE: message`; or why it could not be reached, with all causes.
pub(crate) fn in_words<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _) => code.to_owned(),
        (None, _) => {
            let first: &dyn Error = error;
            let causes = successors(Some(first), |cause: &&dyn Error| (*cause).source());
            causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
        }
    }
}
