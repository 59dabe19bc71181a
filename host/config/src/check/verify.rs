//! `verify` of a route.

use std::time::Duration;

use super::super::{Form, Secret, shape};
use super::Checker;
use crate::signature::Signed;
use crate::verify::{Hmac, Scheme, Stamp, StandardWebhooks, TOLERANCE, Token, Verification, Written};

/// The longest tolerance: whoever can replay a webhook an hour later can do without a signature.
const LONGEST: Duration = Duration::from_secs(3600);

/// Timestamps are in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);

impl Checker<'_> {
    pub(super) fn verify(&mut self, at: &str, verify: shape::Verify) -> Option<Verification> {
        let (scheme, names, place) = match verify {
            shape::Verify::Github { secret, at } => (Some(Scheme::github()), secret, at),
            shape::Verify::Shopify { secret, at } => (Some(Scheme::shopify()), secret, at),
            shape::Verify::Stripe { secret, header, tolerance, at: place } => {
                let header = header.and_then(|header| self.header_name(&format!("{at}.header"), &header));
                (Some(Scheme::stripe(header, self.tolerance(at, tolerance))), secret, place)
            }
            shape::Verify::Slack { secret, tolerance, at: place } => {
                (Some(Scheme::slack(self.tolerance(at, tolerance))), secret, place)
            }
            shape::Verify::Hubspot { secret, url, tolerance, at: place } => {
                if !url.starts_with("https://") || url.parse::<url::Url>().is_err() {
                    let hint =
                        "HubSpot signs the URL that it was given: url = \"https://hooks.example.com/hooks/hubspot\"";
                    self.wrong(format!("{at}.url"), format!("{url:?} is not an https URL"), hint);
                }
                (Some(Scheme::hubspot(&url, self.tolerance(at, tolerance))), secret, place)
            }
            shape::Verify::StandardWebhooks { secret, tolerance, at: place } => {
                let tolerance = self.tolerance(at, tolerance);
                (Some(Scheme::StandardWebhooks(StandardWebhooks { tolerance })), secret, place)
            }
            shape::Verify::Hmac {
                header,
                prefix,
                algorithm,
                encoding,
                signed,
                timestamp,
                timestamp_unit,
                tolerance,
                secret,
                at: place,
            } => {
                if tolerance.is_some() && timestamp.is_none() {
                    let hint = "timestamp = \"x-timestamp\" names the header with the time of the signature";
                    self.wrong(format!("{at}.tolerance"), "needs a timestamp", hint);
                }
                let tolerance = self.tolerance(at, tolerance);
                let header = self.header_name(&format!("{at}.header"), &header);
                let stamp = timestamp.and_then(|name| self.header_name(&format!("{at}.timestamp"), &name));
                if stamp.is_some() && stamp == header {
                    let hint = "signature and time need separate headers; for Stripe's format use scheme = \"stripe\"";
                    self.wrong(format!("{at}.timestamp"), "is the header of the signature", hint);
                }
                if prefix.contains([',', ' ']) {
                    let hint = "signatures are separated by commas or spaces: the prefix is what each one begins with";
                    self.wrong(format!("{at}.prefix"), format!("{prefix:?} cannot be the prefix of a signature"), hint);
                }
                let stamp = stamp.map(|header| Stamp { header, unit: timestamp_unit });
                let signed = self.signed(at, signed, stamp.is_some());
                let scheme = header.zip(signed).map(|(header, signed)| {
                    let written = Written::Plain { prefix, stamp };
                    Scheme::Hmac(Hmac { header, written, algorithm, encoding, signed, tolerance })
                });
                (scheme, secret, place)
            }
            shape::Verify::Basic { user, secret, at: place } => {
                if user.is_empty() {
                    self.wrong(format!("{at}.user"), "empty", "the name that the sender shows");
                }
                self.user(at, &user);
                (Some(Scheme::Token(Token::Basic { user })), secret, place)
            }
            shape::Verify::Bearer { secret, at } => (Some(Scheme::Token(Token::Bearer)), secret, at),
            shape::Verify::Header { name, secret, at: place } => {
                let name = self.header_name(&format!("{at}.name"), &name);
                (name.map(|name| Scheme::Token(Token::Header(name))), secret, place)
            }
        };
        let form = match &scheme {
            Some(Scheme::StandardWebhooks(_)) => Form::VerifyingKey,
            Some(Scheme::Token(Token::Basic { .. })) => Form::Password,
            Some(Scheme::Token(Token::Bearer | Token::Header(_))) => Form::Header,
            Some(Scheme::Hmac(_)) | None => Form::Key,
        };
        let names = names.indexed();
        let secrets = self.secrets(&format!("{at}.secret"), &names, form);
        let names = names.into_iter().map(|(_, name)| name).collect();
        Some(Verification { scheme: scheme?, secrets, names, at_ingest: place == shape::At::Ingest })
    }

    /// The secrets of these names, each with its index in the list; at least one is required.
    pub(super) fn secrets(&mut self, at: &str, names: &[(String, String)], form: Form) -> Vec<Secret> {
        if names.is_empty() {
            self.wrong(at, "an empty list", "name at least one secret; during rotation, the new one first");
        }
        for (position, (index, name)) in names.iter().enumerate() {
            if names.iter().take(position).any(|(_, before)| before == name) {
                self.wrong(format!("{at}{index}"), format!("{name:?} is listed twice"), "name each secret once");
            }
        }
        names.iter().filter_map(|(index, name)| self.secret(format!("{at}{index}"), name, form)).collect()
    }

    /// The user of `basic`. RFC 7617, section 2.
    pub(super) fn user(&mut self, at: &str, user: &str) {
        if user.contains(':') || user.contains(char::is_control) {
            let hint = "a name without colons and control characters: a colon separates it from the password";
            self.wrong(format!("{at}.user"), format!("{user:?} is not a valid user name"), hint);
        }
    }

    /// A header's name in lower case.
    pub(super) fn header_name(&mut self, at: &str, name: &str) -> Option<String> {
        match http::HeaderName::try_from(name) {
            Ok(name) => Some(name.as_str().to_owned()),
            Err(_) => {
                self.wrong(at, format!("{name:?} is not a header name"), "");
                None
            }
        }
    }

    fn tolerance(&mut self, at: &str, tolerance: Option<shape::Span>) -> Duration {
        let tolerance = tolerance.map_or(TOLERANCE, |span| span.0);
        if !(SHORTEST..=LONGEST).contains(&tolerance) {
            self.wrong(format!("{at}.tolerance"), "must be between 1s and 1h", "5m is the default");
        }
        tolerance
    }

    fn signed(&mut self, at: &str, signed: Option<String>, has_timestamp: bool) -> Option<Signed> {
        let template = match &signed {
            Some(template) => template.as_str(),
            None if has_timestamp => "{timestamp}.{body}",
            None => "{body}",
        };
        match template.parse::<Signed>() {
            Ok(signed) if signed.has_timestamp() == has_timestamp => return Some(signed),
            Ok(_) if has_timestamp => {
                let hint = "a timestamp that is not signed can be forged: signed = \"{timestamp}.{body}\", for example";
                self.wrong(format!("{at}.signed"), format!("{template:?} leaves out {{timestamp}}"), hint);
            }
            Ok(_) => {
                let hint = "timestamp = \"x-timestamp\" names the header that contains it";
                self.wrong(format!("{at}.timestamp"), "missing, although it is signed", hint);
            }
            Err(problem) => self.wrong(format!("{at}.signed"), problem, "signed = \"{timestamp}.{body}\", for example"),
        }
        None
    }
}
