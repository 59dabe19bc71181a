//! Unpacks bodies that were compressed on their way, within a bound.

use std::borrow::Cow;
use std::io::{self, Read};

use towpath_types::envelope::Webhook;

/// The largest unpacked body, in bytes. What grows beyond is a bomb, or nothing that a plugin could map.
pub const MAX_UNPACKED: usize = 8 * 1024 * 1024;

/// The most encodings that are applied to a body one after the other.
const MOST: usize = 3;

/// The body unpacks to more than that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the body unpacks to more than {MAX_UNPACKED} bytes")]
pub struct TooLarge;

/// The webhook with its body as it was before it was compressed, and without the header that said so. A body of an unknown
/// encoding, or that is not what its header says (a proxy may have unpacked it), is left to the plugin.
pub fn unpacked(webhook: &Webhook) -> Result<Cow<'_, Webhook>, TooLarge> {
    let Some(encodings) = encodings(webhook) else { return Ok(Cow::Borrowed(webhook)) };
    let mut body = Cow::Borrowed(webhook.body.as_slice());
    // They were applied in this order: RFC 9110 section 8.4.
    for encoding in encodings.iter().rev() {
        let Ok(unpacked) = encoding.unpack(&body) else { return Ok(Cow::Borrowed(webhook)) };
        body = Cow::Owned(unpacked?);
    }
    let body = body.into_owned();
    let headers = webhook.headers.iter().filter(|(name, _)| name != HEADER && name != "content-length").cloned();
    Ok(Cow::Owned(Webhook { headers: headers.collect(), body, ..webhook.clone() }))
}

const HEADER: &str = "content-encoding";

#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The encodings of the body, if it has some and all of them are known.
fn encodings(webhook: &Webhook) -> Option<Vec<Encoding>> {
    let lines = webhook.headers.iter().filter(|(name, _)| name == HEADER).map(|(_, value)| value);
    let names = lines.flat_map(|line| line.split(|byte| *byte == b','));
    let names = names.map(|name| name.trim_ascii().to_ascii_lowercase()).filter(|name| name != b"identity");
    let known = names.map(|name| match name.as_slice() {
        b"gzip" | b"x-gzip" => Some(Encoding::Gzip),
        b"deflate" => Some(Encoding::Deflate),
        b"br" => Some(Encoding::Brotli),
        b"zstd" => Some(Encoding::Zstd),
        _ => None,
    });
    known.collect::<Option<Vec<_>>>().filter(|encodings| (1..=MOST).contains(&encodings.len()))
}

impl Encoding {
    /// The unpacked body, unless it is too large; an error if it is not packed like this.
    fn unpack(self, body: &[u8]) -> io::Result<Result<Vec<u8>, TooLarge>> {
        match self {
            Encoding::Gzip => read(flate2::read::MultiGzDecoder::new(body)),
            // RFC 9110 means zlib; some send the bare stream.
            Encoding::Deflate => {
                read(flate2::read::ZlibDecoder::new(body)).or_else(|_| read(flate2::read::DeflateDecoder::new(body)))
            }
            Encoding::Brotli => read(brotli_decompressor::Decompressor::new(body, 4096)),
            Encoding::Zstd => read(ruzstd::decoding::StreamingDecoder::new(body).map_err(io::Error::other)?),
        }
    }
}

fn read(packed: impl Read) -> io::Result<Result<Vec<u8>, TooLarge>> {
    let mut body = Vec::new();
    packed.take(MAX_UNPACKED as u64 + 1).read_to_end(&mut body)?;
    Ok(if body.len() > MAX_UNPACKED { Err(TooLarge) } else { Ok(body) })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn webhook(encoding: &str, body: Vec<u8>) -> Webhook {
        let headers =
            vec![("content-encoding".to_owned(), encoding.as_bytes().to_vec()), ("x".to_owned(), b"1".to_vec())];
        Webhook { headers, body, ..Webhook::default() }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    #[test]
    fn a_packed_body_is_read_as_it_was_before() {
        let text = br#"{"id":1}"#.to_vec();
        // One meta-block that is not compressed, RFC 7932; and what the zstd tool makes.
        let brotli = hex::decode("8b03807b226964223a317d03").expect("hex");
        let zstd = hex::decode("28b52ffd04584100007b226964223a317d23e8df91").expect("hex");
        let cases = [
            ("gzip", gzip(&text)),
            ("X-GZIP", gzip(&text)),
            ("deflate", zlib(&text)),
            ("deflate", deflate(&text)),
            ("br", brotli),
            ("identity, gzip , deflate", zlib(&gzip(&text))),
            ("zstd", zstd),
        ];
        for (encoding, body) in cases {
            let packed = webhook(encoding, body);
            let seen = unpacked(&packed).unwrap_or_else(|why| panic!("{encoding}: {why}"));
            assert_eq!(seen.body, text, "{encoding}");
            assert_eq!(seen.headers, [("x".to_owned(), b"1".to_vec())], "{encoding}");
        }
    }

    #[test]
    fn an_unknown_encoding_and_none_are_left_alone() {
        for encoding in ["aws-chunked", "gzip, exotic", "identity", "", "gzip,gzip,gzip,gzip"] {
            let plain = webhook(encoding, b"text".to_vec());
            assert_eq!(unpacked(&plain).as_deref(), Ok(&plain), "{encoding}");
        }
    }

    #[test]
    fn a_bomb_is_refused_and_a_body_that_is_not_packed_is_left_alone() {
        let bomb = gzip(&vec![0; MAX_UNPACKED + 1]);
        assert!(bomb.len() < 64 * 1024);
        assert_eq!(unpacked(&webhook("gzip", bomb.clone())).err(), Some(TooLarge));
        assert_eq!(unpacked(&webhook("gzip, gzip", gzip(&bomb))).err(), Some(TooLarge));
        let whole = gzip(&vec![0; MAX_UNPACKED]);
        assert_eq!(unpacked(&webhook("gzip", whole)).map(|seen| seen.body.len()), Ok(MAX_UNPACKED));
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let broken = webhook(encoding, b"{\"id\":1}".to_vec());
            assert_eq!(unpacked(&broken).as_deref(), Ok(&broken), "{encoding}");
        }
        let mut cut = gzip(b"{\"id\":1}");
        cut.truncate(cut.len() - 9);
        let cut = webhook("gzip", cut);
        assert_eq!(unpacked(&cut).as_deref(), Ok(&cut));
    }
}
