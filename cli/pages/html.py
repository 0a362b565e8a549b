"""Pages as one file: sources put together, data put in so that nothing in it can be taken for code."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import cache
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "sources"


@cache
def source(*names: str) -> str:
    """Source files, one after the other. Scripts that belong together share one module, so order doesn't matter."""
    return "\n".join((SOURCES / name).read_text(encoding="utf-8") for name in names)


def digest(text: str) -> str:
    """What a content security policy calls a piece of inline code."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def data(value: Any) -> str:
    """JSON that may stand in a script element: whatever the strings contain, they can't end it or open another."""
    # ASCII alone, so neither U+2028 nor half of a surrogate pair gets into the file as it is.
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def escape(text: str) -> str:
    """Text for an element or an attribute in quotes; halves of surrogate pairs become question marks."""
    return html.escape(text.encode("utf-8", "replace").decode(), quote=True)


def page(template: str, *, title: str, style: str, script: str, policy: dict[str, str], **fill: str) -> str:
    """The template with everything in it, and a policy that lets exactly this style and this script run."""
    rules = {
        "default-src": "'none'",
        "script-src": digest(script),
        "style-src": digest(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    } | policy
    parts = {
        "title": escape(title),
        "policy": escape("; ".join(f"{name} {value}" for name, value in rules.items())),
        "style": style,
        "script": script,
    } | fill
    # Split, not replaced one after the other: what is filled in may contain what looks like a place to fill.
    pieces = template.split("{{")
    result = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        result += [parts[name.strip()], rest]
    return "".join(result)
