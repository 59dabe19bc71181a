//! `auth` of a target.

use http::{HeaderName, HeaderValue};
use toml::Value;
use url::Url;

use super::super::collect::read_scheme;
use super::super::{Form, shape};
use super::Checker;
use crate::headers::is_forbidden;
use crate::network;
use crate::signature::Encoding;
use crate::target::{Auth, ClientCredentials, Reach, SigV4, Signing};
use crate::value::{Digest, Source, Template};

impl Checker<'_> {
    /// The schemes of a target, and its `reach`, with a client certificate if one of them is mtls.
    pub(super) fn auths(&mut self, at: &str, auths: Option<Value>, mut reach: Reach) -> (Vec<Auth>, Reach) {
        let auths = match auths {
            None => Vec::new(),
            Some(Value::Array(auths)) => auths,
            Some(auth) => vec![auth],
        };
        let mut schemes = Vec::<Auth>::new();
        let several = auths.len() > 1;
        for (index, auth) in auths.into_iter().enumerate() {
            let at = if several { format!("{at}[{index}]") } else { at.to_owned() };
            let Some(auth) = read_scheme(auth, &at, &mut self.found) else { continue };
            if let shape::Auth::Mtls { secret } = auth {
                if reach.identity.is_some() {
                    self.wrong(&at, "mtls is given twice", "a connection presents only one certificate");
                }
                reach.identity = self.secret(format!("{at}.secret"), &secret, Form::Identity);
                continue;
            }
            let Some(scheme) = self.auth(&at, auth, &reach) else { continue };
            let taken = schemes.iter().flat_map(Auth::headers).find(|name| scheme.headers().contains(name));
            if let Some(name) = taken {
                let hint =
                    "schemes can be combined if they set different headers, such as bearer and standard-webhooks";
                self.wrong(at, format!("the header {:?} is already set by another scheme", name.as_str()), hint);
            }
            schemes.push(scheme);
        }
        (schemes, reach)
    }

    fn auth(&mut self, at: &str, auth: shape::Auth, target: &Reach) -> Option<Auth> {
        let secret_at = format!("{at}.secret");
        match auth {
            shape::Auth::Bearer { secret } => Some(Auth::Bearer(self.secret(secret_at, &secret, Form::Header)?)),
            shape::Auth::Basic { user, secret } => {
                self.user(at, &user);
                Some(Auth::Basic { user, secret: self.secret(secret_at, &secret, Form::Password)? })
            }
            shape::Auth::Header { name, secret } => {
                let secret = self.secret(secret_at, &secret, Form::Header);
                Some(Auth::Header(self.http_header(&format!("{at}.name"), &name)?, secret?))
            }
            shape::Auth::Hmac { header, prefix, algorithm, encoding, signed, secret } => {
                let secrets = self.secrets(&secret_at, &secret.indexed(), Form::Key);
                if HeaderValue::from_str(&prefix).is_err() {
                    self.wrong(format!("{at}.prefix"), format!("{prefix:?} is not allowed in a header"), "");
                }
                let header = self.http_header(&format!("{at}.header"), &header)?;
                let template = signed.unwrap_or_else(|| "{timestamp}.{body}".to_owned());
                let signed = outgoing(&template);
                let signed = signed.map_err(|problem| self.wrong(format!("{at}.signed"), problem, "")).ok()?;
                let separator = ",";
                let is_encoded = false;
                let signing = Signing { header, prefix, separator, algorithm, encoding, signed, secrets, is_encoded };
                Some(Auth::Signed(signing))
            }
            shape::Auth::StandardWebhooks { secret } => Some(Auth::Signed(Signing {
                header: HeaderName::from_static("webhook-signature"),
                prefix: "v1,".to_owned(),
                separator: " ",
                algorithm: Digest::Sha256,
                encoding: Encoding::Base64,
                signed: outgoing("{header:webhook-id}.{timestamp}.{body}").ok()?,
                secrets: self.secrets(&secret_at, &secret.indexed(), Form::SigningKey),
                is_encoded: true,
            })),
            shape::Auth::Oauth2 {
                token_url,
                client_id,
                secret,
                scope,
                audience,
                client_auth,
                ca,
                proxy,
                mtls,
                allow_private,
            } => {
                let secret = self.secret(secret_at, &secret, Form::Password);
                let reach = Reach {
                    allow_private: allow_private.unwrap_or(target.allow_private),
                    ca: ca.and_then(|ca| self.ca(&format!("{at}.ca"), ca)),
                    identity: mtls.and_then(|secret| self.secret(format!("{at}.mtls"), &secret, Form::Identity)),
                    proxy: proxy.and_then(|proxy| self.url(&format!("{at}.proxy"), &proxy)),
                    max_age: target.max_age,
                };
                if client_id.is_empty() || client_id.contains(char::is_control) {
                    self.wrong(format!("{at}.client_id"), format!("{client_id:?} is not a valid client id"), "");
                }
                let token_url = self.token_url(&format!("{at}.token_url"), &token_url, reach.allow_private)?;
                let secret = secret?;
                let credentials =
                    ClientCredentials { token_url, client_id, secret, scope, audience, client_auth, reach };
                Some(Auth::Oauth2(credentials))
            }
            shape::Auth::AwsSigv4 { service, region } => {
                let plain =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                if !plain(&service) || !plain(&region) {
                    let hint = "service = \"execute-api\", region = \"eu-west-1\", for example";
                    self.wrong(at, "a signature needs a service and a region", hint);
                }
                Some(Auth::SigV4(SigV4 { service, region }))
            }
            shape::Auth::Mtls { .. } => None,
        }
    }

    /// Checks a header that a scheme sets.
    fn http_header(&mut self, at: &str, name: &str) -> Option<HeaderName> {
        let name = HeaderName::try_from(self.header_name(at, name)?).ok()?;
        if is_forbidden(&name) {
            let hint = "it belongs to the connection, or the host sets it itself: use another header";
            self.wrong(at, format!("the header {:?} cannot be used for authentication", name.as_str()), hint);
        }
        Some(name)
    }

    fn token_url(&mut self, at: &str, text: &str, allow_private: bool) -> Option<Url> {
        let url = self.url(at, text)?;
        if !allow_private && network::is_private_host(&url) {
            let problem = format!("{text:?} is a private or local address");
            self.wrong(at, problem, "if that is intended, set allow_private = true next to it, or on the target");
        }
        if url.scheme() != "https" && !allow_private {
            self.wrong(at, format!("{text:?} is not https: the client's secret would be readable on the network"), "");
        }
        Some(url)
    }
}

/// What an outgoing signature covers.
fn outgoing(text: &str) -> Result<Template, String> {
    let template: Template = text.parse().map_err(|error: crate::value::TemplateError| error.to_string())?;
    let is_known = |source: &Source| matches!(source, Source::Body | Source::Timestamp | Source::Header(_));
    if let Some(other) = template.values().find(|value| !is_known(&value.source) || !value.filters.is_empty()) {
        return Err(format!("{{{other}}} is none of {{body}}, {{timestamp}} and {{header:NAME}}"));
    }
    if template.covers_body() {
        Ok(template)
    } else {
        Err(format!("{text:?} leaves out {{body}}: such a signature proves nothing about the content"))
    }
}
