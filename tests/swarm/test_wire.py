"""The format: what was written is read, and nothing else raises anything but a refusal."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from redqueen.swarm.reasons import REASONS, RefusedError
from redqueen.swarm.wire import MAGIC, VERSION, Answer, Group, Turn, canonical, decode, encode
from tests.swarm.messages import group, identity

ME = identity(1)
LIMIT = 65536
HEAD = len(MAGIC) + 2 + 32 + 64


def refusal(data: bytes, max_bytes: int = LIMIT) -> str:
    with pytest.raises(RefusedError) as caught:
        decode(data, max_bytes)
    assert caught.value.reason in REASONS
    return caught.value.reason


def framed(body: bytes, version: int = VERSION) -> bytes:
    return MAGIC + version.to_bytes(2, "big") + ME.public + bytes(64) + body


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
groups = st.builds(
    group,
    number=st.integers(0, 2**53),
    texts=st.lists(text, min_size=2, max_size=4).map(tuple),
    payload=st.dictionaries(text, plain, max_size=4),
    kind=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64),
)


@given(groups)
def test_what_was_written_is_read(written: Group) -> None:
    data = encode(written, ME)
    message = decode(data, LIMIT)
    assert (message.group, message.author, message.data) == (written, ME.name, data)
    assert message.is_authentic()
    # An independent reader of JSON sees the same values.
    assert json.loads(data[HEAD:])["payload"] == written.payload


@settings(max_examples=300)
@given(st.binary(max_size=300))
@example(b"")
@example(MAGIC)
def test_no_bytes_raise_anything_but_a_refusal(noise: bytes) -> None:
    good = encode(group(), ME)
    for data in (noise, framed(noise), good[:HEAD] + noise, good + noise, good[: len(noise)]):
        if data != good:
            refusal(data)


@settings(max_examples=300)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_no_changed_byte_keeps_the_signature(place: int, value: int) -> None:
    data = bytearray(encode(group(texts=("seven", "8")), ME))
    place %= len(data)
    if data[place] == value:
        return
    data[place] = value
    try:
        message = decode(bytes(data), LIMIT)
    except RefusedError:
        return
    assert not message.is_authentic()


@settings(max_examples=60)
@given(st.recursive(plain, lambda inner: st.lists(inner), max_leaves=20))
def test_json_of_another_shape_is_malformed(value: Any) -> None:
    assert refusal(framed(json.dumps(value).encode())) in ("malformed", "too_nested")


def test_every_refusal_of_the_form_has_its_name() -> None:
    body = canonical(group())
    values = json.loads(body)
    assert refusal(encode(group(texts=("x" * LIMIT, "y")), ME)) == "oversize"
    assert refusal(b"GET / HTTP/1.1\r\n\r\n" + body) == "not_a_message"
    assert refusal(framed(b'{"future":true}', VERSION + 1)) == "newer_version"
    assert refusal(framed(body, 0)) == "malformed"
    assert refusal(framed(b"[" * 60_000)) == "too_nested"
    assert refusal(framed(b"[" * 13 + b"]" * 13)) == "too_nested"
    assert refusal(framed(b"[" + b"0," * 9000 + b"0]")) == "too_nested"
    assert refusal(framed(json.dumps(values).encode())) == "not_canonical"
    repeated = body.replace(b'"epoch":100,', b'"epoch":99,"epoch":100,')
    assert refusal(framed(repeated)) == "not_canonical"
    for changed in (
        {"reward": 1.0},
        {"answers": values["answers"][:1]},
        {"answers": [{"text": "7", "finished": 1}, values["answers"][0]]},
        {"answers": values["answers"] * 200},
        {"number": -1},
        {"number": 1.0},
        {"time": 2**60},
        {"payload": [1]},
        {"messages": []},
        {"messages": [{"role": "tool", "content": ""}]},
    ):
        strange = json.dumps(values | changed, sort_keys=True, separators=(",", ":"))
        assert refusal(framed(strange.encode())) == "malformed", changed
    for number in (b"1e999", b"NaN", b"Infinity", b"9" * 40, b"9" * 5000):
        assert refusal(framed(body.replace(b'"b":4', b'"b":' + number))) == "malformed"
    assert refusal(framed(body.replace(b"sums", b"su\xffms"))) == "malformed"
    assert refusal(framed(body.replace(b"sums", b"su\\ud800ms"))) == "malformed"


def test_a_text_without_bytes_is_not_sent() -> None:
    with pytest.raises((ValueError, ValidationError)):
        encode(group(texts=("\ud800", "8")), ME)


def test_a_text_without_an_end_is_read_once() -> None:
    """Nobody has signed it yet: it must cost no more than other messages of its length."""
    for body in (b'"' + b'\\"' * 32_000, b'{"a":"' + b'\\"' * 32_000, b'"' + b"\\" * 64_000 + b'"'):
        start = time.process_time()
        assert refusal(framed(body)) in ("malformed", "too_nested")
        assert time.process_time() - start < 1.0


def test_brackets_in_texts_are_no_nesting() -> None:
    deep = group(texts=("[" * 5000 + '"\\', "{" * 5000))
    assert decode(encode(deep, ME), LIMIT).group == deep


def test_a_stolen_name_is_no_signature() -> None:
    data = encode(group(), identity(2))
    stolen = data[: len(MAGIC) + 2] + ME.public + data[len(MAGIC) + 34 :]
    assert not decode(stolen, LIMIT).is_authentic()


def test_a_key_under_which_anybody_can_sign_is_no_name() -> None:
    """Points of small order: with S = 0 a signature holds whatever it is of."""
    eighth = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
    minus = (2**255 - 20).to_bytes(32, "little")
    points = [bytes(32), b"\1" + bytes(31), minus, eighth]
    points += [(2**255 - 19 + y).to_bytes(32, "little") for y in (0, 1)]
    points += [(2**255 - 19 - int.from_bytes(eighth, "little")).to_bytes(32, "little")]
    points += [point[:31] + bytes([point[31] | 0x80]) for point in points]
    for public in points:
        for commitment in points:
            for number in range(8):
                head, body = MAGIC + VERSION.to_bytes(2, "big") + public, canonical(group(number))
                data = head + commitment + bytes(32) + body
                assert not decode(data, LIMIT).is_authentic()


def test_parts_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Turn(role="user", content="x").content = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Answer(text="x", finished=True, reward=1.0)  # type: ignore[call-arg]
