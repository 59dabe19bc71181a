"""Requests, keys and signatures, written from the providers' documents and not from Towpath's code.

The tables in `facts/` combine the parts below. The templates are those of the table alone: `{body}`, `{timestamp}`, `{secret}`, `{url}`,
`{method}`, `{header:NAME}`, `{query:NAME}`, `{json:/POINTER}`, `{form:NAME}` and `{form*}`.
"""

import base64
import copy
import hashlib
import hmac
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

NOW = 1790000000
"""The clock of the check: 2026-09-21T14:13:20Z."""
SENT = NOW - 2
HOUR = 3600
HOST = "https://hooks.example.com"
KEYS = Path(__file__).parent / "keys"


# Encodings


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4))


ENCODE = {
    "hex": lambda raw: raw.hex(),
    "HEX": lambda raw: raw.hex().upper(),
    "base64": b64,
    "base64url": b64url,
    "base64url-padded": lambda raw: base64.urlsafe_b64encode(raw).decode(),
    "base64-hex": lambda raw: b64(raw.hex().encode()),
}

# What an operator enters, and the bytes that the provider uses as the key.
KEY = {
    "text": lambda secret: secret.encode(),
    "hex": bytes.fromhex,
    "base64": unb64,
    "whsec": lambda secret: unb64(secret.removeprefix("whsec_")),
    "sha1": lambda secret: hashlib.sha1(secret.encode()).digest(),
    "sha256": lambda secret: hashlib.sha256(secret.encode()).digest(),
    "aws4": lambda secret: b"AWS4" + secret.encode(),
    "sha256-hex": lambda secret: hashlib.sha256(secret.encode()).hexdigest().encode(),
}


def random_text(label: str, length: int = 32) -> str:
    """The same text for the same label, so that the output can be reproduced."""
    return hashlib.sha512(f"towpath test {label}".encode()).hexdigest()[:length]


def random_uuid(label: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://towpath.test/{label}"))


def make_secret(kind: str, label: str) -> str:
    raw = hashlib.sha512(f"towpath test {label}".encode()).digest()
    if kind == "hex":
        return raw[:32].hex().upper()
    if kind == "base64":
        return b64(raw[:32])
    if kind == "whsec":
        return "whsec_" + b64(raw[:24])
    return f"{label}-{raw.hex()[:24]}"


def stamp(at: float, unit: str) -> str:
    """A time as a provider writes it."""
    when = datetime.fromtimestamp(at, timezone.utc)
    if unit == "s":
        return str(int(at))
    if unit == "ms":
        return str(int(at) * 1000 + 417)
    if unit == "iso":
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")
    if unit == "iso-ns":
        return when.strftime("%Y-%m-%dT%H:%M:%S.634234626Z")
    if unit == "iso-offset":
        return when.astimezone(timezone(timedelta(hours=-7))).strftime("%Y-%m-%dT%H:%M:%S-07:00")
    if unit == "http":
        return format_datetime(when, usegmt=True)
    raise ValueError(unit)


# Requests


class Form(list):
    """Fields of a form, in the order in which they are sent."""


class Multipart(list):
    """Fields of a multipart form, in the order in which they are sent."""


BOUNDARY = "towpath-test-boundary-7d1a"


@dataclass
class Request:
    event: object
    path: str
    content_type: str = ""
    style: str = "compact"
    method: str = "POST"
    query: str = ""
    headers: list = field(default_factory=list)
    body: bytes = b""

    def encode(self):
        """Write the event as bytes. Called again after a signature was put into the event."""
        event = self.event
        if event is None:
            self.body = b""
        elif isinstance(event, bytes):
            self.body = event
        elif isinstance(event, str):
            self.body = event.encode()
        elif isinstance(event, Multipart):
            parts = [
                f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in event
            ]
            self.body = ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()
            self.content_type = f"multipart/form-data; boundary={BOUNDARY}"
        elif isinstance(event, Form):
            self.body = urlencode(event).encode()
        elif self.style == "pretty":
            self.body = json.dumps(event, ensure_ascii=False, indent=2).encode()
        elif self.style == "spaced":
            self.body = json.dumps(event).encode()
        elif self.style == "php":
            text = json.dumps(event, separators=(",", ":"))
            self.body = text.replace("/", "\\/").encode()
        else:
            self.body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        return self

    @property
    def url(self) -> str:
        return HOST + self.path + (f"?{self.query}" if self.query else "")

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known == name), "")

    def set(self, name: str, value: str):
        self.drop(name)
        self.headers.append([name, value])
        return self

    def drop(self, name: str):
        self.headers = [pair for pair in self.headers if pair[0] != name]
        return self

    def set_query(self, name: str, value: str):
        pairs = [pair for pair in parse_qsl(self.query, keep_blank_values=True) if pair[0] != name]
        self.query = urlencode([*pairs, (name, value)])
        return self

    def drop_query(self, name: str):
        self.query = urlencode([pair for pair in parse_qsl(self.query, keep_blank_values=True) if pair[0] != name])
        return self

    def copy(self):
        return copy.deepcopy(self)

    def as_json(self) -> dict:
        headers = [pair for pair in self.headers if pair[0] != "content-type"]
        if self.content_type:
            headers.insert(0, ["content-type", self.content_type])
        body = base64.b64encode(self.body).decode()
        return {"method": self.method, "path": self.path, "query": self.query, "headers": headers, "body_base64": body}


def as_text(value) -> str:
    """A JSON value as the text that is signed or compared: strings without quotes, anything else as it is written."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pointer(value, path: str):
    """RFC 6901."""
    for step in path.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def put(value, path: str, new):
    *parents, last = path.split("/")[1:]
    for step in parents:
        value = value[int(step)] if isinstance(value, list) else value[step]
    value[int(last) if isinstance(value, list) else last] = new


def fields(event) -> list:
    return [(name, value) for name, value in event] if isinstance(event, (Form, Multipart)) else []


def sorted_form(request: Request) -> str:
    return "".join(name + value for name, value in sorted(fields(request.event)))


def read(request: Request, where: str) -> str:
    """The value at `header:NAME`, `query:NAME`, `form:NAME`, `xml:/a/b`, `jwt:NAME/…` or a JSON pointer."""
    kind, _, name = where.partition(":")
    if kind == "header":
        return request.header(name)
    if kind == "query":
        return dict(parse_qsl(request.query, keep_blank_values=True)).get(name, "")
    if kind == "form":
        return dict(reversed(fields(request.event))).get(name, "")
    if kind == "xml":
        steps = name.strip("/").split("/")
        return (ElementTree.fromstring(request.body).findtext("/".join(steps[1:])) or "") if steps[1:] else ""
    return as_text(pointer(request.event, where.removeprefix("json:")))


def expand(template: str, request: Request, **values: str) -> bytes:
    """Fill a template. The body stays bytes: it need not be UTF-8."""

    def value(match) -> bytes:
        name = match[1]
        if name == "body":
            return request.body
        if name == "body64":
            return base64.b64encode(request.body)
        if name in values:
            return values[name].encode()
        if name == "url":
            return request.url.encode()
        if name == "method":
            return request.method.encode()
        if name == "form*":
            return sorted_form(request).encode()
        return read(request, name.removeprefix("json:")).encode()

    parts = re.split(r"(\{[^{}]+\})", template)
    return b"".join(value(re.fullmatch(r"\{(.+)\}", p)) if p.startswith("{") and len(p) > 2 else p.encode() for p in parts)


def tamper(request: Request) -> Request:
    """Add something to the body that changes its bytes and its meaning, and keeps it well-formed."""
    event = request.event
    if isinstance(event, (Form, Multipart)):
        request.event = type(event)([*event, ("tampered", "1")])
        return request.encode()
    body = request.body
    start = body.find(b"{")
    if start >= 0:
        rest = body[start + 1 :]
        comma = b"" if rest.lstrip().startswith(b"}") else b","
        request.body = body[: start + 1] + b'"tampered":true' + comma + rest
    else:
        request.body = body + b"tampered"
    return request


def other_character(text: str, at: int) -> str:
    """Change one character, and keep it valid in the encoding."""
    at %= len(text)
    old = text[at]
    new = "1" if old == "0" else "0" if old.isdigit() else "b" if old in "aA" else "a"
    return text[:at] + new + text[at + 1 :]


def damage(text: str) -> str:
    """Change one character of the longest run of hex or base64, near its end but not where base64 has bits that do not count."""
    start, run = max(((m.start(), m[0]) for m in re.finditer(r"[A-Za-z0-9+/_-]{16,}", text)), key=lambda found: len(found[1]))
    return text[:start] + other_character(run, -8) + text[start + len(run) :]


# Keys


def private_key(name: str):
    return serialization.load_pem_private_key((KEYS / f"{name}.pem").read_bytes(), None)


def public_pem(name: str) -> str:
    public = private_key(name).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def public_spki(name: str) -> str:
    public = private_key(name).public_key()
    return b64(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def public_raw(name: str) -> bytes:
    """The 32 bytes of an Ed25519 key."""
    return private_key(name).public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def certificate(name: str) -> str:
    return (KEYS / f"{name}.crt").read_text()


def jwk(name: str, kid: str, alg: str) -> dict:
    def number(value: int, size: int = 0) -> str:
        return b64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))

    public = private_key(name).public_key()
    key = {"kid": kid, "use": "sig", "alg": alg}
    if name.startswith("rsa"):
        numbers = public.public_numbers()
        return {"kty": "RSA", **key, "n": number(numbers.n), "e": number(numbers.e)}
    if name.startswith("p"):
        numbers = public.public_numbers()
        size = public.key_size // 8
        curve = {32: "P-256", 48: "P-384"}[size]
        return {"kty": "EC", **key, "crv": curve, "x": number(numbers.x, size), "y": number(numbers.y, size)}
    return {"kty": "OKP", **key, "crv": "Ed25519", "x": b64url(public_raw(name))}


def served(url: str, body, content_type: str = "application/json", method: str = "GET") -> dict:
    """An answer of the network that the test fakes."""
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    found = {"url": url, "status": 200, "content_type": content_type, "body": text}
    return found if method == "GET" else {"method": method, **found}


HASH = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}


def sign_pss(key, content: bytes, name: str, salt_size: int = -1) -> bytes:
    """RSASSA-PSS of RFC 8017 with a salt that follows from the content, so that the output can be reproduced.

    Any salt is valid. By default it is as long as the hash, as JOSE and most providers want it.
    """
    size = hashlib.new(name).digest_size
    salt_size = size if salt_size < 0 else salt_size
    salt = hashlib.shake_256(b"towpath test salt" + content).digest(salt_size)
    digest = hashlib.new(name, b"\0" * 8 + hashlib.new(name, content).digest() + salt).digest()
    length = key.key_size // 8
    block = b"\0" * (length - salt_size - size - 2) + b"\1" + salt
    mask = b"".join(hashlib.new(name, digest + i.to_bytes(4, "big")).digest() for i in range(length // size + 1))
    masked = bytes(a ^ b for a, b in zip(block, mask))
    masked = bytes([masked[0] & 0x7F]) + masked[1:]
    numbers = key.private_numbers()
    message = int.from_bytes(masked + digest + b"\xbc", "big")
    signature = pow(message, numbers.d, numbers.public_numbers.n).to_bytes(length, "big")
    # OpenSSL agrees, or the tests would prove nothing.
    key.public_key().verify(signature, content, padding.PSS(padding.MGF1(HASH[name]()), salt_size), HASH[name]())
    return signature


def fixed(key, der: bytes) -> bytes:
    """r and s of an ECDSA signature, one after the other."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    size = key.key_size // 8
    return b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(der))


def sign_public(algorithm: str, key_name: str, content: bytes) -> bytes:
    """`rsa-sha256`, `rsa-pss-sha512`, `ecdsa-sha256` (DER), `ecdsa-sha256-fixed` or `ed25519`."""
    key = private_key(key_name)
    if algorithm == "ed25519":
        return key.sign(content)
    kind, _, name = algorithm.partition("-")
    if kind == "ecdsa":
        name, _, form = name.partition("-")
        der = key.sign(content, ec.ECDSA(HASH[name](), deterministic_signing=True))
        return fixed(key, der) if form else der
    if name.startswith("pss-"):
        return sign_pss(key, content, name.removeprefix("pss-"))
    return key.sign(content, padding.PKCS1v15(), HASH[name]())


JWA = {"RS": "rsa-sha", "PS": "rsa-pss-sha", "ES": "ecdsa-sha"}


def jws(header: dict, payload: bytes, key, detached: bool = False) -> str:
    """A JWS in compact form. `key` is bytes for HS*, else the name of a private key."""
    start = b64url(json.dumps(header, separators=(",", ":")).encode())
    middle = b64url(payload)
    content = f"{start}.{middle}".encode()
    alg = header["alg"]
    if alg == "none":
        raw = b""
    elif alg == "EdDSA":
        raw = sign_public("ed25519", key, content)
    elif alg.startswith("HS"):
        raw = hmac.digest(key, content, "sha" + alg[2:])
    else:
        raw = sign_public(JWA[alg[:2]] + alg[2:] + ("-fixed" if alg.startswith("ES") else ""), key, content)
    return f"{start}.{'' if detached else middle}.{b64url(raw)}"


def jwt(header: dict, claims: dict, key) -> str:
    return jws({"typ": "JWT", **header}, json.dumps(claims, separators=(",", ":")).encode(), key)


# Ways to prove who calls. Each has `params`, `apply` and `refusals`.


class Auth:
    secret_kind = "text"
    keys: list = []

    def params(self, name: str) -> dict:
        return {"secret": make_secret(self.secret_kind, name)}

    def apply(self, request: Request, params: dict, at: float = SENT):
        raise NotImplementedError

    def refusals(self, make, params: dict):
        """Yield (case, request) for requests that must be refused. `make` returns a fresh request without a signature."""
        raise NotImplementedError


@dataclass
class Signature(Auth):
    """A signature in a header, the query or the body, with a MAC, a plain hash or a public key."""

    where: str = "header:x-signature"
    signed: object = "{body}"
    """A template, or a function of the request, the time as written and the secret."""
    algorithm: str = "hmac-sha256"
    encoding: str = "hex"
    prefix: str = ""
    shape: str = "{signature}"
    """How the value is written: `t={timestamp},v1={signature}`."""
    time: str = ""
    """Where the time is sent, unless it is in `shape`: `header:NAME` or a pointer."""
    unit: str = "s"
    tolerance: int = 0
    key: str = "text"
    """How the bytes of the key follow from the secret, or the name of a private key."""
    other_key: str = ""
    covers: str = "body"
    """`body`, or a value of the event that is signed where the body is not."""
    timed: bool = True
    """Whether the time must be checked for age. False where a provider signs a time but no document wants it checked."""
    spki: bool = False

    def __post_init__(self):
        if ":" not in self.where and not self.where.startswith("/"):
            self.where = "header:" + self.where
        if self.time and ":" not in self.time and not self.time.startswith("/"):
            self.time = "header:" + self.time
        if self.public and not self.other_key:
            self.other_key = self.key + "-other"

    @property
    def public(self) -> bool:
        return self.algorithm.split("-")[0] in ("rsa", "ecdsa", "ed25519")

    @property
    def secret_kind(self):
        return self.key

    @property
    def template(self) -> str:
        return self.signed if isinstance(self.signed, str) else ""

    @property
    def has_time(self) -> bool:
        return bool(self.time) or "{timestamp}" in self.shape

    def params(self, name: str) -> dict:
        if self.public:
            return {"public_key": public_spki(self.key) if self.spki else public_pem(self.key)}
        return {"secret": make_secret(self.secret_kind, name)}

    def raw(self, request: Request, params: dict, when: str, other: bool = False) -> bytes:
        secret = params.get("secret", "")
        if other:
            kind = self.key if self.key in KEY else "text"
            secret = make_secret(kind, "another " + self.where)
        if callable(self.signed):
            content = self.signed(request, when, secret)
        else:
            content = expand(self.signed, request, timestamp=when, secret=secret)
        if self.public:
            return sign_public(self.algorithm, self.other_key if other else self.key, content)
        kind, _, name = self.algorithm.rpartition("-")
        if kind == "hmac":
            return hmac.digest(KEY[self.key](secret), content, name)
        return hashlib.new(self.algorithm, content).digest()

    def value(self, request: Request, params: dict, at: float, other: bool = False) -> str:
        when = stamp(at, self.unit)
        text = ENCODE[self.encoding](self.raw(request, params, when, other))
        return expand(self.shape, request, timestamp=when, signature=self.prefix + text).decode()

    def place(self, request: Request, where: str, value):
        kind, _, name = where.partition(":")
        if kind == "header":
            request.set(name, value)
        elif kind == "query":
            request.set_query(name, value)
        elif kind == "form":
            kept = [pair for pair in request.event if pair[0] != name]
            request.event = type(request.event)([*kept, (name, value)])
            request.encode()
        else:
            put(request.event, where, value)
            request.encode()

    def apply(self, request: Request, params: dict, at: float = SENT, other: bool = False):
        if self.time:
            self.place(request, self.time, stamp(at, self.unit))
        self.place(request, self.where, self.value(request, params, at, other))
        return request

    def strip(self, request: Request):
        kind, _, name = self.where.partition(":")
        if kind == "header":
            request.drop(name)
        elif kind == "query":
            request.drop_query(name)
        elif kind == "form":
            request.event = type(request.event)([pair for pair in request.event if pair[0] != name])
            request.encode()
        else:
            parent, _, last = self.where.rpartition("/")
            del pointer(request.event, parent)[last]
            request.encode()
        return request

    def refusals(self, make, params: dict):
        if self.covers == "body":
            yield "body-changed", tamper(self.apply(make(), params))
        elif self.covers:
            request = self.apply(make(), params)
            put(request.event, self.covers, as_text(pointer(request.event, self.covers)) + "0")
            yield "signed-field-changed", request.encode()
        yield "other-key", self.apply(make(), params, other=True)
        yield "signature-missing", self.strip(self.apply(make(), params))
        request = self.apply(make(), params)
        self.place(request, self.where, damage(read(request, self.where)))
        yield "signature-changed", request
        if self.has_time and self.timed:
            yield "too-old", self.apply(make(), params, at=NOW - max(4 * HOUR, self.tolerance * 3 // 2))
        if self.has_time:
            request = self.apply(make(), params)
            if self.time:
                self.place(request, self.time, stamp(SENT + 1, self.unit))
            else:
                self.place(request, self.where, read(request, self.where).replace(stamp(SENT, self.unit), stamp(SENT + 1, self.unit)))
            yield "time-changed", request
        for name in re.findall(r"\{header:([^}]+)\}", self.template):
            if f"header:{name}" != self.time:
                request = self.apply(make(), params)
                yield f"{name}-changed", request.set(name, other_character(request.header(name), 0))
        if "{url}" in self.template:
            request = self.apply(make(), params)
            request.query = request.query + "&evil=1" if request.query else "evil=1"
            yield "url-changed", request


def standard(prefix: str = "webhook", key: str = "whsec") -> Signature:
    """Standard Webhooks, which began as Svix: https://www.standardwebhooks.com/."""
    return Signature(
        f"{prefix}-signature",
        signed="{header:" + prefix + "-id}.{timestamp}.{body}",
        encoding="base64",
        shape="v1,{signature}",
        time=f"{prefix}-timestamp",
        tolerance=300,
        key=key,
    )


@dataclass
class Token(Auth):
    """A secret that is sent as it is. It says nothing about the body."""

    where: str = "header:x-token"
    prefix: str = ""
    user: str = "towpath"
    chosen: bool = False
    """Whether the operator chooses the name of the header or parameter."""
    each: str = ""
    """A pointer to an array whose elements carry the token at `where`."""

    def __post_init__(self):
        if self.where not in ("basic", "bearer") and ":" not in self.where and not self.where.startswith("/"):
            self.where = "header:" + self.where

    def params(self, name: str) -> dict:
        found = {"secret": make_secret("text", name)}
        if self.where == "basic":
            found["user"] = self.user
        if self.chosen:
            kind, _, chosen = self.where.partition(":")
            found[kind] = chosen
        return found

    def put(self, request: Request, secret: str, user: str = ""):
        if self.where == "basic":
            request.set("authorization", "Basic " + b64(f"{user or self.user}:{secret}".encode()))
        elif self.where == "bearer":
            request.set("authorization", f"Bearer {secret}")
        elif self.each:
            for item in pointer(request.event, self.each):
                put(item, self.where, secret)
            request.encode()
        elif self.where.startswith("xml:"):
            parent, _, name = self.where.rpartition("/")
            end = f"</{parent.rpartition('/')[2]}>"
            request.event = request.event.replace(end, f"<{name}>{secret}</{name}>{end}")
            request.encode()
        else:
            Signature.place(self, request, self.where, self.prefix + secret)
        return request

    def apply(self, request: Request, params: dict, at: float = SENT):
        return self.put(request, params["secret"])

    def strip(self, request: Request):
        if self.where in ("basic", "bearer"):
            return request.drop("authorization")
        if self.each:
            parent, _, last = self.where.rpartition("/")
            for item in pointer(request.event, self.each):
                pointer(item, parent).pop(last, None)
            return request.encode()
        if self.where.startswith("xml:"):
            name = self.where.rpartition("/")[2]
            request.event = re.sub(f"<{name}>.*</{name}>", "", request.event)
            return request.encode()
        return Signature.strip(self, request)

    def refusals(self, make, params: dict):
        secret = params["secret"]
        yield "token-wrong", self.put(make(), "another-" + secret)
        yield "token-missing", self.strip(self.put(make(), secret))
        yield "token-cut", self.put(make(), secret[:-1])
        if self.where == "basic":
            yield "user-wrong", self.put(make(), secret, "another")


@dataclass
class Jwt(Auth):
    """A JWT or JWS. `claims(request, at, params)` returns its payload; with `detached` it is what `payload` returns."""

    where: str = "header:authorization"
    prefix: str = ""
    alg: str = "RS256"
    key: str = "rsa"
    """The name of a private key, or `secret`."""
    kid: str = ""
    header: dict = field(default_factory=dict)
    claims: object = None
    payload: object = None
    covers_body: bool = True
    wrong: dict = field(default_factory=dict)
    """Claims that must not have another value: name to a wrong value."""
    max_age: int = 0
    keys: list = field(default_factory=list)
    public_param: bool = False
    extra: dict = field(default_factory=dict)

    def __post_init__(self):
        if ":" not in self.where and not self.where.startswith("/"):
            self.where = "header:" + self.where

    def params(self, name: str) -> dict:
        if self.key == "secret":
            return {"secret": make_secret("text", name), **self.extra}
        return {**({"public_key": public_pem(self.key)} if self.public_param else {}), **self.extra}

    def signing_key(self, params: dict, other: bool):
        if self.key == "secret":
            return (("another-" if other else "") + params["secret"]).encode()
        return self.key + ("-other" if other else "")

    def token(self, request, params, at=SENT, other=False, alg="", change=None, key=None) -> str:
        header = {"alg": alg or self.alg, **({"kid": self.kid} if self.kid else {}), **self.header}
        key = self.signing_key(params, other) if key is None else key
        if self.payload:
            return jws(header, self.payload(request), key, detached=True)
        return jwt(header, {**self.claims(request, at, params), **(change or {})}, key)

    def apply(self, request: Request, params: dict, at: float = SENT, **how):
        Signature.place(self, request, self.where, self.prefix + self.token(request, params, at, **how))
        return request

    def refusals(self, make, params: dict):
        if self.covers_body:
            yield "body-changed", tamper(self.apply(make(), params))
        yield "other-key", self.apply(make(), params, other=True)
        yield "signature-missing", Signature.strip(self, self.apply(make(), params))
        request = self.apply(make(), params)
        Signature.place(self, request, self.where, other_character(read(request, self.where), -10))
        yield "signature-changed", request
        yield "alg-none", self.apply(make(), params, alg="none", key=b"")
        if self.key != "secret":
            # The classic confusion: the public key, which anyone has, used as the secret of an HMAC.
            yield "alg-confusion", self.apply(make(), params, alg="HS256", key=public_pem(self.key).encode())
        for name, value in self.wrong.items():
            yield f"{name}-wrong", self.apply(make(), params, change={name: value})
        if self.claims and "exp" in self.claims(make(), SENT, params):
            yield "expired", self.apply(make(), params, at=NOW - 30 * HOUR)
        elif self.max_age:
            yield "too-old", self.apply(make(), params, at=NOW - 4 * HOUR)


class Nothing(Auth):
    """The sheet knows no proof: an unguessable path is all."""

    def params(self, name: str) -> dict:
        return {}

    def apply(self, request: Request, params: dict, at: float = SENT):
        return request

    def refusals(self, make, params: dict):
        return []


# Providers and their cases


def case(provider: str, name: str, request: Request, expect: dict, params: dict, keys=(), config="", note="") -> dict:
    found = {"provider": provider, "case": name, "arrives_at": NOW, "params": params}
    if config:
        found["config"] = config
    found["request"] = request.as_json()
    if keys:
        found["keys"] = list(keys)
    found["expect"] = expect
    if note:
        found["note"] = note
    return found


def refused(status: int = 0) -> dict:
    return {"outcome": "refused", **({"status": status} if status else {})}


def answered(status: int = 200, **more) -> dict:
    return {"outcome": "answered", "status": status, **more}


ACCEPTED = {"outcome": "accepted"}
"""Stored or answered: a ping that is signed like an event may be either, as long as the status is 2xx."""


@dataclass
class Provider:
    name: str
    event: object
    auth: Auth = field(default_factory=Nothing)
    dedup: str = ""
    order: str = ""
    batch: object = None
    """Pointer to the array of events; `""` where the body is the array."""
    content_type: str = "application/json"
    style: str = "compact"
    headers: dict = field(default_factory=dict)
    query: str = ""
    ack: dict = field(default_factory=dict)
    """What the provider insists on: `status` or `statuses`, `body`, `headers`, `json`."""
    params: dict = field(default_factory=dict)
    keys: list = field(default_factory=list)
    refused_status: int = 0
    extra: object = None
    """`extra(provider)` yields more cases: handshakes, variants."""
    others: dict = field(default_factory=dict)
    """Other ways to prove who calls, each enough: name to `Auth`."""
    outcome: str = "stored"
    method: str = "POST"
    config: str = ""

    def all_params(self, auth=None) -> dict:
        found = {**(auth or self.auth).params(self.name), **self.params}
        if "{url}" in getattr(auth or self.auth, "template", ""):
            found["url"] = f"{HOST}/hooks/{self.name}"
        return found

    def make(self, event=None) -> Request:
        """A fresh request without a signature."""
        event = copy.deepcopy(self.event if event is None else event)
        content_type = self.content_type
        if isinstance(event, Form):
            content_type = "application/x-www-form-urlencoded"
        request = Request(event, f"/hooks/{self.name}", content_type, self.style, self.method, self.query)
        request.headers = [[name, value] for name, value in self.headers.items()]
        for name in self.named_headers():
            if not request.header(name):
                request.set(name, random_uuid(f"{self.name}/{name}"))
        return request.encode()

    def named_headers(self):
        """Headers that the sheet names as an id or as a part of what is signed."""
        names = [self.dedup, self.order, *re.findall(r"\{(header:[^}]+)\}", getattr(self.auth, "template", ""))]
        skip = getattr(self.auth, "time", "")
        return [name.removeprefix("header:") for name in names if name.startswith("header:") and name != skip]

    def signed(self, event=None, auth=None, **how) -> Request:
        auth = auth or self.auth
        return auth.apply(self.make(event), self.all_params(auth), **how)

    def stored(self, request: Request) -> dict:
        expect = {"outcome": self.outcome, **copy.deepcopy(self.ack)}
        for name, value in expect.get("headers", {}).items():
            expect["headers"][name] = expand(value, request).decode()
        if callable(expect.get("json")):
            expect["json"] = expect["json"](request)
        for key, where in (("dedup", self.dedup), ("order", self.order)):
            if not where:
                continue
            start = f"{self.batch}/0"
            if self.batch is not None and where.startswith(start):
                items = pointer(request.event, self.batch)
                expect[f"item_{key}"] = [as_text(pointer(item, where.removeprefix(start))) for item in items]
            else:
                expect[key] = read(request, where)
        if self.batch is not None:
            expect["items"] = len(pointer(request.event, self.batch))
        return expect

    def second(self) -> object:
        """The event with a second item that has other ids."""
        event = copy.deepcopy(self.event)
        items = pointer(event, self.batch)
        item = copy.deepcopy(items[0])
        for where in (self.dedup, self.order):
            path = where.removeprefix(f"{self.batch}/0")
            if where.startswith(f"{self.batch}/0"):
                if not path:
                    item = item + "2"
                    continue
                old = pointer(item, path)
                put(item, path, old + 1 if isinstance(old, int) else old + "2")
        items.append(item)
        return event

    def case(self, name: str, request: Request, expect: dict, params=None, keys=None, note="") -> dict:
        params = self.all_params() if params is None else params
        return case(self.name, name, request, expect, params, self.keys + self.auth.keys if keys is None else keys, self.config, note)

    def cases(self):
        request = self.signed()
        yield self.case("event", request, self.stored(request))
        if self.batch is not None and self.auth:
            request = self.signed(self.second())
            yield self.case("event.two-items", request, self.stored(request))
        for name, auth in self.others.items():
            request = self.signed(auth=auth)
            yield self.case(f"event.{name}", request, self.stored(request), self.all_params(auth), self.keys + auth.keys)
        for name, request in self.auth.refusals(self.make, self.all_params()):
            expect = refused(self.refused_status) if self.outcome == "stored" else {"outcome": self.outcome}
            yield self.case(f"refused.{name}", request, expect)
        for other, auth in self.others.items():
            for name, request in auth.refusals(self.make, self.all_params(auth)):
                if name in ("other-key", "token-wrong", "body-changed"):
                    yield self.case(f"refused.{other}.{name}", request, refused(), self.all_params(auth), self.keys + auth.keys)
        if self.extra:
            yield from self.extra(self)
