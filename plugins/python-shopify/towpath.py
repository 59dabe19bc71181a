"""Helpers for plugins: requests, ends without a request. Types: .towpath/bindings, made by `towpath plugin build`."""

import functools
import io
import json
import re
import sys
from typing import Any, Callable, Optional

from componentize_py_types import Err
from wit_world.imports import config, log
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


class _Log(io.TextIOBase):
    """What is printed is logged, at most 64 lines a call: a plugin has no stdout."""

    begun = ""

    def write(self, text: str) -> int:
        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            log.write(log.Level.INFO, line, [])
        return len(text)


sys.stdout = sys.stderr = _Log()


def guarded(transform: Callable) -> Callable:
    """A mapping whose exceptions are errors of the plugin that say what was raised and where: an exception that leaves
    the plugin is a trap without a word."""

    @functools.wraps(transform)
    def mapped(self, message: Message):
        try:
            return transform(self, message)
        except Err:
            raise
        except Exception as error:
            # The module traceback looks for source files, of which there are none.
            trace = error.__traceback__
            while trace.tb_next:
                trace = trace.tb_next
            code = trace.tb_frame.f_code
            where = f"line {trace.tb_lineno} of {code.co_filename.rsplit('/')[-1]}, in {code.co_name}"
            raise Err(Reason("exception", f"{what(error)} ({where})", []))

    return mapped


def what(error: Exception) -> str:
    """What an exception says, if it says nothing of the body: reasons are logged."""
    telling = (KeyError, TypeError, AttributeError, NameError, json.JSONDecodeError, UnicodeDecodeError)
    return f"{type(error).__name__}: {error}" if isinstance(error, telling) else type(error).__name__


def body_json(message: Message) -> Any:
    """The body as JSON; raises a ValueError on anything else. A byte order mark is skipped; a lone surrogate stays what it
    is. Never `json.loads(message.body)`: for bytes that are not UTF-8 it wants to read a codec from files, which a plugin
    has none of."""
    return json.loads(message.body.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))


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
