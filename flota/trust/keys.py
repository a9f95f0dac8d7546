"""Ed25519 key files (PKCS#8 PEM, mode 0600) and the JSON form of public keys (securesystemslib's)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from flota.files import write_atomic
from flota.trust.config import LIMITS
from flota.trust.errors import KeyFileError, MetadataGarbled

PRIVATE_MODE = 0o600


def create_signer(path: Path) -> CryptoSigner:
    """Make a new Ed25519 key, store it at ``path`` (0600) and return its signer.

    Raises:
        KeyFileError: There is a file at ``path`` already; a key is never overwritten.
        StorageError: The file cannot be written.
    """
    if path.exists():
        raise KeyFileError(f"{path} exists already", hint="a key is never overwritten; move it away first")
    signer = CryptoSigner.generate_ed25519()
    write_atomic(path, signer.private_bytes, mode=PRIVATE_MODE)
    return signer


def load_signer(path: Path) -> CryptoSigner:
    """The signer of the key at ``path``.

    Raises:
        KeyFileError: No such file, or not an Ed25519 key in PEM.
    """
    return CryptoSigner(load_private_key(path))


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 private key at ``path``. Raises as :func:`load_signer` does."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}", hint="restore the key file from its backup") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f"{path} is not a private key in PEM", hint="restore the key file from its backup"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is not an Ed25519 key", hint="restore the key file from its backup")
    return key


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half in PEM (SubjectPublicKeyInfo)."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class _KeyValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    public: str = Field(pattern=r"^[0-9a-f]{64}$")


class PublicKey(BaseModel):
    """One Ed25519 public key as TUF writes it, with its key id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keyid: str = Field(pattern=r"^[0-9a-f]{64}$")
    keytype: str = Field(pattern=r"^ed25519$")
    scheme: str = Field(pattern=r"^ed25519$")
    keyval: _KeyValue

    @classmethod
    def of(cls, key: Key) -> PublicKey:
        """The JSON form of ``key``."""
        return cls.model_validate({"keyid": key.keyid, **key.to_dict()})

    def key(self) -> Key:
        """The key as securesystemslib's object."""
        return SSlibKey(self.keyid, self.keytype, self.scheme, self.keyval.model_dump())


class ServerKeys(BaseModel):
    """``server-keys.json``: the public half of everything the server signs with, for the publisher's root.

    ``director`` lists the newest key first; a second one is there while the director key is being rotated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: PublicKey
    timestamp: PublicKey
    director: tuple[PublicKey, ...] = Field(min_length=1, max_length=LIMITS.director_keys)

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @classmethod
    def from_file(cls, path: Path) -> ServerKeys:
        """Read ``server-keys.json``.

        Raises:
            KeyFileError: It is missing, unreadable or not such a file.
        """
        hint = "take the file that `flota server init` wrote"
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise KeyFileError(f"{path}: {error.strerror or error}", hint=hint) from error
        except ValidationError as error:
            raise KeyFileError(f"{path} is not a server key file", hint=hint) from error


def director_document(keys: Sequence[PublicKey]) -> bytes:
    """The bytes of the TUF target ``director/director.json``; the same keys give the same bytes."""
    document = {"keys": [key.model_dump() for key in keys]}
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


class _Director(BaseModel):
    model_config = ConfigDict(frozen=True)
    keys: tuple[PublicKey, ...] = Field(min_length=1, max_length=LIMITS.director_keys)


def parse_director(data: bytes) -> list[Key]:
    """The director keys in ``director/director.json``.

    Raises:
        MetadataGarbled: The bytes are not such a document.
    """
    try:
        return [key.key() for key in _Director.model_validate_json(data).keys]
    except ValidationError as error:
        raise MetadataGarbled("director.json is not a list of director keys") from error
