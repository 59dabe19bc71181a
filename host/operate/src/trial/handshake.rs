//! The handshakes of a route, as its `[[route.answer]]` describe them.

use http::{Method, StatusCode};
use towpath_config::NEVER_LEARNED;
use towpath_config::answer::{Answer, Keep, ReplyBody};
use towpath_config::value::{Filter, Source, Template, Value};
use towpath_intake::said;
use towpath_select::{Scope, put};
use towpath_types::envelope::Webhook;
use towpath_verify::sign::sign;

use super::made_up::{as_written, content_type};
use super::{ARMED, Brings, Kind, Skipped, Trial, Trials, Tried, challenge, of_a_stranger, skipped, without_proof};

impl Trials<'_> {
    /// A handshake; and forged, if it proves anything.
    pub(super) fn handshakes(&self, event: &Webhook, number: usize) -> Vec<Tried> {
        let Some(answer) = self.route.answers.get(number) else { return Vec::new() };
        if answer.call.is_some() {
            return vec![skipped(Kind::Handshake, "its answer calls the provider, which did not ask")];
        }
        let asked = match self.asked(event, answer) {
            Ok(asked) => asked,
            Err(why) => return vec![skipped(Kind::Handshake, why)],
        };
        let first = self.route.answers.iter().position(|answer| Scope::of(&asked).meets(&answer.when));
        if first != Some(number) {
            return vec![skipped(Kind::Handshake, "an earlier answer of the route takes it")];
        }
        if let Some(keep) = &answer.keep {
            return self.bringing(answer, keep, asked);
        }
        let forged = self.forged(answer, &asked);
        [self.right(answer, asked)].into_iter().chain(forged).collect()
    }

    /// Handshakes that bring a secret, none of which can change one. First a value that is never learned, which a closed route
    /// refuses; then the secret that is learned already. The first also finds an ingest that is armed in another store, before
    /// the second uses that up.
    fn bringing(&self, answer: &Answer, keep: &Keep, asked: Webhook) -> Vec<Tried> {
        if keep.secret.was_armed(self.now) {
            return vec![skipped(Kind::Handshake, ARMED)];
        }
        let bring = |secret: &str| {
            let mut bringing = asked.clone();
            match put(&mut bringing, &keep.value, secret.as_bytes()) {
                Ok(()) => Ok(bringing),
                Err(why) => Err(Skipped { kind: Kind::Handshake, why: format!("{}: {why}", keep.value) }),
            }
        };
        let brings = Some(Brings { secret: keep.secret.name().to_owned(), is_given: !keep.secret.is_learnable() });
        let refused = bring(NEVER_LEARNED).map(|webhook| Trial {
            brings: brings.clone(),
            shows: Some("the route is closed, as it should be"),
            ..Trial::of(Kind::ForgedHandshake, webhook, StatusCode::FORBIDDEN)
        });
        let learned = keep.secret.value();
        if !learned.is_learned() {
            let why = "no secret is learned yet: that the route learns one, and takes events signed with it, shows only when you arm \
                it and create the webhook at the sender";
            return vec![refused, skipped(Kind::Handshake, why)];
        }
        let right = bring(&learned.expose()).and_then(|known| self.right(answer, known));
        vec![refused, right.map(|right| Trial { brings, ..right })]
    }

    /// The request that this answer is for, without its proofs.
    fn asked(&self, event: &Webhook, answer: &Answer) -> Result<Webhook, String> {
        let when = &answer.when;
        let method = when.methods.first().or(self.route.methods.first()).cloned().unwrap_or(Method::POST);
        let mut asked = Webhook { method, path: event.path.clone(), ..Webhook::default() };
        let of_reply = answer.reply.templates();
        let of_reply = of_reply.into_iter().flat_map(Template::values);
        let kept = answer.keep.as_ref().map(|keep| &keep.value);
        let read: Vec<&Value> = when.values().chain(of_reply).chain(&answer.token).chain(kept).collect();
        if when.is_empty != Some(true)
            && let Some(header) = content_type(read.iter().copied())
        {
            asked.headers.push(header);
        }
        for (value, template) in &when.equal {
            let text = Scope::of(&asked).text(template).map_err(|(value, why)| format!("{value}: {why}"))?;
            put(&mut asked, value, &text).map_err(|why| format!("{value}: {why}"))?;
        }
        for value in read {
            if when.absent.contains(value) {
                continue;
            }
            // A MAC, or a part, is made of what stands there.
            let whole = Value { source: as_written(&value.source), filters: Vec::new() };
            let is_of_request =
                whole.besides().next().is_none() && !matches!(whole.source, Source::Text(_) | Source::Method);
            let is_there = Scope::of(&asked).value(&whole).is_ok_and(|bytes| !bytes.is_empty());
            if is_of_request && !is_there && !value.filters.contains(&Filter::Optional) {
                put(&mut asked, &whole, challenge().as_bytes()).map_err(|why| format!("{value}: {why}"))?;
            }
        }
        if Scope::of(&asked).meets(when) {
            Ok(asked)
        } else {
            Err("its condition holds for no request that can be made up".to_owned())
        }
    }

    fn right(&self, answer: &Answer, mut asked: Webhook) -> Tried {
        if let (Some(token), Some(secret)) = (&answer.token, answer.secrets.first())
            && let Err(why) = put(&mut asked, token, secret.value.expose().as_bytes())
        {
            return skipped(Kind::Handshake, format!("{token}: {why}"));
        }
        if let (true, Some(verify)) = (answer.verified, &self.route.verify) {
            asked = match sign(verify, &asked, self.now, self.key) {
                Ok(signed) => signed,
                Err(why) => return skipped(Kind::Handshake, why),
            };
        }
        let secret = answer.secrets.first().map(|secret| secret.value.expose());
        let scope =
            Scope { secret: secret.as_ref().map(|secret| secret.as_bytes()), now: Some(self.now), ..Scope::of(&asked) };
        let said = match said(&answer.reply, &scope) {
            Ok(said) => said,
            Err(why) => return skipped(Kind::Handshake, why),
        };
        let tells_time =
            answer.reply.templates().into_iter().flat_map(Template::values).any(|value| value.source == Source::Now);
        // A HEAD has no body, and the time is another one when it is answered.
        let is_compared = asked.method != Method::HEAD && !tells_time && !matches!(answer.reply.body, ReplyBody::Empty);
        let body = said.body.map(|(body, _)| body).filter(|_| is_compared);
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let headers = said.headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        let headers = if tells_time { Vec::new() } else { headers.collect() };
        Ok(Trial { body, headers, ..Trial::of(Kind::Handshake, asked, answer.reply.status) })
    }

    /// The handshake of a stranger, if the answer asks for a proof.
    fn forged(&self, answer: &Answer, asked: &Webhook) -> Option<Tried> {
        let mut forged = asked.clone();
        if let Some(token) = &answer.token {
            return Some(match put(&mut forged, token, challenge().as_bytes()) {
                Ok(()) => Ok(Trial::of(Kind::ForgedHandshake, forged, StatusCode::FORBIDDEN)),
                Err(why) => skipped(Kind::ForgedHandshake, format!("{token}: {why}")),
            });
        }
        let verify = self.route.verify.as_ref().filter(|_| answer.verified)?;
        let bare = without_proof(verify, asked);
        let forged = sign(&of_a_stranger(verify), &bare, self.now, None).unwrap_or(bare);
        Some(self.refused(Kind::ForgedHandshake, verify, forged))
    }
}
