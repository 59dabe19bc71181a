"""Providers that sign fields of the body, the URL with a form, or several parts of one request."""

import copy
import hashlib
import hmac
import json

from signing import (
    HOUR,
    NOW,
    SENT,
    Form,
    Multipart,
    Provider,
    Signature,
    Token,
    as_text,
    b64,
    make_secret,
    pointer,
    public_pem,
    refused,
    sign_public,
)

from .macs import reachable

P, S = Provider, Signature


# Adyen: each item of a batch has a signature of its own, over its fields


ADYEN_FIELDS = (
    "/pspReference",
    "/originalReference",
    "/merchantAccountCode",
    "/merchantReference",
    "/amount/value",
    "/amount/currency",
    "/eventCode",
    "/success",
)
ADYEN_ITEM = {
    "additionalData": {"hmacSignature": ""},
    "pspReference": "7914073381342284",
    "originalReference": "",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "TestPayment-1407325143704",
    "amount": {"value": 1130, "currency": "EUR"},
    "eventCode": "AUTHORISATION",
    "eventDate": "2026-09-21T14:13:18+00:00",
    "success": "true",
}


class Adyen(Provider):
    def sign(self, event, secret):
        request = self.make(event)
        for item in request.event["notificationItems"]:
            item = item["NotificationRequestItem"]
            content = ":".join(as_text(pointer(item, field)) for field in ADYEN_FIELDS)
            item["additionalData"]["hmacSignature"] = b64(hmac.digest(bytes.fromhex(secret), content.encode(), "sha256"))
        return request.encode()

    def cases(self):
        secret, password = make_secret("hex", self.name), make_secret("text", "adyen basic")
        params = {"secret": secret, "user": "towpath", "password": password}

        def one(name, request, expect):
            Token("basic").put(request, password)
            return self.case(name, request, expect, params)

        request = self.sign(self.event, secret)
        yield one("event", request, self.stored(request))
        two = self.sign(self.second(), secret)
        yield one("event.two-items", two, self.stored(two))
        for field, value in (("amount", {"value": 1, "currency": "EUR"}), ("success", "false"), ("merchantReference", "TestPayment-2")):
            changed = self.sign(self.event, secret)
            changed.event["notificationItems"][0]["NotificationRequestItem"][field] = value
            yield one(f"refused.{field}-changed", changed.encode(), refused())
        yield one("refused.other-key", self.sign(self.event, make_secret("hex", "another")), refused())
        changed = copy.deepcopy(two)
        changed.event["notificationItems"][1]["NotificationRequestItem"]["amount"]["value"] = 9
        yield one("refused.second-item-changed", changed.encode(), refused())
        changed = copy.deepcopy(two)
        del changed.event["notificationItems"][1]["NotificationRequestItem"]["additionalData"]
        yield one("refused.second-item-unsigned", changed.encode(), refused())
        changed = copy.deepcopy(two)
        changed.event["notificationItems"] = []
        yield one("refused.no-items", changed.encode(), refused())


# Mandrill, Plivo and Twilio: the URL, then the sorted form


def url_variants(provider):
    """A query is part of the URL that is signed, as it came."""
    request = provider.make()
    request.query = "tenant=7&x=%20y"
    yield provider.case("event.query", provider.auth.apply(request, provider.all_params()), {"outcome": "stored"})
    changed = request.copy()
    changed.query = "tenant=8&x=%20y"
    yield provider.case("refused.query-changed", changed, refused())


def twilio_json(provider):
    yield from url_variants(provider)
    params = provider.all_params()
    auth = S("x-twilio-signature", algorithm="hmac-sha1", encoding="base64", signed="{url}")
    for name, event, sent in (("event.json", {"hello": "world"}, {"hello": "world"}), ("refused.json-changed", {"hello": "world"}, {"hello": "moon"})):
        request = provider.make(event)
        request.content_type = "application/json"
        request.query = "bodySHA256=" + hashlib.sha256(request.body).hexdigest()
        auth.apply(request, params)
        request.event = sent
        request.encode()
        yield provider.case(name, request, {"outcome": "stored"} if event == sent else refused())
    request = provider.make({"hello": "world"})
    request.content_type = "application/json"
    note = "The URL is signed, but does not hold the hash of the body: anyone can put another body behind it."
    yield provider.case("refused.json-without-hash", auth.apply(request, params), refused(), note=note)
    request = provider.make(Form([*provider.event, ("Empty", ""), ("Twice", "b"), ("Twice", "a")]))
    yield provider.case("event.empty-and-repeated-fields", provider.auth.apply(request, params), {"outcome": "stored"})


class Plivo(Provider):
    """From the SDK, plivo/utils/signature_v3.py: a form is joined by `.` to the sorted query, or by `?` where there is none."""

    def cases(self):
        params = {"secret": make_secret("text", self.name), "url": "https://hooks.example.com/hooks/plivo"}
        where = "x-plivo-signature-v3"
        with_query = S(where, encoding="base64", signed="{url}.{form*}.{header:x-plivo-signature-v3-nonce}")
        without = S(where, encoding="base64", signed="{url}?{form*}.{header:x-plivo-signature-v3-nonce}")

        def make(query="tenant=7"):
            request = self.make().set("x-plivo-signature-v3-nonce", "05429567804466091622")
            request.query = query
            return request

        request = with_query.apply(make(), params)
        yield self.case("event", request, self.stored(request), params, note="The URL as registered has a query.")
        request = without.apply(make(""), params)
        yield self.case("event.no-query", request, self.stored(request), params, note="The URL as registered has no query.")
        bad = with_query.apply(make(), params, other=True).header(where)
        request = with_query.apply(make(), params)
        request.set(where, f"{bad},{request.header(where)}")
        yield self.case("event.two-signatures", request, self.stored(request), params)
        for name, request in with_query.refusals(make, params):
            yield self.case(f"refused.{name}", request, refused(), params)
        for name, request in without.refusals(lambda: make(""), params):
            if name in ("body-changed", "other-key"):
                yield self.case(f"refused.no-query.{name}", request, refused(), params)


# Dropbox Sign: JSON in a field of a multipart form


class DropboxSign(Provider):
    def sign(self, secret, other=False, **change):
        event = copy.deepcopy(self.event)
        content = event["event"]["event_time"] + event["event"]["event_type"]
        key = (secret + ("x" if other else "")).encode()
        event["event"]["event_hash"] = hmac.digest(key, content.encode(), "sha256").hex()
        event["event"].update(change)
        return self.make(Multipart([("json", json.dumps(event))]))

    def cases(self):
        params = {"secret": make_secret("text", self.name)}
        secret = params["secret"]
        expect = {"outcome": "stored", **self.ack, "order": "fa5c8a0b"}
        yield self.case("event", self.sign(secret), expect, params)
        yield self.case("refused.type-changed", self.sign(secret, event_type="signature_request_all_signed"), refused(), params)
        yield self.case("refused.time-changed", self.sign(secret, event_time=str(SENT - 60)), refused(), params)
        yield self.case("refused.other-key", self.sign(secret, other=True), refused(), params)
        yield self.case("refused.signature-empty", self.sign(secret, event_hash=""), refused(), params)
        yield self.case("refused.no-json", self.make(Multipart([("other", "1")])), refused(), params)


# Mandrill: the events are JSON in a form


class Mandrill(Provider):
    def cases(self):
        params = {"secret": make_secret("text", self.name), "url": "https://hooks.example.com/hooks/mandrill"}
        one = {"event": "send", "_id": "exampleaaaaaaaaaaaaaaaaaaaaaaaaa", "ts": SENT, "msg": {"subject": "It's 5 & up"}}

        def make(items=(one,)):
            return self.make(Form([("mandrill_events", json.dumps(items))]))

        for name, items in (("event", [one]), ("event.two-items", [one, {**one, "_id": "exampleb"}])):
            yield self.case(name, self.auth.apply(make(items), params), {"outcome": "stored", "items": len(items)}, params)
        for name, request in self.auth.refusals(make, params):
            yield self.case(f"refused.{name}", request, refused(), params)
        for found in reachable("HEAD")(self):
            yield {**found, "params": params}


# Paymob: twenty fields in a fixed order, booleans as JSON writes them


PAYMOB_FIELDS = (
    "amount_cents created_at currency error_occured has_parent_transaction id integration_id is_3d_secure is_auth is_capture is_refunded "
    "is_standalone_payment is_voided order/id owner pending source_data/pan source_data/sub_type source_data/type success"
).split()
PAYMOB = {
    "type": "TRANSACTION",
    "obj": {
        "id": 192036465, "pending": False, "amount_cents": 100000, "success": True, "is_auth": False, "is_capture": False,
        "is_standalone_payment": True, "is_voided": False, "is_refunded": False, "is_3d_secure": True, "integration_id": 4097558,
        "has_parent_transaction": False, "order": {"id": 217503754, "currency": "EGP"}, "created_at": "2026-09-21T17:13:18.475223",
        "currency": "EGP", "error_occured": False, "owner": 302852,
        "source_data": {"pan": "2346", "type": "card", "sub_type": "MasterCard"},
    },
}  # fmt: skip


def paymob_fields(provider):
    for name, value in (("success", False), ("is_refunded", True), ("created_at", "2026-09-21T17:13:19.475223")):
        request = provider.signed()
        request.event["obj"][name] = value
        yield provider.case(f"refused.{name}-changed", request.encode(), refused())


# Praxis: the values of named fields, then the secret


PRAXIS_FIELDS = (
    "/merchant_id",
    "/application_key",
    "/timestamp",
    "/customer/customer_token",
    "/session/order_id",
    "/transaction/tid",
    "/transaction/currency",
    "/transaction/amount",
    "/transaction/conversion_rate",
    "/transaction/processed_currency",
    "/transaction/processed_amount",
)


# Treezor: the payload is signed as PHP writes it, which is not how it was sent


class Treezor(Provider):
    def sign(self, secret, change=None):
        event = copy.deepcopy(self.event)
        signed = json.dumps(event["object_payload"], separators=(",", ":")).replace("/", "\\/")
        event["object_payload_signature"] = b64(hmac.digest(secret.encode(), signed.encode(), "sha256"))
        event["object_payload"].update(change or {})
        return self.make(event)

    def cases(self):
        params = {"secret": make_secret("text", self.name)}
        note = "What is signed is not a part of the body: it must be written again as PHP's json_encode does."
        unsupported = {"outcome": "unsupported"}
        yield self.case("event", self.sign(params["secret"]), {**unsupported, **self.ack}, params, note=note)
        yield self.case("refused.body-changed", self.sign(params["secret"], {"userId": "2"}), unsupported, params)
        yield self.case("refused.other-key", self.sign("another"), unsupported, params)


# Paddle Classic: a form, sorted and serialized by PHP


class PaddleClassic(Provider):
    def sign(self, key, event=None):
        kept = sorted(self.event)

        def text(value):
            return f's:{len(value.encode())}:"{value}";'

        content = f"a:{len(kept)}:{{" + "".join(text(name) + text(value) for name, value in kept) + "}"
        signature = b64(sign_public("rsa-sha1", key, content.encode()))
        return self.make(Form([*(event or self.event), ("p_signature", signature)]))

    def cases(self):
        params = {"public_key": public_pem("rsa")}
        unsupported = {"outcome": "unsupported"}
        note = "What is signed is the form as PHP's serialize() writes it."
        yield self.case("event", self.sign("rsa"), unsupported, params, note=note)
        changed = [(name, "0.01" if name == "amount" else value) for name, value in self.event]
        yield self.case("refused.body-changed", self.sign("rsa", changed), unsupported, params)
        yield self.case("refused.other-key", self.sign("rsa-other"), unsupported, params)


# Coinbase (Hook0): the signature names the headers that it covers


HOOK0_HEADERS = ("x-hook0-id", "content-type")


class Hook0(Provider):
    def sign(self, secret, at=SENT, other=False, names=HOOK0_HEADERS):
        request = self.make().set("x-hook0-id", "0a6f9e9b-hook0")
        values = [request.content_type if name == "content-type" else request.header(name) for name in names]
        content = f"{at}.{' '.join(names)}.{'.'.join(values)}.".encode() + request.body
        signature = hmac.digest((secret + ("x" if other else "")).encode(), content, "sha256").hex()
        return request.set("x-hook0-signature", f"t={at},h={' '.join(names)},v1={signature}")

    def cases(self):
        params = {"secret": make_secret("text", self.name)}
        secret = params["secret"]
        request = self.sign(secret)
        yield self.case("event", request, self.stored(request), params)
        request = self.sign(secret, names=("x-event-id",))
        yield self.case("event.one-header", request, self.stored(request), params)
        request = self.sign(secret)
        request.body = request.body.replace(b"{", b'{"tampered":true,', 1)
        yield self.case("refused.body-changed", request, refused(), params)
        yield self.case("refused.header-changed", self.sign(secret).set("x-hook0-id", "another"), refused(), params)
        request = self.sign(secret)
        request.set("x-hook0-signature", request.header("x-hook0-signature").replace("x-hook0-id content-type", "x-hook0-id"))
        yield self.case("refused.header-list-changed", request, refused(), params)
        yield self.case("refused.other-key", self.sign(secret, other=True), refused(), params)
        yield self.case("refused.signature-missing", self.sign(secret).drop("x-hook0-signature"), refused(), params)
        yield self.case("refused.too-old", self.sign(secret, at=NOW - 4 * HOUR), refused(), params)


# Two whose documents do not say how they sign


class Unknown(Provider):
    def cases(self):
        params = {"secret": make_secret(self.auth.secret_kind, self.name)}
        note = "The document does not say what is signed, so no valid request is known."
        yield self.case("refused.signature-missing", self.make(), refused(), params, note=note)
        for name, value in (("empty", ""), ("nonsense", "0" * 64), ("of-nothing", hmac.digest(b"", b"", "sha256").hex())):
            request = self.make().set(self.auth.where.removeprefix("header:"), value)
            yield self.case(f"refused.signature-{name}", request, refused(), params)


TABLE = [
    Adyen("adyen", {"live": "false", "notificationItems": [{"NotificationRequestItem": ADYEN_ITEM}]},
          dedup="/notificationItems/0/NotificationRequestItem/pspReference",
          order="/notificationItems/0/NotificationRequestItem/merchantReference", batch="/notificationItems", ack={"statuses": [200, 202]}),
    Unknown("claude-managed-agents", {"id": "evt-1", "type": "session.status_idled", "data": {"id": "sesn_1"}},
            S("x-webhook-signature", key="whsec")),
    Hook0("coinbase-cdp", {"eventType": "onchain.activity.detected", "network": "base-mainnet", "data": {"hash": "0xabc"}},
          dedup="header:x-event-id"),
    DropboxSign("dropbox-sign", {"event": {"event_time": str(SENT), "event_type": "signature_request_sent", "event_hash": ""},
                                 "signature_request": {"signature_request_id": "fa5c8a0b", "title": "NDA"}},
                ack={"status": 200, "body": "Hello API Event Received"}),
    P("lever", {"id": "l-1", "event": "candidateHired", "triggeredAt": 1789999998137, "token": "b60df3b0", "signature": "",
                "data": {"opportunityId": "op-1"}},
      S("/signature", signed="{json:/token}{json:/triggeredAt}", covers="/token"), dedup="/token", order="/data/opportunityId"),
    P("mailgun", {"signature": {"timestamp": "", "token": "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0", "signature": ""},
                  "event-data": {"event": "delivered", "id": "ev1", "timestamp": 1789999995.5, "recipient": "a@example.com",
                                 "message": {"headers": {"message-id": "m1@example.com"}}}},
      S("/signature/signature", signed="{timestamp}{json:/signature/token}", time="/signature/timestamp", covers="/signature/token"),
      dedup="/signature/token", order="/event-data/message/headers/message-id"),
    Mandrill("mandrill", None, S("x-mandrill-signature", algorithm="hmac-sha1", encoding="base64", signed="{url}{form*}")),
    P("midtrans", {"transaction_status": "capture", "order_id": "Postman-1578568851", "status_code": "200", "gross_amount": "10000.00",
                   "signature_key": "", "fraud_status": "accept"},
      S("/signature_key", algorithm="sha512", signed="{json:/order_id}{json:/status_code}{json:/gross_amount}{secret}", covers="/gross_amount"),
      order="/order_id"),
    PaddleClassic("paddle-classic", Form([("alert_id", "1286473671"), ("alert_name", "subscription_payment_succeeded"), ("amount", "9.99"),
                                          ("email", "zoë@example.com"), ("subscription_id", "8")])),
    P("paymob", PAYMOB,
      S("query:hmac", algorithm="hmac-sha512", signed="".join("{json:/obj/%s}" % name for name in PAYMOB_FIELDS), covers="/obj/currency"),
      order="/obj/order/id", extra=paymob_fields),
    Plivo("plivo", Form([("From", "14155550100"), ("To", "15005550006"), ("Text", "Hallo Wörld & more"), ("MessageUUID", "5b40a428")]),
          order="form:MessageUUID"),
    P("praxis", {"merchant_id": "Test-Integration-Merchant", "application_key": "Sandbox", "timestamp": SENT, "version": "1.3",
                 "customer": {"customer_token": "9f8e7d6c"}, "session": {"order_id": "test-1560610955"},
                 "transaction": {"tid": 756850, "currency": "USD", "amount": 100, "conversion_rate": 1.5, "processed_currency": "USD",
                                 "processed_amount": 150, "transaction_status": "approved"}},
      S("gt-authentication", algorithm="sha384", signed="".join("{json:%s}" % path for path in PRAXIS_FIELDS) + "{secret}",
        covers="/transaction/amount"),
      order="/transaction/tid", ack={"status": 200}),
    Unknown("seven-shifts", {"id": 1, "event": "user.created"}, S("x-hmac-signature"), dedup="header:x-webhook-id"),
    Treezor("treezor", {"webhook": "user.create", "webhook_id": "w-1", "object": "user", "object_id": "1",
                        "object_payload": {"userId": "1", "email": "zoë@example.com", "url": "https://a/b"}, "object_payload_signature": ""},
            content_type="text/plain", ack={"status": 200}),
    P("twilio", Form([("To", "+15005550006"), ("From", "+14155550100"), ("Body", "héllo + world & more"),
                      ("MessageSid", "SM00000000000000000000000000000001"), ("AccountSid", "AC0001")]),
      S("x-twilio-signature", algorithm="hmac-sha1", encoding="base64", signed="{url}{form*}"), dedup="header:i-twilio-idempotency-token",
      order="form:MessageSid", extra=twilio_json),
]  # fmt: skip
