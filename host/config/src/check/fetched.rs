//! Public keys from elsewhere, and calls that confirm a handshake.

use towpath_types::json::Pointer;
use url::Url;

use super::super::{Form, shape};
use super::Checker;
use crate::answer::Call;
use crate::fetched::{Fetched, Place};
use crate::hosts::{HostPattern, Hosts};
use crate::network;
use crate::value::{Part, Template};
use crate::verify::{Algorithm, Keys, NamedSecret};

impl Checker<'_> {
    /// Where public keys are fetched; the outer `None` if the config gives none of the keys for that.
    pub(super) fn fetched(
        &mut self,
        at: &str,
        shape: shape::Fetched,
        algorithm: Algorithm,
        has_own: bool,
    ) -> Option<Option<Keys>> {
        let given = [
            ("jwks", shape.jwks.is_some()),
            ("certificate", shape.certificate.is_some()),
            ("fetch", shape.fetch.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key);
        let Some(key) = given.next() else {
            if shape.key_id.is_some() {
                let hint = "key_id picks one of several fetched keys: jwks = { url = \"https://…\" }";
                self.wrong(format!("{at}.key_id"), "needs jwks", hint);
            }
            return None;
        };
        if has_own || given.next().is_some() {
            let hint = "leave out all but one of secret, public_key, jwks, certificate and fetch";
            self.wrong(format!("{at}.{key}"), "cannot stand beside other keys", hint);
        }
        if !algorithm.is_public() {
            let hint = "secret = \"NAME\" names the secret: the algorithm uses no public key";
            self.wrong(format!("{at}.{key}"), "cannot be used with this algorithm", hint);
        }
        if shape.key_id.is_some() && key != "jwks" {
            self.wrong(format!("{at}.key_id"), "needs jwks", "put the id into the URL: {header:x-key-id}, for example");
        }
        let key_id = shape.key_id.map(|text| self.value(&format!("{at}.key_id"), &text, &[]));
        let place = match (shape.jwks, shape.certificate, shape.fetch) {
            (Some(jwks), ..) => self.jwks(&format!("{at}.jwks"), jwks),
            (_, Some(certificate), _) => self.certificate(&format!("{at}.certificate"), certificate),
            (.., Some(fetch)) => self.fetch(&format!("{at}.fetch"), fetch),
            (None, None, None) => None,
        };
        let key_id = match key_id {
            Some(None) => return Some(None),
            Some(key_id) => key_id,
            None => None,
        };
        Some(place.map(|fetched| Keys::Fetched(Box::new(Fetched { key_id, ..fetched }))))
    }

    fn jwks(&mut self, at: &str, shape: shape::Jwks) -> Option<Fetched> {
        let hosts = self.hosts(at, shape.hosts, Some(&shape.url), shape.allow_private);
        let url = self.listed_url(at, &shape.url, hosts.as_ref()?)?;
        Some(Fetched { from: Place::Jwks(url), hosts: hosts?, bearer: None, key_id: None })
    }

    fn certificate(&mut self, at: &str, shape: shape::Certificate) -> Option<Fetched> {
        let from = self.value(&format!("{at}.from"), &shape.from, &[]);
        let hosts = self.hosts(at, Some(shape.hosts), None, shape.allow_private);
        Some(Fetched { from: Place::Certificate(from?), hosts: hosts?, bearer: None, key_id: None })
    }

    fn fetch(&mut self, at: &str, shape: shape::Fetch) -> Option<Fetched> {
        let url = self.template(&format!("{at}.url"), &shape.url, &[]);
        let pointer = shape.pointer.map(|pointer| {
            let hint = "pointer = \"/data/publicKey\", for example";
            pointer
                .parse::<Pointer>()
                .map_err(|error| self.wrong(format!("{at}.pointer"), error.to_string(), hint))
                .ok()
        });
        let bearer = shape.bearer.map(|name| {
            let value = self.secret(format!("{at}.bearer"), &name, Form::Header)?;
            Some(NamedSecret { name, value })
        });
        let url = url?;
        let base = beginning(&url);
        let hosts = self.hosts(at, shape.hosts, Some(&base), shape.allow_private);
        self.listed_url(at, &base, hosts.as_ref()?)?;
        let pointer = match pointer {
            Some(pointer) => Some(pointer?),
            None => None,
        };
        let bearer = match bearer {
            Some(bearer) => Some(bearer?),
            None => None,
        };
        Some(Fetched { from: Place::Key { url, pointer }, hosts: hosts?, bearer, key_id: None })
    }

    /// `call` of an answer.
    pub(super) fn call(&mut self, at: &str, shape: shape::Call, is_verified: bool) -> Option<Call> {
        if !is_verified {
            let hint = "verified = true: otherwise anybody could make Towpath send requests";
            self.wrong(at, "needs verified = true", hint);
        }
        let url = self.template(&format!("{at}.url"), &shape.url, &[]);
        let name = shape.method.unwrap_or_else(|| "GET".to_owned());
        let method = self.method(&format!("{at}.method"), &name);
        let hosts = self.hosts(at, Some(shape.hosts), None, shape.allow_private);
        Some(Call { url: url?, method: method?, hosts: hosts? })
    }

    /// A list of hosts; without one, that of the URL.
    fn hosts(&mut self, at: &str, hosts: Option<Vec<String>>, url: Option<&str>, allow_private: bool) -> Option<Hosts> {
        let Some(texts) = hosts else {
            let own = url.and_then(|url| url.parse().ok()).and_then(|url: Url| HostPattern::of(&url));
            if own.is_none() {
                let problem = format!("{:?} does not begin with https:// and a host", url.unwrap_or_default());
                self.wrong(format!("{at}.url"), problem, "url = \"https://keys.example.com/jwks.json\", for example");
            }
            return Some(Hosts::new(vec![own?], allow_private));
        };
        if texts.is_empty() {
            let hint = "name the hosts that may be asked: hosts = [\"keys.example.com\"]; * stands for one label";
            self.wrong(format!("{at}.hosts"), "an empty list", hint);
            return None;
        }
        let mut patterns = Vec::new();
        let mut is_whole = true;
        for (number, text) in texts.iter().enumerate() {
            let at = format!("{at}.hosts[{number}]");
            match text.parse::<HostPattern>() {
                Ok(pattern) if !allow_private && pattern.is_private() => {
                    let hint = "if that is intended, set allow_private = true beside it";
                    self.wrong(at, format!("{text:?} is a private or local address"), hint);
                    is_whole = false;
                }
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    self.wrong(at, error.to_string(), "");
                    is_whole = false;
                }
            }
        }
        is_whole.then(|| Hosts::new(patterns, allow_private))
    }

    /// A URL that may be asked.
    fn listed_url(&mut self, at: &str, text: &str, hosts: &Hosts) -> Option<Url> {
        let at = format!("{at}.url");
        let url = self.url(&at, text)?;
        if hosts.allow(&url) {
            return Some(url);
        }
        let (problem, hint) = if !hosts.allow_private && network::is_private_host(&url) {
            ("is a private or local address", "if that is intended, set allow_private = true beside it")
        } else if url.scheme() != "https" {
            ("is not https: keys that anybody on the way can change prove nothing", "write https://")
        } else {
            ("is at none of the hosts", "add its host to hosts; a port other than 443 is part of it")
        };
        self.wrong(at, format!("{text:?} {problem}"), hint);
        None
    }
}

/// The text of a template before its first value. The host must be in it.
fn beginning(template: &Template) -> String {
    match template.parts().first() {
        Some(Part::Literal(text)) => text.clone(),
        _ => String::new(),
    }
}
