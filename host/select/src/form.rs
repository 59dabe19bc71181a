//! Forms: `application/x-www-form-urlencoded` and `multipart/form-data`.

use std::borrow::Cow;

use futures_util::FutureExt as _;
use percent_encoding::percent_decode;
use towpath_types::envelope::Webhook;

/// A name and a value, decoded. They need not be UTF-8: a signature covers the bytes.
pub(crate) type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The most fields of a form. Senders of webhooks have a few dozen. A form with more is none: if the rest were left out, a
/// signature would not cover it.
const MAX_FIELDS: usize = 10_000;

const URLENCODED: &str = "application/x-www-form-urlencoded";

/// The fields of a body whose `content-type` is that of a form; `None` if it is no form, or a broken one.
pub(crate) fn fields(webhook: &Webhook) -> Option<Vec<Field<'_>>> {
    let (media, content_type) = media(webhook)?;
    if media.eq_ignore_ascii_case(URLENCODED) {
        let fields: Vec<Field<'_>> = urlencoded(&webhook.body).take(MAX_FIELDS + 1).collect();
        return (fields.len() <= MAX_FIELDS).then_some(fields);
    }
    if media.eq_ignore_ascii_case("multipart/form-data") {
        return multipart(&webhook.body, content_type);
    }
    None
}

pub(crate) fn is_urlencoded(webhook: &Webhook) -> bool {
    media(webhook).is_some_and(|(media, _)| media.eq_ignore_ascii_case(URLENCODED))
}

/// The media type of the body, without and with its parameters.
fn media(webhook: &Webhook) -> Option<(&str, &str)> {
    let content_type = std::str::from_utf8(webhook.header("content-type")?).ok()?;
    Some((content_type.split(';').next().unwrap_or_default().trim(), content_type))
}

/// All fields, sorted by their bytes, without repetitions: name and value of each, with nothing between.
pub(crate) fn sorted(mut fields: Vec<Field<'_>>) -> Vec<u8> {
    fields.sort();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [&**name, &**value]).collect::<Vec<_>>().concat()
}

/// The first value of this name in a query.
pub(crate) fn first<'a>(query: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    urlencoded(query).find(|(own, _)| **own == *name).map(|(_, value)| value)
}

/// The decoded name of a pair.
pub(crate) fn name(pair: &[u8]) -> Cow<'_, [u8]> {
    decoded(pair.split(|byte| *byte == b'=').next().unwrap_or_default())
}

pub(crate) fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(text).into()
}

fn urlencoded(form: &[u8]) -> impl Iterator<Item = Field<'_>> {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let mut half = || decoded(halves.next().unwrap_or_default());
        (half(), half())
    })
}

/// A plus is a space.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'+') {
        let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        Cow::Owned(percent_decode(&spaced).collect())
    } else {
        percent_decoded(text)
    }
}

/// multer reads streams. The body is here already, so that nothing ever waits.
fn multipart<'a>(body: &'a [u8], content_type: &str) -> Option<Vec<Field<'a>>> {
    let boundary = multer::parse_boundary(content_type).ok()?;
    let whole = bytes::Bytes::copy_from_slice(body);
    let stream = futures_util::stream::once(async { Ok::<_, std::convert::Infallible>(whole) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let read = async {
        let mut fields = Vec::new();
        while let Some(part) = parts.next_field().await.ok()? {
            let name = part.name().unwrap_or_default().as_bytes().to_vec();
            let value = part.bytes().await.ok()?;
            fields.push((Cow::Owned(name), Cow::Owned(value.to_vec())));
            if fields.len() > MAX_FIELDS {
                return None;
            }
        }
        Some(fields)
    };
    read.now_or_never()?
}
