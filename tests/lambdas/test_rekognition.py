"""Reading pages as the text they are."""

import json

import pytest

from lambdas.aws.rekognition import _members

DOCUMENT = {"JobStatus": "SUCCEEDED", "Faces": [{"a": 0.1, "b": '"}],{"'}, {}], 'é"\\': "ü😀", "x": None, "n": -1e-7}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_members_are_what_json_reads_and_the_text_it_read_them_from(indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(DOCUMENT, indent=indent, ensure_ascii=ascii_only)

    values, texts = _members(text)

    assert values == DOCUMENT
    assert {name: json.loads(value) for name, value in texts.items()} == DOCUMENT
    assert all(value in text for value in texts.values())


def test_an_empty_object_has_no_members() -> None:
    assert _members(" { } ") == ({}, {})


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": 1', '{"a": 1,}', '{"a": 1} x', '{"a": [1, 2}', '{"a" 1}', "1", "{1: 2}"]
)
def test_anything_but_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json's own errors too
        _members(text)
