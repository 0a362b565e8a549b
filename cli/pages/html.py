"""Builds each page as one file from its sources, with data escaped so that none of it can run as code."""

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
    """The concatenated source files. The scripts form one module, so their order doesn't matter."""
    return "\n".join((SOURCES / name).read_text(encoding="utf-8") for name in names)


def digest(text: str) -> str:
    """The hash of inline code for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def data(value: Any) -> str:
    """JSON for a script element; no string in it can end the element or open another."""
    # ASCII only, so U+2028 and unpaired surrogates are escaped.
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def escape(text: str) -> str:
    """Text for an element or a quoted attribute; unpaired surrogates become question marks."""
    return html.escape(text.encode("utf-8", "replace").decode(), quote=True)


def page(template: str, *, title: str, style: str, script: str, policy: dict[str, str], **fill: str) -> str:
    """The filled template, with a policy that allows exactly this style and this script."""
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
    # Split instead of replacing one by one: a value may contain text that looks like a placeholder.
    pieces = template.split("{{")
    result = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        result += [parts[name.strip()], rest]
    return "".join(result)
