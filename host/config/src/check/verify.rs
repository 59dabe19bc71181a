//! `verify` of a route.

use std::collections::BTreeMap;
use std::time::Duration;

use towpath_types::json::Pointer;

use super::super::collect::read_scheme;
use super::super::{Form, shape};
use super::Checker;
use crate::value::{Besides, Source, Template, Value};
use crate::verify::{
    Algorithm, Keys, Scheme, Signature, StandardWebhooks, TOLERANCE, Time, Token, TokenForm, Verification, Way, Written,
};

/// The longest tolerance. A signature that can be replayed for longer proves little.
const LONGEST: Duration = Duration::from_secs(3 * 3600);

/// Timestamps are in whole seconds.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// What may be compared with a value of the webhook, besides the webhook itself.
pub(super) const COMPARABLE: [Besides; 1] = [Besides::Url];

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
        if !at_ingest && ways.iter().any(Way::chooses_url) {
            let hint = "leave out at = \"pipeline\": a forged webhook whose key never comes would stop its group";
            self.wrong(at, "a certificate or fetch needs at = \"ingest\"", hint);
        }
        if !at_ingest && ways.iter().any(|way| matches!(way.keys, Keys::OfTenant(_))) {
            let hint =
                "leave out at = \"pipeline\": a forged webhook whose secret cannot be looked up would stop its group";
            self.wrong(at, "the secret of a tenant needs at = \"ingest\"", hint);
        }
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
        }
        let (key, form) = self.key(at, shape.key, algorithm);
        let given = shape.secret.is_some() || shape.public_key.is_some();
        let fetched = shape::Fetched {
            jwks: shape.jwks,
            certificate: shape.certificate,
            fetch: shape.fetch,
            key_id: shape.key_id,
        };
        let keys = match self.fetched(at, fetched, algorithm, given) {
            Some(keys) => keys,
            None => self.keys_of(at, shape.secret, shape.public_key, algorithm, form),
        };
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
    pub(super) fn way_of(
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
        let equal = self.equalities(&format!("{at}.equal"), equal, &COMPARABLE);
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
        let is_url = |read: Besides| read == Besides::Url;
        let compares_url = equal.iter().flatten().any(|(_, template)| template.besides().any(is_url));
        if (scheme_reads_url(&scheme) || compares_url) && url.is_none() {
            self.wrong(format!("{at}.url"), "missing, although {url} is used", hint);
        }
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
}

fn reads_item(value: &Value) -> bool {
    value.source.besides() == Some(Besides::Item)
}

fn scheme_reads_url(scheme: &Scheme) -> bool {
    match scheme {
        Scheme::Signature(signature) => signature.signed.reads(Besides::Url),
        Scheme::Jwt(jwt) => {
            let mut templates = jwt.claims.iter().flat_map(|(_, templates)| templates).chain(&jwt.detached);
            templates.any(|template| template.reads(Besides::Url))
        }
        Scheme::StandardWebhooks(_) | Scheme::Token(_) => false,
    }
}
