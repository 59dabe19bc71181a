//! How the bytes of a signature are written.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::Deserialize;

/// Takes padding and can do without it.
const URL_SAFE_INDIFFERENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal; both cases are read, lower case is written.
    #[default]
    Hex,
    /// Base64 with the standard alphabet and padding.
    Base64,
    /// Base64 with the alphabet for URLs; padding is read and not written.
    Base64Url,
    /// Base64 of the hexadecimal text.
    #[serde(rename = "base64-hex")]
    Base64Hex,
}

impl Encoding {
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Base64Url => URL_SAFE_INDIFFERENT.encode(bytes),
            Encoding::Base64Hex => STANDARD.encode(hex::encode(bytes)),
        }
    }

    /// `None` if the text is empty or not encoded like this.
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        let bytes = match self {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
            Encoding::Base64Url => URL_SAFE_INDIFFERENT.decode(text).ok(),
            Encoding::Base64Hex => STANDARD.decode(text).ok().and_then(|text| hex::decode(text).ok()),
        };
        bytes.filter(|bytes| !bytes.is_empty())
    }
}
