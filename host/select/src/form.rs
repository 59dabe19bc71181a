//! Forms: `application/x-www-form-urlencoded`, decoded as the URL standard says.

use std::borrow::Cow;

pub(crate) const MEDIA_TYPE: &[u8] = b"application/x-www-form-urlencoded";

/// The first value of this name.
pub(crate) fn first<'a>(form: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    let (_, value) = url::form_urlencoded::parse(form).find(|(own, _)| own == name)?;
    Some(match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}
