//! How signatures are written: read and written by one definition.

use towpath_config::verify::{Signature, Written};

/// Checking a signature of a public key is expensive, and nobody sends this many.
pub(crate) const MOST: usize = 16;

/// The names and texts of pairs.
pub(crate) type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// The signatures in a value, and its pairs, if it consists of pairs.
pub(crate) fn read<'a>(scheme: &Signature, value: &'a [u8]) -> (Vec<Vec<u8>>, Pairs<'a>) {
    let decode = |text: &[u8]| scheme.encoding.decode(text);
    match &scheme.written {
        Written::Plain { prefix, separators } => {
            let each = value.split(|byte| separators.contains(byte));
            let signatures = each.filter_map(|text| decode(text.strip_prefix(prefix.as_bytes())?));
            (signatures.take(MOST).collect(), Vec::new())
        }
        Written::Pairs { signatures, between } => {
            let pairs: Vec<_> = value.split(|byte| byte == between).filter_map(pair).collect();
            let found =
                pairs.iter().filter(|(name, _)| is_one_of(signatures, name)).filter_map(|(_, text)| decode(text));
            (found.take(MOST).collect(), pairs)
        }
    }
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii();
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (name, rest) = text.split_at(at);
    Some((name, rest.strip_prefix(b"=")?))
}

fn is_one_of(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|own| own.as_bytes() == name)
}

/// A value with this signature, and with the pairs that are no signatures.
pub(crate) fn write(scheme: &Signature, signature: &[u8], pairs: &Pairs<'_>) -> Vec<u8> {
    let text = scheme.encoding.encode(signature);
    match &scheme.written {
        Written::Plain { prefix, .. } => format!("{prefix}{text}").into_bytes(),
        Written::Pairs { signatures, between } => {
            let others = pairs.iter().filter(|(name, _)| !is_one_of(signatures, name));
            let name = signatures.first().map_or(&b""[..], |name| name.as_bytes());
            let all = others.copied().chain([(name, text.as_bytes())]);
            all.map(|(name, text)| [name, b"=", text].concat()).collect::<Vec<_>>().join(between)
        }
    }
}
