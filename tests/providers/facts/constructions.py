"""Constructions that no provider of the other tables uses, but that the configuration can say. Each brings its `verify` table.

In these tables `secret` is the name of the secret: its value is the parameter of that name.
"""

import base64
import gzip
import hashlib
import hmac
import zlib

from signing import (
    HOST,
    NOW,
    SENT,
    Form,
    Jwt,
    Multipart,
    Provider,
    Signature,
    Token,
    b64,
    b64url,
    certificate,
    jwk,
    public_pem,
    public_raw,
    public_spki,
    refused,
    served,
    sign_public,
    stamp,
)

S = Signature
EVENT = {"id": "evt_1", "type": "order.paid", "data": {"order": "A-7", "amount": 12.5, "note": "Grüße, 東京"}}
MAC = 'scheme = "signature"\nsecret = "secret"\nsignature = "header:x-signature"\n'
PUBLIC = 'scheme = "signature"\nsignature = "header:x-signature"\n'


def pem(key):
    return f'public_key = """\n{public_pem(key)}"""\n'


def X(name, config, auth, event=EVENT, **more):
    """A construction: `config` is its `verify` table."""
    return Provider(f"x-{name}", event, auth, config=config, **more)


def digest(name, data) -> bytes:
    return hashlib.new(name, data).digest()


def padded(provider):
    request = provider.signed()
    request.set("x-signature", request.header("x-signature") + "=")
    yield provider.case("event.padded", request, {"outcome": "stored"}, note="Padding is allowed where it is right.")


def lower_case(provider):
    request = provider.signed()
    request.set("x-signature", request.header("x-signature").lower())
    yield provider.case("event.lower-case", request, {"outcome": "stored"})


def two_names(provider):
    request = provider.signed()
    request.set("x-signature", request.header("x-signature").replace("s1=", "s2="))
    yield provider.case("event.other-name", request, {"outcome": "stored"})
    request = provider.signed()
    request.set("x-signature", request.header("x-signature").replace("s1=", "s3="))
    yield provider.case("refused.unknown-name", request, refused())


def moved_to(header, old="x-signature"):
    """The signature may stand in either of two headers."""

    def cases(provider):
        request = provider.signed()
        request.set(header, request.header(old)).drop(old)
        yield provider.case("event.other-header", request, {"outcome": "stored"})

    return cases


def without_optional(provider):
    for name, change in (("null", None), ("missing", ...)):
        event = {**EVENT, "parent": change}
        if change is ...:
            del event["parent"]
        request = provider.make(event)
        content = f"{event['id']}//{event['type']}"
        raw = hmac.digest(provider.all_params()["secret"].encode(), content.encode(), "sha256")
        yield provider.case(f"event.{name}", request.set("x-signature", raw.hex()), {"outcome": "stored"})


def optional_text(request, when, secret):
    return f"{request.event['id']}/{request.event.get('parent') or ''}/{request.event['type']}".encode()


def raw_data(request, when, secret):
    """The bytes of `/data` as they were sent: the only object in braces inside the event."""
    start = request.body.index(b'"data":') + len(b'"data":')
    return request.body[start : request.body.rindex(b"}")].strip()


def nested(request, when, secret):
    sent = dict(request.event)["data"]
    return f"evt_1.{sent}".encode()


def repeated_fields(request, when, secret):
    return "".join(name + value for name, value in sorted(request.event)).encode()


def encoded_form(request, when, secret):
    return request.method.encode() + b"|" + repeated_fields(request, when, secret)


def changed_order(provider):
    request = provider.make(Form(reversed(provider.event)))
    yield provider.case("event.other-order", provider.auth.apply(request, provider.all_params()), {"outcome": "stored"})


class Items(Provider):
    """Every element of an array has a signature over its own fields."""

    def sign(self, event, key):
        request = self.make(event)
        for item in request.event["events"]:
            item["sig"] = hmac.digest(key.encode(), f"{item['id']}|{item['amount']}".encode(), "sha256").hex()
        return request.encode()

    def cases(self):
        params = self.all_params()
        two = {"events": [{"id": "a", "amount": 1}, {"id": "b", "amount": 2}]}
        yield self.case("event", self.sign(two, params["secret"]), {"outcome": "stored"})
        yield self.case("refused.other-key", self.sign(two, "another"), refused())
        for name, change in (("one-changed", ("amount", 3)), ("one-unsigned", ("sig", ""))):
            request = self.sign(two, params["secret"])
            request.event["events"][1][change[0]] = change[1]
            yield self.case(f"refused.{name}", request.encode(), refused())
        yield self.case("refused.empty", self.sign({"events": []}, params["secret"]), refused())
        yield self.case("refused.not-an-array", self.make({"events": {}}), refused())


class Digest(Provider):
    """A header holds a hash of the body, and the signature covers the header alone."""

    def sign(self, body, hashed, other=False):
        request = self.make(body)
        request.set("digest", "SHA-256=" + b64(digest("sha256", hashed)))
        return self.auth.apply(request, self.all_params(), other=other)

    def cases(self):
        good = self.make().body
        yield self.case("event", self.sign(None, good), {"outcome": "stored"})
        yield self.case("refused.body-changed", self.sign({"id": "other"}, good), refused())
        yield self.case("refused.other-key", self.sign(None, good, other=True), refused())
        yield self.case("refused.digest-missing", self.sign(None, good).drop("digest"), refused())


PAYPAL_CERTIFICATE = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-test"


class PayPal(Provider):
    def sign(self, key="rsa", url=PAYPAL_CERTIFICATE, webhook="1JE4291016473214C", at=SENT):
        request = self.make().set("paypal-transmission-id", "69cd13f0-d67a-11e5-baa3-778b53f4ae55")
        request.set("paypal-transmission-time", stamp(at, "iso")).set("paypal-cert-url", url).set("paypal-auth-algo", "SHA256withRSA")
        crc = zlib.crc32(request.body)
        content = f"{request.header('paypal-transmission-id')}|{stamp(at, 'iso')}|{webhook}|{crc}"
        return request.set("paypal-transmission-sig", b64(sign_public("rsa-sha256", key, content.encode())))

    def cases(self):
        self.keys = [served(PAYPAL_CERTIFICATE, certificate("rsa"), "application/x-pem-file")]
        yield self.case("event", self.sign(), {"outcome": "stored"})
        request = self.sign()
        request.body = request.body.replace(b"12.5", b"99.5")
        yield self.case("refused.body-changed", request, refused())
        yield self.case("refused.other-key", self.sign("rsa-other"), refused())
        yield self.case("refused.other-webhook", self.sign(webhook="another"), refused())
        yield self.case("refused.time-changed", self.sign().set("paypal-transmission-time", stamp(SENT + 1, "iso")), refused())
        yield self.case("refused.too-old", self.sign(at=NOW - 4 * 3600), refused())
        evil = "https://api.paypal.com.attacker.example/cert"
        keys = [*self.keys, served(evil, certificate("rsa-other"), "application/x-pem-file")]
        yield self.case("refused.certificate-elsewhere", self.sign("rsa-other", evil), refused(), keys=keys)


class HeaderList(Provider):
    def sign(self, key, names="x-event-id x-topic", at=SENT):
        request = self.make().set("x-event-id", "e-1").set("x-topic", "orders")
        values = ".".join(request.header(name) for name in names.split())
        content = f"{at}.{names}.{values}.".encode() + request.body
        value = f"time={at};names={names};sig={hmac.digest(key.encode(), content, 'sha256').hex()}"
        return request.set("x-signature", value)

    def cases(self):
        key = self.all_params()["secret"]
        yield self.case("event", self.sign(key), {"outcome": "stored"})
        yield self.case("event.one-name", self.sign(key, "x-topic"), {"outcome": "stored"})
        yield self.case("refused.header-changed", self.sign(key).set("x-topic", "refunds"), refused())
        yield self.case("refused.header-missing", self.sign(key).drop("x-topic"), refused())
        yield self.case("refused.other-key", self.sign("another"), refused())
        request = self.sign(key)
        request.set("x-signature", request.header("x-signature").replace("x-event-id x-topic", "x-topic"))
        yield self.case("refused.list-changed", request, refused())


class Compressed(Provider):
    """The compressed bytes are signed."""

    def cases(self):
        packed = gzip.compress(self.make().body, mtime=0)

        def sign(sent, signed, **how):
            request = self.make(signed).set("content-encoding", "gzip")
            self.auth.apply(request, self.all_params(), **how)
            request.body = sent
            return request

        plain = self.make().body
        yield self.case("event", sign(packed, packed), {"outcome": "stored"})
        yield self.case("refused.signed-uncompressed", sign(packed, plain), refused())
        yield self.case("refused.body-changed", sign(gzip.compress(b"{}", mtime=0), packed), refused())
        yield self.case("refused.other-key", sign(packed, packed, other=True), refused())


def body_hash(encoding, name="sha256", claim="sha256", **claims):
    def make(request, at, params):
        raw = digest(name, request.body)
        text = raw.hex() if encoding == "hex" else b64url(raw) if encoding == "base64url" else b64(raw)
        return {claim: text, "iat": int(at), "exp": int(at) + 300, **claims}

    return make


def kid_unknown(provider):
    auth = Jwt("x-jwt", alg=provider.auth.alg, key=provider.auth.key, kid="unknown", claims=provider.auth.claims)
    yield provider.case("refused.kid-unknown", auth.apply(provider.make(), {}), refused())


def not_yet(provider):
    request = provider.auth.apply(provider.make(), {}, change={"nbf": NOW + 4 * 3600})
    yield provider.case("refused.not-yet-valid", request, refused())


def whole_body(request):
    return request.body


def jwt_config(alg, claims, keys, more=""):
    return f'scheme = "jwt"\ntoken = "header:x-jwt"\nalgorithms = ["{alg}"]\n{keys}{more}claims = {{ {claims} }}\n'


JWKS = f"{HOST.replace('hooks', 'keys')}/jwks.json"
JWKS_CONFIG = f'jwks = {{ url = "{JWKS}", hosts = ["keys.example.com"] }}\n'


def fetched(provider):
    request = provider.signed().set("x-key-id", "../admin")
    yield provider.case("refused.key-id-is-a-path", request, refused())


def xml_text(request, when, secret):
    return b"A-7paid" + digest("sha1", request.body).hex().encode()


XML = '<?xml version="1.0"?>\n<order status="paid"><id>A-7</id><note>Fish &amp; chips</note></order>\n'

TABLE = [
    # How the signature is written, and where
    X("base64url-unpadded", MAC + 'encoding = "base64url"\n', S(encoding="base64url"), extra=padded),
    X("base64-of-hex", MAC + 'encoding = "base64-hex"\n', S(encoding="base64-hex")),
    X("sha512-upper-hex", MAC + 'algorithm = "hmac-sha512"\n', S(algorithm="hmac-sha512", encoding="HEX"), extra=lower_case),
    X("sha384-base64", MAC + 'algorithm = "hmac-sha384"\nencoding = "base64"\n', S(algorithm="hmac-sha384", encoding="base64")),
    X("pairs-semicolon-ms", MAC + 'pairs = { time = "ts", signature = ["s1", "s2"], between = ";" }\ntimestamp_unit = "ms"\n',
      S(shape="ts={timestamp};s1={signature}", signed="{timestamp}.{body}", unit="ms"), extra=two_names),
    X("pairs-iso-base64", MAC + 'pairs = { time = "at", signature = "sig", between = "," }\ntimestamp_unit = "iso"\nencoding = "base64"\n'
      'signed = "{timestamp}\\n{body}"\n',
      S(shape="at={timestamp}, sig={signature}", signed="{timestamp}\n{body}", unit="iso", encoding="base64")),
    X("two-headers", MAC.replace('"header:x-signature"', '["header:x-signature", "header:x-signature-old"]'), S(),
      extra=moved_to("x-signature-old")),
    X("signature-in-a-query", MAC.replace("header:x-signature", "query:sig") + 'signed = "{method}|{form*}"\n',
      S("query:sig", signed=encoded_form), Form([("b", "2 & 3"), ("a", "1"), ("a", "0")]), extra=changed_order),

    # Times
    X("time-iso-in-a-header", MAC + 'timestamp = "header:x-time"\ntimestamp_unit = "iso"\n',
      S(signed="{timestamp}.{body}", time="x-time", unit="iso-offset")),
    X("time-http-date", MAC + 'timestamp = "header:date"\ntimestamp_unit = "http"\nsigned = "{timestamp}\\n{body}"\ntolerance = "10m"\n',
      S(signed="{timestamp}\n{body}", time="date", unit="http", tolerance=600)),
    X("time-in-the-body", MAC + 'timestamp = "json:/sent_at"\ntimestamp_unit = "iso"\nsigned = "{body}"\n',
      S(time="/sent_at", unit="iso", tolerance=300), {"sent_at": "", "id": "evt_1"}),

    # What is signed
    X("multipart-fields", MAC.replace("header:x-signature", "form:signature") + 'timestamp = "form:timestamp"\n'
      'signed = "{timestamp}{form:token}"\nbody_unsigned = true\n',
      S("form:signature", signed="{timestamp}{form:token}", time="form:timestamp", covers=""),
      Multipart([("token", "50c1"), ("recipient", "bob@example.com"), ("body-plain", "Hallo\r\nWörld")])),
    X("multipart-sorted", MAC + 'signed = "{form*}"\n', S(signed="{form*}"), Multipart([("z", "last"), ("a", "größer"), ("m", "")])),
    X("form-repeated-fields", MAC + 'signed = "{form*}"\nalgorithm = "hmac-sha1"\nencoding = "base64"\n',
      S(signed=repeated_fields, algorithm="hmac-sha1", encoding="base64"), Form([("b", "2"), ("a", "z"), ("a", "ä"), ("a", ""), ("B", "1")]),
      extra=changed_order),
    X("md5-of-the-body", MAC + 'algorithm = "hmac-sha1"\nencoding = "base64"\ntimestamp = "header:x-time"\n'
      'signed = "{method}\\n{header:content-type}\\n{body|md5|base64}\\n{timestamp}"\n',
      S(signed=lambda r, when, secret: f"POST\n{r.content_type}\n{b64(digest('md5', r.body))}\n{when}".encode(), algorithm="hmac-sha1",
        encoding="base64", time="x-time")),
    X("double-hash", MAC + 'signed = "{body|sha256|hex}"\n', S(signed=lambda r, when, secret: digest("sha256", r.body).hex().encode())),
    X("double-hash-raw", MAC + 'signed = "{body|sha256}"\nencoding = "base64"\n',
      S(signed=lambda r, when, secret: digest("sha256", r.body), encoding="base64")),
    X("plain-md5", MAC + 'algorithm = "md5"\nsigned = "{body}{secret}"\n', S(algorithm="md5", signed="{body}{secret}")),
    X("plain-sha512-base64", MAC + 'algorithm = "sha512"\nencoding = "base64"\nsigned = "{secret}:{body}:{secret}"\n',
      S(algorithm="sha512", signed="{secret}:{body}:{secret}", encoding="base64")),
    X("raw-json-value", MAC + 'signed = "{raw:/data}"\nbody_unsigned = true\n',
      S(signed=raw_data, covers="/data/order"), {"id": "evt_1", "data": {"order": "A-7", "amount": 10.50, "note": "\u00fc\u2028/"}}, style="spaced"),
    X("optional-value", MAC + 'signed = "{json:/id}/{json:/parent|optional}/{json:/type}"\nbody_unsigned = true\n',
      S(signed=optional_text, covers="/parent"), {**EVENT, "parent": "evt_0"}, extra=without_optional),
    X("literal-braces", MAC + 'timestamp = "header:x-time"\nsigned = "{{{timestamp};{body}}}"\n',
      S(signed=lambda r, when, secret: b"{" + when.encode() + b";" + r.body + b"}", time="x-time")),
    X("trim-and-lower", MAC + 'signed = "{header:x-user|trim|lower}:{body}"\n',
      S(signed=lambda r, when, secret: r.header("x-user").strip().lower().encode() + b":" + r.body), headers={"x-user": "ADA@Example.com"}),
    X("xml-fields", MAC + 'signed = "{xml:/order/id}{xml:/order/@status}{body|sha1|hex}"\n', S(signed=xml_text), XML,
      content_type="application/xml"),
    X("json-inside-base64", MAC + 'signed = "{form:data|unbase64|json:/id}.{form:data}"\nbody_unsigned = true\n',
      S(signed=nested, covers=""), Form([("data", base64.b64encode(b'{"id":"evt_1","amount":5}').decode()), ("v", "2")])),
    PayPal("x-crc32", EVENT, config='scheme = "signature"\nsignature = "header:paypal-transmission-sig"\nalgorithm = "rsa-sha256"\n'
           'encoding = "base64"\ntimestamp = "header:paypal-transmission-time"\ntimestamp_unit = "iso"\n'
           'signed = "{header:paypal-transmission-id}|{timestamp}|1JE4291016473214C|{body|crc32|decimal}"\n'
           'body_unsigned = true\n'
           'certificate = { from = "header:paypal-cert-url", hosts = ["api.paypal.com", "api.sandbox.paypal.com"] }\n'),
    HeaderList("x-header-names", EVENT, S(), config=MAC + 'pairs = { time = "time", signature = "sig", between = ";" }\n'
               'signed = "{timestamp}.{pair:names}.{pair:names|headers}.{body}"\n'),
    Items("x-every-item", {}, S(), config=MAC.replace("header:x-signature", "item:/sig") + 'every = "/events"\n'
          'signed = "{item:/id}|{item:/amount}"\nbody_unsigned = true\n'),
    Digest("x-digest-header", EVENT, S(signed="{header:digest}"), config=MAC + 'signed = "{header:digest}"\nbody_unsigned = true\n'
           'equal = { "header:digest" = "SHA-256={body|sha256|base64}" }\n'),
    Compressed("x-gzip", EVENT, S(), config=MAC),

    # Keys
    X("key-hex", MAC + 'key = "{secret|unhex}"\n', S(key="hex")),
    X("key-base64", MAC + 'key = "{secret|unbase64}"\n', S(key="base64")),
    X("key-hashed", MAC + 'key = "{secret|sha256}"\n', S(key="sha256")),
    X("key-hashed-hex", MAC + 'key = "{secret|sha256|hex}"\n', S(key="sha256-hex")),
    X("key-with-a-prefix", MAC + 'key = "AWS4{secret}"\n', S(key="aws4")),
    X("ed25519-pem", PUBLIC + 'algorithm = "ed25519"\nencoding = "base64"\n' + pem("ed25519"),
      S(algorithm="ed25519", encoding="base64", key="ed25519")),
    X("ed25519-raw-base64", PUBLIC + 'algorithm = "ed25519"\ntimestamp = "header:x-time"\nsigned = "{timestamp}|{body}"\n'
      f'public_key = "{b64(public_raw("ed25519"))}"\n',
      S(algorithm="ed25519", key="ed25519", signed="{timestamp}|{body}", time="x-time")),
    X("ecdsa-p384", PUBLIC + 'algorithm = "ecdsa-p384-sha384"\nencoding = "base64"\n' + pem("p384"),
      S(algorithm="ecdsa-sha384", encoding="base64", key="p384")),
    X("ecdsa-p256-fixed", PUBLIC + 'algorithm = "ecdsa-p256-sha256-fixed"\nencoding = "base64url"\n' + f'public_key = "{public_spki("p256")}"\n',
      S(algorithm="ecdsa-sha256-fixed", encoding="base64url", key="p256")),
    X("rsa-sha512-hex", PUBLIC + 'algorithm = "rsa-sha512"\n' + pem("rsa"), S(algorithm="rsa-sha512", key="rsa")),
    X("rsa-sha384-base64", PUBLIC + 'algorithm = "rsa-sha384"\nencoding = "base64"\n' + pem("rsa"),
      S(algorithm="rsa-sha384", encoding="base64", key="rsa")),
    X("rsa-pss-sha256", PUBLIC + 'algorithm = "rsa-pss-sha256"\nencoding = "base64"\n' + pem("rsa"),
      S(algorithm="rsa-pss-sha256", encoding="base64", key="rsa")),
    X("rsa-pss-sha384", PUBLIC + 'algorithm = "rsa-pss-sha384"\nencoding = "base64url"\n' + pem("rsa"),
      S(algorithm="rsa-pss-sha384", encoding="base64url", key="rsa")),
    X("fetched-key", PUBLIC + 'algorithm = "ecdsa-p256-sha256"\nencoding = "base64"\n'
      'fetch = { url = "https://api.example.com/keys/{header:x-key-id}", pointer = "/data/publicKey", bearer = "api_key", '
      'hosts = ["api.example.com"] }\n',
      S(algorithm="ecdsa-sha256", encoding="base64", key="p256"), headers={"x-key-id": "k-1"}, params={"api_key": "api-key-1"},
      keys=[served("https://api.example.com/keys/k-1", {"data": {"publicKey": public_spki("p256")}}),
            served("https://api.example.com/admin", {"data": {"publicKey": public_spki("p256")}})], extra=fetched),

    # JWTs
    X("jwt-es256", jwt_config("ES256", 'sha256 = "{body|sha256|hex}"', pem("p256")),
      Jwt("x-jwt", alg="ES256", key="p256", claims=body_hash("hex"), wrong={"sha256": "0" * 64}), extra=not_yet),
    X("jwt-es384", jwt_config("ES384", 'h = "{body|sha512|base64url}"', pem("p384")),
      Jwt("x-jwt", alg="ES384", key="p384", claims=body_hash("base64url", "sha512", "h"))),
    X("jwt-eddsa-jwks", jwt_config("EdDSA", 'iss = "https://example.com", sha256 = "{body|sha256|base64}"', JWKS_CONFIG),
      Jwt("x-jwt", alg="EdDSA", key="ed25519", kid="new", claims=body_hash("base64", iss="https://example.com"),
          wrong={"iss": "https://example.org"}),
      keys=[served(JWKS, {"keys": [jwk("ed25519-other", "old", "EdDSA"), jwk("ed25519", "new", "EdDSA")]})], extra=kid_unknown),
    X("jwt-ps256", jwt_config("PS256", 'aud = ["towpath", "towpath-test"], sha256 = "{body|sha256|hex}"', pem("rsa")),
      Jwt("x-jwt", alg="PS256", claims=body_hash("hex", aud=["other", "towpath"]), wrong={"aud": ["other"]})),
    X("jwt-hs512", jwt_config("HS512", 'sha256 = "{body|sha256|hex}"', 'secret = "secret"\nmax_age = "5m"\n'),
      Jwt("x-jwt", alg="HS512", key="secret", claims=body_hash("hex"), wrong={"sha256": "0" * 64})),
    X("jwt-age-without-exp", jwt_config("HS256", 'sha256 = "{body|sha256|hex}"', 'secret = "secret"\nmax_age = "5m"\n'),
      Jwt("x-jwt", alg="HS256", key="secret", max_age=300,
          claims=lambda r, at, params: {"iat": int(at), "sha256": digest("sha256", r.body).hex()})),
    X("jws-detached", 'scheme = "jwt"\ntoken = "header:x-jws"\nalgorithms = ["RS256"]\ndetached = "{body}"\n' + pem("rsa"),
      Jwt("x-jws", payload=whole_body)),
    X("jws-detached-es384", 'scheme = "jwt"\ntoken = "header:x-jws"\nalgorithms = ["ES384"]\ndetached = "{method} {body|sha256|hex}"\n'
      + pem("p384"),
      Jwt("x-jws", alg="ES384", key="p384", payload=lambda r: f"POST {digest('sha256', r.body).hex()}".encode())),

    # Tokens
    X("token-in-xml", 'scheme = "token"\ntoken = "xml:/order/token"\nsecret = "secret"\n', Token("xml:/order/token"), XML,
      content_type="application/xml"),
    X("token-in-a-form", 'scheme = "token"\ntoken = "form:verification_token"\nsecret = "secret"\n', Token("form:verification_token"),
      Form([("payload", '{"id":1}')])),
    X("token-in-a-multipart-form", 'scheme = "token"\ntoken = "form:HandshakeKey"\nsecret = "secret"\n', Token("form:HandshakeKey"),
      Multipart([("rawRequest", '{"q1":"ä"}')])),
    X("token-in-a-query", 'scheme = "token"\ntoken = "query:key"\nsecret = "secret"\n', Token("query:key"), query="x=1"),
    X("token-with-a-prefix", 'scheme = "token"\ntoken = "header:authorization"\nprefix = "Token "\nsecret = "secret"\n',
      Token("authorization", prefix="Token ")),
    X("token-in-each-item", 'scheme = "token"\ntoken = "item:/auth/key"\nevery = "/events"\nsecret = "secret"\n',
      Token("/auth/key", each="/events"), {"events": [{"id": 1, "auth": {"key": ""}}, {"id": 2, "auth": {"key": ""}}]}),
]  # fmt: skip
