"""What travels between nodes: one task with the answers of one member, signed.

    b"RQSW" | version, 2 bytes | public key, 32 bytes | signature, 64 bytes | body, canonical JSON

The signature is over all the rest. The reward and the token ids of the sender are not in it: who
receives a group verifies the answers and scores them itself.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from redqueen.swarm.identity import KEY_BYTES, SIGNATURE_BYTES, Identity, is_signed
from redqueen.swarm.reasons import RefusedError

MAGIC = b"RQSW"
VERSION = 1
"""Of the schema."""
_KEY = len(MAGIC) + 2
_SIGNATURE = _KEY + KEY_BYTES
_BODY = _SIGNATURE + SIGNATURE_BYTES
CUTS = (_KEY, _SIGNATURE, _BODY)
"""Where the public key, the signature and the body begin."""
MAX_DEPTH = 12
MAX_SKELETON = 8192
"""Most bytes of a body outside its texts: bounds the number of values before they are made."""
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""The last quote may be missing: else the rest of the body would be read again from each quote."""
_BRACKETS = re.compile(rb"[\[\]{}]")
_LARGEST = 2**53

Name = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=0, le=_LARGEST)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Turn(_Part):
    """One message of the prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


class Answer(_Part):
    """One attempt; not `finished`: it was cut after the group's `limit` of tokens."""

    text: str
    finished: bool


class Group(_Part):
    """A task, how to check it, and the attempts of one member at it."""

    environment: Name
    environment_version: Number
    kind: Name
    payload: dict[str, JsonValue] = Field(max_length=64)
    messages: tuple[Turn, ...] = Field(min_length=1, max_length=16)
    answers: tuple[Answer, ...] = Field(min_length=2, max_length=256)
    limit: Number
    """Tokens after which an answer was cut."""
    member: Number
    """Id of the author's member."""
    epoch: Number
    """Second in which the author's run began; with `number`, what tells its messages apart."""
    number: Number
    """Rises within a run."""
    time: Number
    """Second in which it was written, by the author's clock."""


@dataclass(frozen=True, slots=True)
class Message:
    """A group as it came. Its signature holds only once `is_authentic` has said so."""

    author: str
    """Public key in hexadecimal."""
    group: Group
    data: bytes
    """All of it, as it came."""

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from all other messages."""
        return self.author, self.group.epoch, self.group.number

    def is_authentic(self) -> bool:
        """Return whether the author signed it."""
        data = self.data
        signed = data[:_SIGNATURE] + data[_BODY:]
        return is_signed(data[_KEY:_SIGNATURE], data[_SIGNATURE:_BODY], signed)


def canonical(group: Group) -> bytes:
    """Return the one body that says what a group says.

    Raises:
        ValueError: a text holds a lone surrogate, or the payload a number that is not finite.
    """
    values = group.model_dump()
    text = json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def encode(group: Group, identity: Identity) -> bytes:
    """Return a group as a signed message.

    Raises:
        ValueError: as `canonical`.
    """
    return framed(canonical(group), identity)


def framed(body: bytes, identity: Identity) -> bytes:
    """Return any body as a signed message."""
    head = MAGIC + VERSION.to_bytes(2, "big") + identity.public
    return head + identity.sign(head + body) + body


def decode(data: bytes, max_bytes: int) -> Message:
    """Return a message whose form is right; its signature is not looked at.

    Raises:
        RefusedError: it is too long, no message, of a newer version, nested too deep, or does not
            fit the schema. Nothing else, whatever the bytes.
    """
    if len(data) > max_bytes:
        raise RefusedError("oversize")
    if len(data) <= _BODY or not data.startswith(MAGIC):
        raise RefusedError("not_a_message")
    version = int.from_bytes(data[len(MAGIC) : _KEY], "big")
    if version > VERSION:
        raise RefusedError("newer_version")
    body = data[_BODY:]
    _check_shape(body)
    try:
        group = Group.model_validate_json(body)
    except ValidationError:
        raise RefusedError("malformed") from None
    if version < VERSION or not _is_plain(group.payload):
        raise RefusedError("malformed")
    if canonical(group) != body:
        raise RefusedError("not_canonical")
    return Message(data[_KEY:_SIGNATURE].hex(), group, data)


def _check_shape(body: bytes) -> None:
    """Bound the number and the depth of a body's values, without parsing it."""
    skeleton = _TEXTS.sub(b"", body)
    depth = deepest = 0
    if len(skeleton) <= MAX_SKELETON:
        for bracket in _BRACKETS.findall(skeleton):
            depth += 1 if bracket in (b"[", b"{") else -1
            deepest = max(deepest, depth)
    if len(skeleton) > MAX_SKELETON or deepest > MAX_DEPTH:
        raise RefusedError("too_nested")


def _is_plain(payload: Any) -> bool:
    """Return whether every number is finite and small enough for every reader of JSON."""
    stack = [payload]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            stack += value
        elif (isinstance(value, float) and not math.isfinite(value)) or (
            isinstance(value, int) and abs(value) > _LARGEST
        ):
            return False
    return True
