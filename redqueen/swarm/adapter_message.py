"""What travels between islands: one member's adapter, signed.

    b"RQSA" | version, 2 bytes | public key, 32 | signature, 64 | head, 64 | safetensors

The head is the SHA-256 of what the base's digest says, 32 bytes, then epoch, number and time as in
`redqueen.swarm.wire` and the factor alpha / rank on B A, 8 bytes each, big-endian. The signature
is over all the rest. Tensors are `<layer>.A` [rank, in] and `<layer>.B` [out, rank], float32.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from redqueen.models.adapters import AdapterStack, Factors
from redqueen.swarm.identity import KEY_BYTES, SIGNATURE_BYTES, Identity, is_signed
from redqueen.swarm.reasons import RefusedError

MAGIC = b"RQSA"
VERSION = 1
LARGEST = 100.0
"""No trained adapter holds values of this size, and larger ones overflow in the base."""
SLACK = 4096
"""Bytes by which a message may be longer than this node's own, for the header of another writer."""
_LARGEST_NUMBER = 2**53
"""As in `redqueen.swarm.wire`: the database of a run takes no larger ones than 2**63."""
_KEY = len(MAGIC) + 2
_SIGNATURE = _KEY + KEY_BYTES
_HEAD = _SIGNATURE + SIGNATURE_BYTES
_FIELDS = struct.Struct(">32sQQQd")
_TENSORS = _HEAD + _FIELDS.size


@dataclass(frozen=True, slots=True)
class AdapterMessage:
    """An adapter as it came; its tensors have not been read."""

    author: str
    """Public key in hexadecimal."""
    base: bytes
    epoch: int
    number: int
    """The step after which it was sent; rises within a run."""
    time: int
    scaling: float
    data: bytes
    """All of it, as it came."""

    def is_authentic(self) -> bool:
        """Return whether the author signed it."""
        data = self.data
        signed = data[:_SIGNATURE] + data[_HEAD:]
        return is_signed(data[_KEY:_SIGNATURE], data[_SIGNATURE:_HEAD], signed)

    def factors(self, adapters: AdapterStack) -> dict[str, Factors]:
        """Return the factors as a slot of `adapters` holds them, the scaling folded into B.

        Raises:
            RefusedError: it is no safetensors, or of other layers, ranks or values than a member
                of this node can have.
        """
        try:
            tensors = load(self.data[_TENSORS:])
        except (SafetensorError, ValueError, KeyError, RuntimeError):
            raise RefusedError("malformed") from None
        parts = {
            f"{name}.{side}": part[0].shape
            for side, stacked in (("A", adapters.A), ("B", adapters.B))
            for name, part in stacked.items()
        }
        if {name: (t.shape, t.dtype) for name, t in tensors.items()} != {
            name: (shape, torch.float32) for name, shape in parts.items()
        }:
            raise RefusedError("other_shape")
        # A comparison with not-a-number is false.
        if not all(bool((tensor.abs() <= LARGEST).all()) for tensor in tensors.values()):
            raise RefusedError("not_finite")
        factor = self.scaling / adapters.scaling
        if not 0.0 < factor <= LARGEST:
            raise RefusedError("not_finite")
        factors = {
            name: Factors(tensors[f"{name}.A"], tensors[f"{name}.B"] * factor)
            for name in adapters.layers
        }
        if not all(bool((pair.B.abs() <= LARGEST).all()) for pair in factors.values()):
            raise RefusedError("not_finite")
        return factors


def base_name(digest: str) -> bytes:
    """Return what stands for a base in a message, given its digest; 32 bytes."""
    return hashlib.sha256(digest.encode()).digest()


def encode_adapter(
    factors: Mapping[str, Factors],
    scaling: float,
    base: bytes,
    identity: Identity,
    epoch: int,
    number: int,
    time: int,
) -> bytes:
    """Return an adapter as a signed message; `base` is what `base_name` returned."""
    tensors = {
        f"{name}.{side}": tensor.cpu().contiguous()
        for name, pair in factors.items()
        for side, tensor in zip("AB", pair, strict=True)
    }
    head = MAGIC + VERSION.to_bytes(2, "big") + identity.public
    rest = _FIELDS.pack(base, epoch, number, time, scaling) + save(tensors)
    return head + identity.sign(head + rest) + rest


def decode_adapter(data: bytes) -> AdapterMessage:
    """Return a message whose form is right; neither signature nor tensors are looked at.

    Raises:
        RefusedError: it is no such message, of a newer version, or holds numbers that no run has.
    """
    if len(data) <= _TENSORS or not data.startswith(MAGIC):
        raise RefusedError("not_a_message")
    version = int.from_bytes(data[len(MAGIC) : _KEY], "big")
    if version != VERSION:
        raise RefusedError("newer_version" if version > VERSION else "malformed")
    base, epoch, number, time, scaling = _FIELDS.unpack(data[_HEAD:_TENSORS])
    if max(epoch, number, time) > _LARGEST_NUMBER:
        raise RefusedError("malformed")
    author = data[_KEY:_SIGNATURE].hex()
    return AdapterMessage(author, base, epoch, number, time, scaling, data)
