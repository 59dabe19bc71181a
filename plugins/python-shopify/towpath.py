"""Helpers for plugins: requests, ends without a request. Types: .towpath/bindings, made by `towpath plugin build`."""

import json
import re
from typing import Any, Optional

from wit_world.imports import config
from wit_world.imports.types import (
    Header,
    HeaderValue_Text,
    Message,
    Payload_Bytes,
    Reason,
    Request,
    Verdict_Deliver,
    Verdict_Reject,
    Verdict_Skip,
)


def body_json(message: Message) -> Any:
    """The body as JSON; raises a ValueError on anything else. Never `json.loads(message.body)`: for bytes that are not
    UTF-8 it wants to read a codec from files, which a plugin has none of."""
    return json.loads(message.body.decode("utf-8"))


def settings() -> dict:
    """The plugin's config table of towpath.toml."""
    return json.loads(config.document())


def header(message: Message, name: str) -> Optional[str]:
    """The first header of this name, in lower case."""
    values = (value for found, value in message.headers if found == name)
    value = next(values, None)
    return None if value is None else value.decode("utf-8", "replace")


def request(method: str, target: str, path: str, body: Any) -> Request:
    """A request with a JSON body."""
    content_type = Header("content-type", HeaderValue_Text("application/json"))
    data = json.dumps(body, separators=(",", ":")).encode()
    return Request(target, method, path, [content_type], Payload_Bytes(data), None, [])


def deliver(*requests: Request) -> Verdict_Deliver:
    """Make these requests, in this order."""
    return Verdict_Deliver(list(requests))


def skip(code: str, message: str) -> Verdict_Skip:
    """Nothing is to be done."""
    return Verdict_Skip(Reason(code, message, []))


def reject(code: str, message: str) -> Verdict_Reject:
    """The message is wrong."""
    return Verdict_Reject(Reason(code, message, []))


def is_segment(value: Any) -> bool:
    """Whether an id from outside can be a segment of a path."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*", value) is not None
