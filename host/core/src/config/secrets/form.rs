//! Which values of a secret can do what it is for.

use crate::deliver::is_identity;
use crate::verify::{Key, symmetric_key};

/// What a secret is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// It stands in a header, as it is: of what the host sends, or of what is sent to it.
    Header,
    /// A password, or the secret of an OAuth2 client: encoded before it is sent.
    Password,
    /// The key of an HMAC, byte for byte.
    Key,
    /// `whsec_…`, which Standard Webhooks signs with.
    SigningKey,
    /// `whsec_…` or `whpk_…`, which Standard Webhooks verifies with.
    VerifyingKey,
    /// A certificate chain and its private key, as PEM.
    Identity,
}

impl Form {
    /// Why this value can never do, without showing it.
    pub(super) fn problem(self, value: &str) -> Option<&'static str> {
        if value.is_empty() {
            return Some("it is empty");
        }
        let control = value.chars().any(char::is_control).then_some("it has a control character, such as a line break");
        let spaced = (value.trim() != value).then_some("it begins or ends with a space, which is lost in a header");
        match self {
            Form::Header => control.or(spaced),
            Form::Password => control,
            Form::Key => None,
            Form::SigningKey => symmetric_key(value).is_none().then_some("it is not base64 behind whsec_"),
            Form::VerifyingKey => Key::read(value).err(),
            Form::Identity => {
                (!is_identity(value)).then_some("it holds no certificate chain with its private key, both as PEM")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_sent_or_used_is_a_problem_and_nothing_else_is() {
        let every = [Form::Header, Form::Password, Form::Key, Form::SigningKey, Form::VerifyingKey];
        let cases: [(&str, &[Form]); 12] = [
            ("", &every),
            ("dG9rZW4", &[]),
            ("to\nken", &[Form::Header, Form::Password, Form::SigningKey, Form::VerifyingKey]),
            ("to\u{7f}ken", &[Form::Header, Form::Password, Form::SigningKey, Form::VerifyingKey]),
            ("pass word", &[Form::SigningKey, Form::VerifyingKey]),
            ("päßword", &[Form::SigningKey, Form::VerifyingKey]),
            ("dG9rZW4 ", &[Form::Header]),
            ("whsec_dG9rZW4=", &[]),
            ("whsec_", &[Form::SigningKey, Form::VerifyingKey]),
            ("whsec_dG9r!", &[Form::SigningKey, Form::VerifyingKey]),
            ("whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", &[Form::SigningKey]),
            ("whpk_AAAA", &[Form::SigningKey, Form::VerifyingKey]),
        ];
        for (value, wrong) in cases {
            for form in every {
                assert_eq!(form.problem(value).is_some(), wrong.contains(&form), "{value:?} as {form:?}");
            }
        }
        assert!(Form::Identity.problem("-----BEGIN CERTIFICATE-----\n").is_some());
    }
}
