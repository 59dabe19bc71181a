//! `verify` of a route.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use towpath_types::json::Pointer;

use super::super::collect::read_scheme;
use super::super::{Form, Secret, shape};
use super::Checker;
use crate::condition::Condition;
use crate::value::{Besides, Digest, Filter, Source, Template, Value};
use crate::verify::{
    Algorithm, Jwt, Keys, NamedSecret, PublicKey, Scheme, Signature, StandardWebhooks, TOLERANCE, Time, Token,
    TokenForm, Verification, Way, Written,
};

/// The longest tolerance: whoever can replay a webhook hours later can do without a signature.
const LONGEST: Duration = Duration::from_secs(3 * 3600);

/// Timestamps are in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// What a signature may cover besides the webhook.
const SIGNABLE: [Besides; 5] = [Besides::Item, Besides::Url, Besides::Timestamp, Besides::Secret, Besides::Pair];

impl Checker<'_> {
    /// One table, or a list of them.
    pub(super) fn verify(&mut self, at: &str, verify: toml::Value) -> Option<Verification> {
        let tables = match verify {
            toml::Value::Array(tables) => {
                tables.into_iter().enumerate().map(|(n, one)| (format!("{at}[{n}]"), one)).collect()
            }
            one => vec![(at.to_owned(), one)],
        };
        if tables.is_empty() {
            self.wrong(at, "an empty list", "leave it out if the sender proves nothing");
        }
        let mut places = Vec::new();
        let mut ways = Vec::new();
        let mut is_whole = true;
        for (at, table) in tables {
            let read = read_scheme(table, &at, &mut self.found);
            match read.and_then(|shape| self.way(&at, shape)) {
                Some((way, place)) => {
                    if places.first().is_some_and(|first| *first != place) {
                        let hint = "all ways of a route are checked at one place";
                        self.wrong(format!("{at}.at"), "differs from that of the first table", hint);
                    }
                    places.push(place);
                    ways.push(way);
                }
                None => is_whole = false,
            }
        }
        let at_ingest = places.first().is_some_and(|place| *place == shape::At::Ingest);
        (is_whole && !ways.is_empty()).then_some(Verification { ways, at_ingest })
    }

    fn way(&mut self, at: &str, verify: shape::Verify) -> Option<(Way, shape::At)> {
        let signature = |scheme| Scheme::Signature(scheme);
        let (scheme, names, place) = match verify {
            shape::Verify::Signature(shape) => return self.signature(at, *shape),
            shape::Verify::Jwt(shape) => return self.jwt(at, *shape),
            shape::Verify::Token(shape) => return self.token(at, *shape),
            shape::Verify::Basic { user, secret, when, at: place } => {
                if user.is_empty() {
                    self.wrong(format!("{at}.user"), "empty", "the name that the sender shows");
                }
                self.user(at, &user);
                let keys = self.keys(at, secret, Form::Password);
                return self.sent_along(
                    at,
                    Value::header("authorization"),
                    TokenForm::Basic { user },
                    keys,
                    when,
                    place,
                );
            }
            shape::Verify::Bearer { secret, when, at: place } => {
                let keys = self.keys(at, secret, Form::Header);
                return self.sent_along(at, Value::header("authorization"), TokenForm::Bearer, keys, when, place);
            }
            shape::Verify::Header { name, secret, when, at: place } => {
                let name = self.header_name(&format!("{at}.name"), &name);
                let keys = self.keys(at, secret, Form::Header);
                let written = TokenForm::Plain { prefix: String::new() };
                return self.sent_along(at, Value::header(&name?), written, keys, when, place);
            }
            shape::Verify::Github { secret, at } => (signature(Signature::github()), secret, at),
            shape::Verify::Shopify { secret, at } => (signature(Signature::shopify()), secret, at),
            shape::Verify::Stripe { secret, header, tolerance, at: place } => {
                let header = header.and_then(|header| self.header_name(&format!("{at}.header"), &header));
                (signature(Signature::stripe(header, self.tolerance(at, tolerance))), secret, place)
            }
            shape::Verify::Slack { secret, tolerance, at: place } => {
                (signature(Signature::slack(self.tolerance(at, tolerance))), secret, place)
            }
            shape::Verify::Hubspot { secret, url, tolerance, at: place } => {
                let hint = "HubSpot signs the URL that it was given: url = \"https://hooks.example.com/hooks/hubspot\"";
                let url = self.public_url(at, &url, hint);
                let keys = self.keys(at, secret, Form::Key);
                let scheme = signature(Signature::hubspot(self.tolerance(at, tolerance)));
                return Some((Way { url: Some(url?), ..Way::of(scheme, keys) }, place));
            }
            shape::Verify::StandardWebhooks { secret, tolerance, at: place } => {
                let tolerance = self.tolerance(at, tolerance);
                let keys = self.keys(at, secret, Form::VerifyingKey);
                return Some((Way::of(Scheme::StandardWebhooks(StandardWebhooks { tolerance }), keys), place));
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
                let header = self.header_name(&format!("{at}.header"), &header);
                let timestamp = timestamp.and_then(|name| self.header_name(&format!("{at}.timestamp"), &name));
                if timestamp.is_some() && timestamp == header {
                    let hint = "signature and time need separate headers; for Stripe's format use scheme = \"stripe\"";
                    self.wrong(format!("{at}.timestamp"), "is the header of the signature", hint);
                }
                let shape = shape::Signature {
                    prefix: Some(prefix),
                    encoding,
                    algorithm: Some(format!("hmac-{algorithm}")),
                    signed,
                    secret: Some(secret),
                    timestamp: timestamp.map(|name| format!("header:{name}")),
                    timestamp_unit,
                    tolerance,
                    at: place,
                    ..shape::Signature::at(format!("header:{}", header?))
                };
                return self.signature(at, shape);
            }
        };
        let keys = self.keys(at, names, Form::Key);
        Some((Way::of(scheme, keys), place))
    }

    fn signature(&mut self, at: &str, shape: shape::Signature) -> Option<(Way, shape::At)> {
        let places = self.values(&format!("{at}.signature"), shape.signature, &[Besides::Item]);
        let algorithm = match shape.algorithm.as_deref().unwrap_or("hmac-sha256").parse::<Algorithm>() {
            Ok(algorithm) => Some(algorithm),
            Err(problem) => {
                self.wrong(format!("{at}.algorithm"), problem, "");
                None
            }
        };
        let written = self.written(at, shape.prefix, shape.separators, shape.pairs.as_ref());
        let time = self.time(at, shape.timestamp, shape.pairs.as_ref(), shape.timestamp_unit);
        if shape.tolerance.is_some() && time.is_none() {
            let hint = "timestamp = \"header:x-timestamp\" names the value with the time of the signature";
            self.wrong(format!("{at}.tolerance"), "needs a timestamp", hint);
        }
        let tolerance = self.tolerance(at, shape.tolerance);
        let signed = self.signed(at, shape.signed, time.as_ref(), shape.body_unsigned);
        let algorithm = algorithm?;
        if let Some(signed) = &signed {
            let names_secret = signed.reads(Besides::Secret);
            if matches!(algorithm, Algorithm::Hash(_)) && !names_secret {
                let hint = "a hash without the secret can be made by anybody: signed = \"{body}{secret}\", or an hmac-… algorithm";
                self.wrong(format!("{at}.signed"), "leaves out {secret}", hint);
            }
            if algorithm.is_public() && names_secret {
                self.wrong(format!("{at}.signed"), "names {secret}, but the algorithm uses a public key", "");
            }
            self.url_is_known(at, signed, shape.url.as_deref());
        }
        let (key, form) = self.key(at, shape.key, algorithm);
        let keys = self.keys_of(at, shape.secret, shape.public_key, algorithm, form);
        let way = self.way_of(
            at,
            Scheme::Signature(Signature {
                at: places?,
                written: written?,
                encoding: shape.encoding,
                algorithm,
                signed: signed?,
                key: key?,
                time,
                tolerance,
            }),
            keys?,
            shape.when,
            shape.every,
            shape.equal,
            shape.url,
        )?;
        Some((way, shape.at))
    }

    fn jwt(&mut self, at: &str, shape: shape::Jwt) -> Option<(Way, shape::At)> {
        let token = shape.token.unwrap_or_else(|| "header:authorization".to_owned());
        let token = self.value(&format!("{at}.token"), &token, &[Besides::Item])?;
        let is_bearer = token.source.header() == Some("authorization");
        let prefix = shape.prefix.unwrap_or_else(|| if is_bearer { "Bearer ".to_owned() } else { String::new() });
        let Some(first) = shape.algorithms.first() else {
            self.wrong(format!("{at}.algorithms"), "an empty list", "name what the sender signs with: [\"RS256\"]");
            return None;
        };
        let is_mac = |algorithm: &jsonwebtoken::Algorithm| {
            use jsonwebtoken::Algorithm::{HS256, HS384, HS512};
            matches!(algorithm, HS256 | HS384 | HS512)
        };
        if shape.algorithms.iter().any(|algorithm| is_mac(algorithm) != is_mac(first)) {
            let hint = "a public key that is taken for the secret of an HMAC lets everybody in: use two tables";
            self.wrong(format!("{at}.algorithms"), "mixes HS… with algorithms that use a public key", hint);
            return None;
        }
        let mut claims = Vec::new();
        for (name, texts) in shape.claims {
            let texts = texts.indexed();
            let template = |(suffix, text): (String, String)| {
                self.template(&format!("{at}.claims.{name}{suffix}"), &text, &SIGNABLE)
            };
            claims.push((name.clone(), texts.into_iter().filter_map(template).collect()));
        }
        let detached = shape.detached.and_then(|text| self.template(&format!("{at}.detached"), &text, &SIGNABLE));
        let Some(algorithm) = algorithm_of(*first) else {
            self.wrong(
                format!("{at}.algorithms"),
                format!("{first:?} is not supported"),
                "use HS, RS, PS, ES or EdDSA",
            );
            return None;
        };
        let (key, form) = self.key(at, shape.key, algorithm);
        let keys = self.keys_of(at, shape.secret, shape.public_key, algorithm, form);
        let jwt = Jwt {
            at: token,
            prefix,
            algorithms: shape.algorithms,
            key: key?,
            claims,
            max_age: shape.max_age.map(|span| span.0),
            detached,
        };
        if !jwt.covers_body() && !shape.body_unsigned {
            let hint = "claims = { sha256 = \"{body|sha256|hex}\" } names the claim that hashes the body; if there is none, \
                whoever has a token can send any body: body_unsigned = true";
            self.wrong(format!("{at}.claims"), "no claim covers the body", hint);
        }
        let way = self.way_of(at, Scheme::Jwt(jwt), keys?, shape.when, shape.every, shape.equal, shape.url)?;
        Some((way, shape.at))
    }

    fn token(&mut self, at: &str, shape: shape::Token) -> Option<(Way, shape::At)> {
        let places = self.values(&format!("{at}.token"), shape.token, &[Besides::Item]);
        let keys = self.keys(at, shape.secret, Form::Key);
        let scheme = Scheme::Token(Token { at: places?, written: TokenForm::Plain { prefix: shape.prefix } });
        let way = self.way_of(at, scheme, keys, shape.when, shape.every, shape.equal, None)?;
        Some((way, shape.at))
    }

    fn sent_along(
        &mut self,
        at: &str,
        value: Value,
        written: TokenForm,
        keys: Keys,
        when: Option<shape::When>,
        place: shape::At,
    ) -> Option<(Way, shape::At)> {
        let scheme = Scheme::Token(Token { at: vec![value], written });
        Some((self.way_of(at, scheme, keys, when, None, BTreeMap::new(), None)?, place))
    }

    #[expect(clippy::too_many_arguments, reason = "what all schemes have in common")]
    fn way_of(
        &mut self,
        at: &str,
        scheme: Scheme,
        keys: Keys,
        when: Option<shape::When>,
        every: Option<String>,
        equal: BTreeMap<String, String>,
        url: Option<String>,
    ) -> Option<Way> {
        let when = self.condition(&format!("{at}.when"), when.unwrap_or_default(), &[]);
        let every = every.map(|every| {
            every
                .parse::<Pointer>()
                .map_err(|error| self.wrong(format!("{at}.every"), error.to_string(), "every = \"/value\""))
                .ok()
        });
        let equal = self.equalities(&format!("{at}.equal"), equal, &SIGNABLE);
        let hint = "url = \"https://hooks.example.com/hooks/orders\", as registered with the sender";
        let url = url.map(|url| self.public_url(at, &url, hint));
        let reads_item = match &scheme {
            Scheme::Signature(signature) => {
                signature.at.iter().any(reads_item) || signature.signed.reads(Besides::Item)
            }
            Scheme::Token(token) => token.at.iter().any(reads_item),
            Scheme::Jwt(jwt) => reads_item(&jwt.at),
            Scheme::StandardWebhooks(_) => false,
        };
        if reads_item && every.is_none() {
            self.wrong(format!("{at}.every"), "missing, although item: is used", "every = \"/value\" names the array");
        }
        if every.is_some() && !reads_item {
            let hint = "the check is made for each element: write item:/… where a value of the element is meant";
            self.wrong(format!("{at}.every"), "is given, but nothing reads item:", hint);
        }
        let every = match every {
            Some(every) => Some(every?),
            None => None,
        };
        let url = match url {
            Some(url) => Some(url?),
            None => None,
        };
        Some(Way { scheme, keys, when: when?, every, equal: equal?, url })
    }

    /// A condition.
    pub(super) fn condition(&mut self, at: &str, when: shape::When, besides: &[Besides]) -> Option<Condition> {
        let mut methods = Vec::new();
        for (suffix, name) in when.method.map(shape::Names::indexed).unwrap_or_default() {
            methods.extend(self.method(&format!("{at}.method{suffix}"), &name));
        }
        let mut list = |key: &str, texts: Vec<String>| {
            let texts = texts.into_iter().enumerate();
            texts.map(|(n, text)| self.value(&format!("{at}.{key}[{n}]"), &text, besides)).collect::<Option<Vec<_>>>()
        };
        let present = list("present", when.present);
        let absent = list("absent", when.absent);
        let equal = self.equalities(&format!("{at}.equal"), when.equal, besides);
        Some(Condition { methods, present: present?, absent: absent?, equal: equal?, is_empty: when.empty })
    }

    pub(super) fn method(&mut self, at: &str, name: &str) -> Option<Method> {
        let known = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
        if !known.contains(&name) {
            self.wrong(at, format!("{name:?} is not a method"), format!("use {}", known.join(", ")));
        }
        name.parse().ok()
    }

    fn equalities(
        &mut self,
        at: &str,
        equal: BTreeMap<String, String>,
        besides: &[Besides],
    ) -> Option<Vec<(Value, Template)>> {
        let pair = |(value, template): (String, String)| {
            let at = format!("{at}.{value}");
            Some((self.value(&at, &value, besides)?, self.template(&at, &template, besides)?))
        };
        equal.into_iter().map(pair).collect()
    }

    fn values(&mut self, at: &str, texts: shape::Names, besides: &[Besides]) -> Option<Vec<Value>> {
        let texts = texts.indexed();
        if texts.is_empty() {
            self.wrong(at, "an empty list", "");
        }
        texts.into_iter().map(|(suffix, text)| self.value(&format!("{at}{suffix}"), &text, besides)).collect()
    }

    pub(super) fn value(&mut self, at: &str, text: &str, besides: &[Besides]) -> Option<Value> {
        match text.parse::<Value>() {
            Ok(value) if value.besides().all(|read| besides.contains(&read)) => Some(value),
            Ok(value) => {
                self.wrong(
                    at,
                    format!("{value} cannot be used here"),
                    "docs/configure.md#values says where each value is known",
                );
                None
            }
            Err(error) => {
                self.wrong(at, error.to_string(), "");
                None
            }
        }
    }

    pub(super) fn template(&mut self, at: &str, text: &str, besides: &[Besides]) -> Option<Template> {
        let template = match text.parse::<Template>() {
            Ok(template) => template,
            Err(error) => {
                self.wrong(at, error.to_string(), "");
                return None;
            }
        };
        let unknown = template.values().find(|value| !value.besides().all(|read| besides.contains(&read)));
        if let Some(value) = unknown {
            let hint = "docs/configure.md#values says where each value is known";
            self.wrong(at, format!("{{{value}}} cannot be used here"), hint);
            return None;
        }
        Some(template)
    }

    fn public_url(&mut self, at: &str, url: &str, hint: &str) -> Option<Template> {
        if !url.starts_with("https://") || url.parse::<url::Url>().is_err() {
            self.wrong(format!("{at}.url"), format!("{url:?} is not an https URL"), hint);
            return None;
        }
        self.template(&format!("{at}.url"), url, &[])
    }

    fn url_is_known(&mut self, at: &str, signed: &Template, url: Option<&str>) {
        if signed.reads(Besides::Url) && url.is_none() {
            let hint = "url = \"https://hooks.example.com/hooks/orders\", as registered with the sender";
            self.wrong(format!("{at}.url"), "missing, although {url} is signed", hint);
        }
    }

    fn written(
        &mut self,
        at: &str,
        prefix: Option<String>,
        separators: Option<String>,
        pairs: Option<&shape::Pairs>,
    ) -> Option<Written> {
        let Some(pairs) = pairs else {
            let prefix = prefix.unwrap_or_default();
            let separators = separators.unwrap_or_else(|| ", ".to_owned());
            if prefix.contains(|c| separators.contains(c)) {
                let hint = "signatures are separated by commas or spaces, and the prefix is what each one begins with; \
                    separators = \"\" if the value is one signature";
                self.wrong(format!("{at}.prefix"), format!("{prefix:?} cannot be the prefix of a signature"), hint);
            }
            return Some(Written::Plain { prefix, separators: separators.into_bytes() });
        };
        for (key, is_given) in [("prefix", prefix.is_some()), ("separators", separators.is_some())] {
            if is_given {
                self.wrong(format!("{at}.{key}"), "cannot stand beside pairs", "the names of pairs say what is what");
            }
        }
        let between = pairs.between.unwrap_or(',');
        let signatures = pairs.signature.names();
        let names: Vec<&String> = signatures.iter().chain(&pairs.time).collect();
        if !between.is_ascii() || names.iter().any(|name| name.is_empty() || name.contains([between, '='])) {
            let hint = "pairs = { time = \"t\", signature = \"v1\", between = \",\" }";
            self.wrong(format!("{at}.pairs"), "is not a list of name=text with one ASCII character between", hint);
            return None;
        }
        Some(Written::Pairs { signatures, between: u8::try_from(between).ok()? })
    }

    fn time(
        &mut self,
        at: &str,
        timestamp: Option<String>,
        pairs: Option<&shape::Pairs>,
        unit: crate::verify::Unit,
    ) -> Option<Time> {
        let pair = pairs
            .and_then(|pairs| pairs.time.clone())
            .map(|name| Value { source: Source::Pair(name), filters: Vec::new() });
        if pair.is_some() && timestamp.is_some() {
            self.wrong(format!("{at}.timestamp"), "the time is a pair already", "leave out one of them");
        }
        let value =
            timestamp.and_then(|text| self.value(&format!("{at}.timestamp"), &text, &[Besides::Item, Besides::Pair]));
        pair.or(value).map(|at| Time { at, unit })
    }

    fn tolerance(&mut self, at: &str, tolerance: Option<shape::Span>) -> Duration {
        let tolerance = tolerance.map_or(TOLERANCE, |span| span.0);
        if !(SHORTEST..=LONGEST).contains(&tolerance) {
            self.wrong(format!("{at}.tolerance"), "must be between 1s and 3h", "5m is the default");
        }
        tolerance
    }

    fn signed(
        &mut self,
        at: &str,
        signed: Option<String>,
        time: Option<&Time>,
        body_unsigned: bool,
    ) -> Option<Template> {
        let text = match &signed {
            Some(text) => text.as_str(),
            None if time.is_some() => "{timestamp}.{body}",
            None => "{body}",
        };
        let at_signed = format!("{at}.signed");
        let template = self.template(&at_signed, text, &SIGNABLE)?;
        if !template.covers_body() && !body_unsigned {
            let hint =
                "signed = \"{timestamp}.{body}\", for example; body_unsigned = true if the sender really signs no body";
            let problem = format!("{text:?} leaves out {{body}}: such a signature proves nothing about the content");
            self.wrong(at_signed, problem, hint);
            return None;
        }
        let has_timestamp = template.reads(Besides::Timestamp);
        if has_timestamp && time.is_none() {
            let hint = "timestamp = \"header:x-timestamp\" names the value that contains it";
            self.wrong(format!("{at}.timestamp"), "missing, although it is signed", hint);
            return None;
        }
        if time.is_some_and(|time| !time.is_covered_by(&template)) {
            let hint = "a timestamp that is not signed can be forged: signed = \"{timestamp}.{body}\", for example";
            self.wrong(at_signed, format!("{text:?} leaves out {{timestamp}}"), hint);
            return None;
        }
        Some(template)
    }

    /// How the key is made of the secret, and what the secret must look like for it.
    fn key(&mut self, at: &str, key: Option<String>, algorithm: Algorithm) -> (Option<Template>, Form) {
        let text = key.unwrap_or_else(|| "{secret}".to_owned());
        let Some(template) = self.template(&format!("{at}.key"), &text, &[Besides::Secret]) else {
            return (None, Form::Key);
        };
        if !template.values().any(|value| value.source == Source::Secret) {
            self.wrong(format!("{at}.key"), "leaves out {secret}", "key = \"{secret|unbase64}\", for example");
        }
        let filters =
            template.values().find(|value| value.source == Source::Secret).map(|value| value.filters.as_slice());
        let form = match (algorithm.is_public(), filters.and_then(<[_]>::first)) {
            (true, _) => Form::PublicKey(algorithm),
            (_, Some(Filter::Unbase64)) => Form::Base64Key,
            (_, Some(Filter::Unhex)) => Form::HexKey,
            _ => Form::Key,
        };
        (Some(template), form)
    }

    /// The keys of a signature: secrets, or public keys.
    fn keys_of(
        &mut self,
        at: &str,
        secret: Option<shape::Names>,
        public_key: Option<shape::Names>,
        algorithm: Algorithm,
        form: Form,
    ) -> Option<Keys> {
        match (secret, public_key) {
            (Some(secret), None) => Some(self.keys(at, secret, form)),
            (None, Some(texts)) if algorithm.is_public() => {
                let texts = texts.indexed();
                if texts.is_empty() {
                    self.wrong(format!("{at}.public_key"), "an empty list", "");
                }
                let mut keys = Vec::new();
                for (suffix, text) in texts {
                    match PublicKey::read(&text, algorithm) {
                        Ok(key) => keys.push(key),
                        Err(problem) => {
                            let hint = "PEM (BEGIN PUBLIC KEY), or base64 or hex as the sender shows it";
                            self.wrong(format!("{at}.public_key{suffix}"), problem.to_string(), hint);
                        }
                    }
                }
                Some(Keys::Public(keys))
            }
            (None, Some(_)) => {
                let hint = "secret = \"NAME\" names the secret: the algorithm uses no public key";
                self.wrong(format!("{at}.public_key"), "cannot be used with this algorithm", hint);
                None
            }
            (Some(_), Some(_)) => {
                self.wrong(format!("{at}.public_key"), "cannot stand beside secret", "leave out one of them");
                None
            }
            (None, None) => {
                let key = if algorithm.is_public() { "public_key" } else { "secret" };
                self.wrong(at, format!("missing field `{key}`"), format!("add {key} = …"));
                None
            }
        }
    }

    fn keys(&mut self, at: &str, names: shape::Names, form: Form) -> Keys {
        let names = names.indexed();
        let at = format!("{at}.secret");
        self.are_named(&at, &names);
        let named = names.into_iter().filter_map(|(suffix, name)| {
            let value = self.secret(format!("{at}{suffix}"), &name, form)?;
            Some(NamedSecret { name, value })
        });
        Keys::Secrets(named.collect())
    }

    /// The secrets of these names, each with its index in the list; at least one is required.
    pub(super) fn secrets(&mut self, at: &str, names: &[(String, String)], form: Form) -> Vec<Secret> {
        self.are_named(at, names);
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

    fn are_named(&mut self, at: &str, names: &[(String, String)]) {
        if names.is_empty() {
            self.wrong(at, "an empty list", "name at least one secret; during rotation, the new one first");
        }
        for (position, (index, name)) in names.iter().enumerate() {
            if names.iter().take(position).any(|(_, before)| before == name) {
                self.wrong(format!("{at}{index}"), format!("{name:?} is listed twice"), "name each secret once");
            }
        }
    }
}

fn reads_item(value: &Value) -> bool {
    value.source.besides() == Some(Besides::Item)
}

/// The algorithm of a token, as far as its key is concerned.
fn algorithm_of(algorithm: jsonwebtoken::Algorithm) -> Option<Algorithm> {
    use crate::verify::{Curve, Form as Written, Padding};
    use jsonwebtoken::Algorithm as Jwa;
    Some(match algorithm {
        Jwa::HS256 => Algorithm::Mac(Digest::Sha256),
        Jwa::HS384 => Algorithm::Mac(Digest::Sha384),
        Jwa::HS512 => Algorithm::Mac(Digest::Sha512),
        Jwa::ES256 => Algorithm::Ecdsa(Curve::P256, Written::Fixed),
        Jwa::ES384 => Algorithm::Ecdsa(Curve::P384, Written::Fixed),
        Jwa::RS256 => Algorithm::Rsa(Padding::Pkcs1, Digest::Sha256),
        Jwa::RS384 => Algorithm::Rsa(Padding::Pkcs1, Digest::Sha384),
        Jwa::RS512 => Algorithm::Rsa(Padding::Pkcs1, Digest::Sha512),
        Jwa::PS256 => Algorithm::Rsa(Padding::Pss, Digest::Sha256),
        Jwa::PS384 => Algorithm::Rsa(Padding::Pss, Digest::Sha384),
        Jwa::PS512 => Algorithm::Rsa(Padding::Pss, Digest::Sha512),
        Jwa::EdDSA => Algorithm::Ed25519,
        _ => return None,
    })
}
