"""Whether a JSON document has the form that the reference documents."""

from __future__ import annotations

import re
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def is_whole(document: Any) -> bool:
    return isinstance(document, int) and not isinstance(document, bool)


KINDS = {
    "text": lambda document: isinstance(document, str),
    "whole": is_whole,
    "number": lambda document: is_whole(document) or isinstance(document, float),
    "truth": lambda document: isinstance(document, bool),
    "null": lambda document: document is None,
    "time": lambda document: isinstance(document, str) and bool(_TIME.fullmatch(document)),
    "value": lambda document: True,
}


def matches(shape: Any, document: Any) -> bool:
    """Tell whether a document has a shape."""
    if isinstance(shape, str):
        return any(KINDS[kind](document) for kind in shape.split(" | "))
    if isinstance(shape, tuple):
        return any(matches(one, document) for one in shape)
    if isinstance(shape, list):
        return isinstance(document, list) and all(matches(shape[0], one) for one in document)
    if not isinstance(document, dict):
        return False
    if set(shape) == {"*"}:
        return all(matches(shape["*"], one) for one in document.values())
    return shape.keys() == document.keys() and all(matches(shape[name], document[name]) for name in shape)
