"""Who a node is: an Ed25519 key. The public half, in hexadecimal, is its name."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from redqueen.errors import ConfigError

KEY_BYTES, SIGNATURE_BYTES = 32, 64
_FIELD = 2**255 - 19
_EIGHTH = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL = frozenset({0, 1, _FIELD - 1, _EIGHTH, _FIELD - _EIGHTH})
"""y of the curve's eight points of small order. Under such a key anybody can sign anything."""


class Identity:
    """A private key that signs a node's messages."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        """32 bytes."""
        self.name = self.public.hex()

    @classmethod
    def create(cls, path: Path) -> "Identity":
        """Make a new identity and write it to `path`, readable by its owner alone.

        Raises:
            ConfigError: the file is there already, or cannot be written.
        """
        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
        except OSError as error:
            raise ConfigError(f"cannot write the identity {path}: {error.strerror}") from None
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> "Identity":
        """Read an identity.

        Raises:
            ConfigError: there is none, or the file is not one.
        """
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except FileNotFoundError:
            raise ConfigError(
                f"swarm.identity: no file {path}; make one with `redqueen swarm keygen {path}`"
            ) from None
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"swarm.identity: cannot read {path}: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"swarm.identity: {path} is not an Ed25519 key")
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of some bytes, 64 bytes."""
        return self._key.sign(data)


def is_signed(public: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether `signature` is that of the holder of `public` under `data`."""
    if int.from_bytes(public, "little") % 2**255 % _FIELD in _SMALL:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
