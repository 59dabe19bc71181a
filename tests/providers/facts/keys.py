"""Providers that sign with a private key, or send a JWT or JWS."""

import hashlib
import json

from signing import (
    HOUR,
    NOW,
    SENT,
    Jwt,
    Provider,
    Signature,
    answered,
    b64,
    b64url,
    certificate,
    jwk,
    jwt,
    make_secret,
    private_key,
    public_pem,
    public_raw,
    public_spki,
    refused,
    served,
    sign_pss,
    sign_public,
)

from .macs import get_challenge, reachable, together

P, S = Provider, Signature


def jwks(url, *keys):
    return served(url, {"keys": list(keys)})


def sha256(request) -> bytes:
    return hashlib.sha256(request.body).digest()


# Adobe I/O Events: keys at paths that the request names


ADOBE = "https://static.adobeioevents.com"
ADOBE_PATHS = ("/prod/keys/pub-key-tKc4zL2o6.pem", "/prod/keys/pub-key-bRmdG0Tpz.pem")


def adobe_sign(request, one, two):
    for index, key in ((1, one), (2, two)):
        request.set(f"x-adobe-digital-signature-{index}", b64(sign_public("rsa-sha256", key, request.body)))
        request.set(f"x-adobe-public-key{index}-path", ADOBE_PATHS[index - 1])
    return request


class Adobe(Provider):
    def cases(self):
        pem = "application/x-pem-file"
        self.keys = [served(ADOBE + ADOBE_PATHS[0], public_pem("rsa"), pem), served(ADOBE + ADOBE_PATHS[1], public_pem("rsa-other"), pem)]
        request = adobe_sign(self.make(), "rsa", "rsa-other")
        yield self.case("event", request, self.stored(request))
        request = adobe_sign(self.make(), "rsa", "rsa")
        yield self.case("event.second-signature-wrong", request, self.stored(request), note="One valid signature is enough.")
        request = adobe_sign(self.make(), "rsa-other", "rsa-other")
        yield self.case("event.first-signature-wrong", request, self.stored(request), note="One valid signature is enough.")
        request = adobe_sign(self.make(), "rsa", "rsa-other")
        request.body = request.body.replace(b"Alice", b"Mallo")
        yield self.case("refused.body-changed", request, refused())
        yield self.case("refused.other-key", adobe_sign(self.make(), "rsa-other", "rsa"), refused())
        yield self.case("refused.signature-missing", self.make(), refused())
        for name, path in (
            ("path-names-another-host", "@keys.attacker.example/key.pem"),
            ("path-extends-the-host", ".attacker.example/key.pem"),
            ("path-is-a-url", "https://keys.attacker.example/key.pem"),
        ):
            request = adobe_sign(self.make(), "rsa", "rsa")
            for index in (1, 2):
                request.set(f"x-adobe-public-key{index}-path", path)
            keys = [
                served(url, public_pem("rsa"), pem)
                for url in (
                    ADOBE + path,
                    "https://keys.attacker.example/key.pem",
                    "https://static.adobeioevents.com.attacker.example/key.pem",
                )
            ]
            yield self.case(f"refused.{name}", request, refused(), keys=keys, note="The key must not come from this host.")
        yield from get_challenge()(self)


# Amazon SNS: a certificate at a URL that the message names


SNS = "https://sns.us-east-1.amazonaws.com"
SNS_CERTIFICATE = f"{SNS}/SimpleNotificationService-0000000000000000000000.pem"
SNS_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
SNS_FIELDS["UnsubscribeConfirmation"] = SNS_FIELDS["SubscriptionConfirmation"]
SNS_BASE = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:orders",
    "Subject": "Ümlaut \"quoted\"",
    "Message": '{"order":7,"text":"zwei\nZeilen"}',
    "Timestamp": "2026-09-21T14:13:18.000Z",
    "SignatureVersion": "1",
}


def sns_sign(event, key="rsa", url=SNS_CERTIFICATE):
    event = dict(event)
    content = "".join(f"{name}\n{event[name]}\n" for name in SNS_FIELDS[event["Type"]] if name in event)
    algorithm = "rsa-sha1" if event["SignatureVersion"] == "1" else "rsa-sha256"
    event["Signature"] = b64(sign_public(algorithm, key, content.encode()))
    event["SigningCertURL"] = url
    return event


class Sns(Provider):
    def request(self, event, kind=""):
        request = self.make(event)
        request.headers = []
        request.set("x-amz-sns-message-type", kind or event["Type"]).set("x-amz-sns-message-id", event["MessageId"])
        return request.set("x-amz-sns-topic-arn", event["TopicArn"]).set("user-agent", "Amazon Simple Notification Service Agent")

    def cases(self):
        good = served(SNS_CERTIFICATE, certificate("rsa"), "application/x-pem-file")
        self.keys = [good]
        plain = {name: value for name, value in SNS_BASE.items() if name != "Subject"}
        for name, event in (
            ("event", SNS_BASE),
            ("event.version-2", {**SNS_BASE, "SignatureVersion": "2"}),
            ("event.no-subject", plain),
        ):
            request = self.request(sns_sign(event))
            yield self.case(name, request, self.stored(request))
        unsubscribe = f"{SNS}/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:123456789012:orders:1"
        request = self.request({**sns_sign(SNS_BASE), "UnsubscribeURL": unsubscribe})
        yield self.case("event.unsigned-fields", request, self.stored(request), note="SNS adds UnsubscribeURL, which is not signed.")

        changed = {**sns_sign(SNS_BASE), "Message": "{}"}
        yield self.case("refused.body-changed", self.request(changed), refused())
        changed = sns_sign(SNS_BASE)
        del changed["Subject"]
        yield self.case("refused.subject-removed", self.request(changed), refused())
        changed = {**sns_sign(plain), "Subject": "added"}
        yield self.case("refused.subject-added", self.request(changed), refused())
        changed = sns_sign(SNS_BASE)
        del changed["Signature"]
        yield self.case("refused.signature-missing", self.request(changed), refused())
        yield self.case("refused.other-key", self.request(sns_sign(SNS_BASE, "rsa-other")), refused())
        changed = {**sns_sign(SNS_BASE), "SignatureVersion": "2"}
        yield self.case("refused.version-changed", self.request(changed), refused())
        for name, url in (
            ("another-host", "https://attacker.example/SimpleNotificationService-0.pem"),
            ("host-extended", "https://sns.us-east-1.amazonaws.com.attacker.example/cert.pem"),
            ("host-of-a-bucket", "https://attacker.s3.amazonaws.com/cert.pem"),
            ("host-before-at", "https://sns.us-east-1.amazonaws.com@attacker.example/cert.pem"),
            ("plain-http", SNS_CERTIFICATE.replace("https:", "http:")),
        ):
            keys = [good, served(url, certificate("rsa-other"), "application/x-pem-file")]
            request = self.request(sns_sign(SNS_BASE, "rsa-other", url))
            yield self.case(f"refused.certificate-at-{name}", request, refused(), keys=keys)

        token = "2336412f37fb687f5d51e6e241d638b114"
        topic = SNS_BASE["TopicArn"]
        confirm = {
            "Type": "SubscriptionConfirmation",
            "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
            "Token": token,
            "TopicArn": topic,
            "Message": f"You have chosen to subscribe to the topic {topic}.",
            "SubscribeURL": f"{SNS}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
            "Timestamp": "2026-09-21T14:13:18.000Z",
            "SignatureVersion": "1",
        }
        confirmed = served(confirm["SubscribeURL"], "<ConfirmSubscriptionResponse/>", "text/xml")
        call = {"method": "GET", "url": confirm["SubscribeURL"]}
        for version in ("1", "2"):
            request = self.request(sns_sign({**confirm, "SignatureVersion": version}))
            expect = {"outcome": "answered", "calls": [call]}
            yield self.case("handshake" + (".version-2" if version == "2" else ""), request, expect, keys=[good, confirmed])
        request = self.request(sns_sign(confirm, "rsa-other"))
        yield self.case("handshake.refused.other-key", request, {**refused(), "calls": []}, keys=[good, confirmed])
        elsewhere = {**confirm, "SubscribeURL": "https://attacker.example/?Action=ConfirmSubscription"}
        request = self.request(sns_sign(elsewhere, "rsa-other"))
        yield self.case("handshake.refused.unsigned-url-elsewhere", request, {**refused(), "calls": []})
        request = self.request({**sns_sign(confirm), "SubscribeURL": "https://attacker.example/?Action=ConfirmSubscription"})
        yield self.case("handshake.refused.url-changed", request, {**refused(), "calls": []})
        request = self.request(sns_sign(SNS_BASE), "SubscriptionConfirmation")
        note = "The header says one type and the signed body another."
        yield self.case("refused.type-differs", request, {**refused(), "calls": []}, note=note)


# Circle: the public key by id from an API


CIRCLE_ID = "879dc113-5ca4-4ff7-a6b7-54652083fcf8"


def circle_keys(*names):
    found = []
    for name in names:
        body = {"data": {"id": CIRCLE_ID, "algorithm": "ECDSA_SHA_256", "publicKey": public_spki(name), "createDate": "2026-06-28T21:47:35Z"}}
        found.append(served(f"https://api.circle.com/v2/notifications/publicKey/{CIRCLE_ID}", body))
    return found


def circle_key_path(provider):
    request = provider.signed().set("x-circle-key-id", "../../attacker")
    yield provider.case("refused.key-id-is-a-path", request, refused())
    request = provider.signed().set("x-circle-key-id", "00000000-0000-4000-8000-000000000000")
    yield provider.case("refused.key-id-unknown", request, refused())


# Discord: an Ed25519 key, and bad signatures sent on purpose


def discord_pings(provider):
    for name, kind, expect in (
        ("handshake", 0, answered(204, body="")),
        ("handshake.interactions", 1, answered(json={"type": 1}, headers={"content-type": "application/json"})),
    ):
        event = {"version": 1, "application_id": "1234560149", "type": kind}
        yield provider.case(name, provider.signed(event), expect)
        request = provider.auth.apply(provider.make(event), provider.all_params(), other=True)
        yield provider.case(f"{name}.refused", request, refused(401))
    request = provider.signed().set("x-signature-ed25519", "zz" + provider.signed().header("x-signature-ed25519")[2:])
    yield provider.case("refused.not-hex", request, refused(401))


def wise_pss(provider):
    request = provider.make()
    request.set("x-signature-sha256", b64(sign_public("rsa-pss-sha256", "rsa", request.body)))
    yield provider.case("refused.other-padding", request, refused())


def utila_salt(provider):
    request = provider.make()
    key = private_key("rsa")
    request.set("x-utila-signature", b64(sign_pss(key, request.body, "sha512", key.key_size // 8 - 64 - 2)))
    note = "Libraries that are not told a length use the longest salt: Go's rsa.SignPSS and OpenSSL do. Unknown which Utila uses."
    yield provider.case("event.longest-salt", request, provider.stored(request), note=note)


# JWTs


def fusion(request, at, params):
    return {"request_body_sha256": b64(sha256(request))}


def fusion_others(provider):
    params = provider.all_params()
    for alg, key, kid in (("ES256", "p256", "kid-es256"), ("EdDSA", "ed25519", "kid-eddsa")):
        auth = Jwt("x-fusionauth-signature-jwt", alg=alg, key=key, kid=kid, claims=fusion)
        request = provider.signed(auth=auth)
        yield provider.case(f"event.{alg.lower()}", request, provider.stored(request))
        yield provider.case(f"refused.{alg.lower()}.other-key", auth.apply(provider.make(), params, other=True), refused())
    auth = Jwt("x-fusionauth-signature-jwt", alg="HS256", key="secret", claims=fusion)
    request = provider.signed(auth=auth)
    params = auth.params(provider.name)
    yield provider.case("event.hs256", request, provider.stored(request), params, [], note="With a shared secret and no JWKS.")
    yield provider.case("refused.hs256.other-key", auth.apply(provider.make(), params, other=True), refused(), params, [])


FUSION_URL = "https://auth.example.com/.well-known/jwks.json"


def vonage(request, at, params):
    return {"iat": int(at), "exp": int(at) + 300, "iss": "Vonage", "jti": "c5ba8f24", "api_key": "a1b2c3d4", "payload_hash": sha256(request).hex()}


def netlify(request, at, params):
    return {"iss": "netlify", "sha256": sha256(request).hex()}


def plaid(request, at, params):
    return {"iat": int(at), "request_body_sha256": sha256(request).hex()}


def monday(request, at, params):
    return {"accountId": 1825529, "userId": 4012689, "aud": "https://hooks.example.com/hooks/monday", "exp": int(at) + 300}


def pubsub(request, at, params):
    return {
        "aud": params["audience"], "azp": "113774264463038321964", "email": params["email"], "email_verified": True,
        "exp": int(at) + 3600, "iat": int(at), "iss": "https://accounts.google.com", "sub": "113774264463038321964",
    }  # fmt: skip


def chat(request, at, params):
    return {"aud": params["audience"], "exp": int(at) + 3600, "iat": int(at), "iss": "chat@system.gserviceaccount.com"}


def gemini(request, at, params):
    return {"iss": "https://generativelanguage.googleapis.com", "iat": int(at), "exp": int(at) + 300}


def green_dot(request, at, params):
    return {"iss": "https://idp.greendot.example", "iat": int(at), "exp": int(at) + 600, "scope": "webhook"}


def monday_challenge(provider):
    request = provider.make({"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"})
    request.headers = []
    yield provider.case("handshake", request, answered(json=request.event))


def fireblocks_payload(request):
    return request.body


# Neon Auth: a time and the body, both encoded again


def neon_payload(request):
    return f"{request.header('x-neon-timestamp')}.{b64url(request.body)}".encode()


def neon_time(provider):
    request = provider.signed()
    request.set("x-neon-timestamp", str(SENT * 1000 + 1))
    yield provider.case("refused.time-changed", request, refused())
    request = provider.signed()
    protected, _, signature = request.header("x-neon-signature").split(".")
    request.set("x-neon-signature", f"{protected}.{b64url(b'attached')}.{signature}")
    yield provider.case("refused.payload-attached", request, refused())


# Microsoft Graph: an array of tokens in the body


GRAPH_APP = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f"
GRAPH_TENANT = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
GRAPH_KEYS = [
    jwks(f"https://login.microsoftonline.com/{path}/keys", jwk("rsa", "graph-1", "RS256"))
    for path in ("common/discovery", "common/discovery/v2.0", f"{GRAPH_TENANT}/discovery", f"{GRAPH_TENANT}/discovery/v2.0")
]


def graph_token(key="rsa", **change):
    claims = {
        "aud": GRAPH_APP, "iss": f"https://login.microsoftonline.com/{GRAPH_TENANT}/v2.0", "tid": GRAPH_TENANT, "ver": "2.0",
        "azp": "0bf30f3b-4a52-48df-9a82-234910c4a086", "iat": SENT, "nbf": SENT, "exp": SENT + 3600,
    }  # fmt: skip
    return jwt({"alg": change.pop("alg", "RS256"), "kid": "graph-1"}, {**claims, **change}, key)


class Graph(Provider):
    def cases(self):
        params = {"secret": make_secret("text", self.name), "app_id": GRAPH_APP, "tenant_id": GRAPH_TENANT}

        def request(tokens, state=params["secret"], event=None):
            made = self.make(event)
            for item in made.event["value"]:
                item["clientState"] = state
            made.event["validationTokens"] = tokens
            return made.encode()

        good = request([graph_token()])
        yield self.case("event", good, self.stored(good), params, GRAPH_KEYS)
        good = request([graph_token(), graph_token(tid=GRAPH_TENANT, uti="second")], event=self.second())
        yield self.case("event.two-items", good, self.stored(good), params, GRAPH_KEYS)
        for name, tokens in (
            ("other-key", [graph_token("rsa-other")]),
            ("one-token-wrong", [graph_token(), graph_token("rsa-other")]),
            ("no-token", []),
            ("aud-wrong", [graph_token(aud="11111111-0000-4000-8000-000000000000")]),
            ("azp-wrong", [graph_token(azp="11111111-0000-4000-8000-000000000000")]),
            ("expired", [graph_token(iat=NOW - 8 * HOUR, nbf=NOW - 8 * HOUR, exp=NOW - 7 * HOUR)]),
            ("alg-none", [graph_token(b"", alg="none")]),
            ("alg-confusion", [graph_token(public_pem("rsa").encode(), alg="HS256")]),
        ):
            yield self.case(f"refused.{name}", request(tokens), refused(), params, GRAPH_KEYS)
        yield self.case("refused.client-state-wrong", request([graph_token()], "another"), refused(), params, GRAPH_KEYS)
        bad = request([graph_token(), graph_token()], event=self.second())
        bad.event["value"][1]["clientState"] = "another"
        yield self.case("refused.one-item-wrong", bad.encode(), refused(), params, GRAPH_KEYS)
        missing = request([graph_token()])
        del missing.event["validationTokens"]
        yield self.case("refused.signature-missing", missing.encode(), refused(), params, GRAPH_KEYS)
        ask = self.make(b"")
        ask.headers, ask.content_type = [], "text/plain"
        ask.set_query("validationToken", "Validation: Testing client application reachability for subscription Request-Id: 5f1a")
        body = "Validation: Testing client application reachability for subscription Request-Id: 5f1a"
        yield self.case("handshake", ask, answered(body=body), params, GRAPH_KEYS)


# Wix: the whole body is a JWT


def wix_body(key="rsa", alg="RS256", at=SENT):
    data = json.dumps({"id": "1f2e3d4c", "entityFqdn": "wix.contacts.v4.contact", "slug": "created"})
    event = json.dumps({"instanceId": "129acb44-2c8a-4314-fbc8-73d5b973a88f", "eventType": "wix.contacts.v4.contact_created", "data": data})
    return jwt({"alg": alg, "kid": "wix-1"}, {"data": event, "iat": at, "exp": at + 3600}, key)


class Wix(Provider):
    def cases(self):
        params = {"public_key": public_pem("rsa")}
        expect = {"outcome": "stored", "status": 200, "dedup": "1f2e3d4c", "order": "129acb44-2c8a-4314-fbc8-73d5b973a88f"}
        yield self.case("event", self.make(wix_body()), expect, params)
        yield self.case("refused.other-key", self.make(wix_body("rsa-other")), refused(), params)
        start, middle, end = wix_body().split(".")
        _, other, _ = wix_body(at=SENT - 60).split(".")
        yield self.case("refused.body-changed", self.make(f"{start}.{other}.{end}"), refused(), params)
        yield self.case("refused.signature-missing", self.make(f"{start}.{middle}."), refused(), params)
        yield self.case("refused.alg-none", self.make(wix_body(b"", "none")), refused(), params)
        yield self.case("refused.alg-confusion", self.make(wix_body(public_pem("rsa").encode(), "HS256")), refused(), params)
        yield self.case("refused.expired", self.make(wix_body(at=NOW - 30 * HOUR)), refused(), params)
        yield self.case("refused.not-a-jwt", self.make('{"data":"{}"}'), refused(), params)


class DiscordSignature(Signature):
    def params(self, name):
        return {"public_key": public_raw("ed25519").hex()}


TABLE = [
    Adobe("adobe-io-events", {"event_id": "e-1", "recipient_client_id": "client-1",
                              "event": {"activitystreams:actor": "Alice", "activitystreams:object": {"@id": "https://files.example.com/a/b"}}},
          dedup="header:x-adobe-event-id", order="/event/activitystreams:object/@id"),
    Sns("aws-sns", SNS_BASE, dedup="header:x-amz-sns-message-id", content_type="text/plain; charset=UTF-8", style="pretty"),
    P("circle", {"subscriptionId": "00000000", "notificationId": "94d7d3d4", "notificationType": "transactions.inbound",
                 "notification": {"id": "tx-1", "state": "CONFIRMED"}, "version": 2},
      S("x-circle-signature", algorithm="ecdsa-sha256", encoding="base64", key="p256"), dedup="/notificationId", order="/notification/id",
      headers={"x-circle-key-id": CIRCLE_ID}, ack={"status": 200}, params={"api_key": "TEST_API_KEY:c1rc1e"}, keys=circle_keys("p256"),
      extra=together(reachable("HEAD"), circle_key_path)),
    P("discord", {"version": 1, "application_id": "1234560149", "type": 1,
                  "event": {"type": "ENTITLEMENT_CREATE", "timestamp": "2026-09-21T14:13:20.000000", "data": {"id": "42", "guild_id": "99"}}},
      DiscordSignature("x-signature-ed25519", algorithm="ed25519", key="ed25519", signed="{timestamp}{body}", time="x-signature-timestamp",
                       timed=False),
      dedup="/event/timestamp", order="/event/data/guild_id", ack={"status": 204, "body": ""}, refused_status=401, extra=discord_pings),
    P("fireblocks-v2", {"id": "w-1", "resourceId": "tx-1", "workspaceId": "ws", "eventType": "transaction.created", "data": {"id": "tx-1"}},
      Jwt("fireblocks-webhook-signature", alg="RS512", kid="fb-1", payload=fireblocks_payload), dedup="/id", order="/resourceId",
      ack={"status": 200}, keys=[jwks("https://keys.fireblocks.io/.well-known/jwks.json", jwk("rsa", "fb-1", "RS512"))]),
    P("fusionauth", {"event": {"id": "3a4f", "type": "user.create", "createInstant": 1789999998000, "user": {"id": "0000-1", "email": "z@example.com"}}},
      Jwt("x-fusionauth-signature-jwt", kid="kid-rs256", claims=fusion, wrong={"request_body_sha256": b64(b"\0" * 32)},
          extra={"jwks": FUSION_URL}),
      dedup="/event/id", order="/event/user/id", extra=fusion_others,
      keys=[jwks(FUSION_URL, jwk("rsa", "kid-rs256", "RS256"), jwk("p256", "kid-es256", "ES256"), jwk("ed25519", "kid-eddsa", "EdDSA"))]),
    P("gemini-dynamic", {"type": "batch.succeeded", "data": {"id": "batches/1"}},
      Jwt("webhook-signature", kid="gem-1", claims=gemini, covers_body=False), dedup="header:webhook-id",
      headers={"webhook-timestamp": str(SENT)},
      keys=[jwks("https://generativelanguage.googleapis.com/.well-known/jwks.json", jwk("rsa", "gem-1", "RS256"))]),
    P("google-chat", {"type": "MESSAGE", "space": {"name": "spaces/AAAA", "type": "ROOM"}, "message": {"text": "hello"}},
      Jwt(prefix="Bearer ", kid="chat-1", claims=chat, covers_body=False, wrong={"iss": "someone@example.com", "aud": "9876543210"},
          extra={"audience": "1234567890"}),
      order="/space/name", ack={"status": 200},
      keys=[jwks("https://www.googleapis.com/service_accounts/v1/jwk/chat@system.gserviceaccount.com", jwk("rsa", "chat-1", "RS256")),
            served("https://www.googleapis.com/service_accounts/v1/metadata/x509/chat@system.gserviceaccount.com",
                   {"chat-1": certificate("rsa")})]),
    P("google-pubsub-push", {"message": {"data": "SGVsbG8=", "messageId": "2070443601311540", "orderingKey": "customer-1", "attributes": {}},
                             "subscription": "projects/p/subscriptions/s"},
      Jwt(prefix="Bearer ", kid="google-1", claims=pubsub, covers_body=False,
          wrong={"aud": "https://other.example.com/", "iss": "https://accounts.example.com", "email": "other@p.iam.gserviceaccount.com"},
          extra={"audience": "https://hooks.example.com/hooks/google-pubsub-push", "email": "push@p.iam.gserviceaccount.com"}),
      dedup="/message/messageId", order="/message/orderingKey",
      keys=[jwks("https://www.googleapis.com/oauth2/v3/certs", jwk("rsa", "google-1", "RS256"))]),
    P("green-dot", {"eventType": "card.activated", "accountIdentifier": "a-1"},
      Jwt(prefix="Bearer ", kid="gd-1", claims=green_dot, covers_body=False, extra={"jwks": "https://idp.greendot.example/.well-known/jwks.json"}),
      dedup="header:x-gd-requestid", ack={"statuses": [200, 201], "headers": {"x-gd-requestid": "{header:x-gd-requestid}"}},
      keys=[jwks("https://idp.greendot.example/.well-known/jwks.json", jwk("rsa", "gd-1", "RS256"))]),
    P("highlevel", {"type": "ContactCreate", "webhookId": "wh-1", "locationId": "ve9EPM428h8vShlRW1KT", "id": "nmFmQEsNgz6AVpgLVUJ0"},
      S("x-wh-signature", algorithm="rsa-sha256", encoding="base64", key="rsa"), dedup="/webhookId", order="/locationId"),
    Graph("microsoft-graph-rich", {"value": [{"subscriptionId": "76619225", "clientState": "", "changeType": "created", "tenantId": GRAPH_TENANT,
                                              "resource": "Users('7')/Messages('m1')", "encryptedContent": {"data": "AAAA", "dataKey": "BBBB"}}]},
          order="/value/0/resource", batch="/value"),
    P("monday", {"event": {"userId": 9603417, "pulseId": 1772099344, "boardId": 1771812698, "type": "create_pulse", "triggerUuid": "b5ed2e17"}},
      Jwt(alg="HS256", key="secret", claims=monday, covers_body=False), dedup="/event/triggerUuid", order="/event/pulseId",
      extra=monday_challenge),
    P("neon-auth", {"event": "user.created", "user": {"id": "u-1", "email": "a@example.com"}},
      Jwt("x-neon-signature", alg="EdDSA", key="ed25519", kid="neon-1", payload=neon_payload,
          extra={"jwks": "https://ep-test.neonauth.example/neondb/auth/.well-known/jwks.json"}),
      dedup="header:x-neon-event-id", order="/user/id",
      headers={"x-neon-timestamp": str(SENT * 1000), "x-neon-signature-kid": "neon-1", "x-neon-event-type": "user.created"}, extra=neon_time,
      keys=[jwks("https://ep-test.neonauth.example/neondb/auth/.well-known/jwks.json", jwk("ed25519", "neon-1", "EdDSA"))]),
    P("netlify", {"id": "5fb2c3", "site_id": "0d3a9d2f", "state": "ready", "branch": "main"},
      Jwt("x-webhook-signature", alg="HS256", key="secret", claims=netlify, wrong={"iss": "another", "sha256": "0" * 64}), dedup="/id",
      order="/site_id"),
    P("plaid", {"webhook_type": "TRANSACTIONS", "webhook_code": "SYNC_UPDATES_AVAILABLE", "item_id": "wz666MBjYWTp2PDzzggYhM6oWWmBb"},
      Jwt("plaid-verification", alg="ES256", key="p256", kid="bfbd5111-8e33-4643-8ced-b2e642a72f3c", claims=plaid, max_age=300,
          wrong={"request_body_sha256": "0" * 64}, public_param=True),
      order="/item_id", style="pretty", ack={"status": 200}, params={"client_id": "plaid-client", "api_secret": "plaid-secret"},
      keys=[served("https://production.plaid.com/webhook_verification_key/get",
                   {"key": {**jwk("p256", "bfbd5111-8e33-4643-8ced-b2e642a72f3c", "ES256"), "created_at": 1789000000, "expired_at": None},
                    "request_id": "r"}, method="POST")]),
    P("sendgrid-event", [{"email": "a@example.com", "timestamp": 1789999998, "event": "delivered", "sg_event_id": "ZGVsaXZlcmVk",
                          "sg_message_id": "14c5d75ce93.dfd.64b469"}],
      S("x-twilio-email-event-webhook-signature", algorithm="ecdsa-sha256", encoding="base64", key="p256", spki=True,
        signed="{timestamp}{body}", time="x-twilio-email-event-webhook-timestamp", timed=False),
      dedup="/0/sg_event_id", order="/0/sg_message_id", batch=""),
    P("utila", {"id": "ev-1", "vault": "vaults/1", "type": "TRANSACTION_CREATED", "resource": "vaults/1/transactions/2"},
      S("x-utila-signature", algorithm="rsa-pss-sha512", encoding="base64", key="rsa"), dedup="/id", order="/resource", ack={"status": 200},
      extra=utila_salt),
    P("vonage", {"message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "to": "447700900000", "text": "naïve", "channel": "sms"},
      Jwt(prefix="Bearer ", alg="HS256", key="secret", claims=vonage, wrong={"payload_hash": "0" * 64, "api_key": "ffffffff"},
          extra={"api_key": "a1b2c3d4"}),
      order="/message_uuid"),
    P("wise", {"data": {"resource": {"type": "transfer", "id": 111, "profile_id": 222}, "current_state": "processing"},
               "subscription_id": "sub-1", "event_type": "transfers#state-change"},
      S("x-signature-sha256", algorithm="rsa-sha256", encoding="base64", key="rsa"), dedup="header:x-delivery-id", order="/data/resource/id",
      extra=wise_pss),
    Wix("wix", "", content_type="text/plain"),
]  # fmt: skip
