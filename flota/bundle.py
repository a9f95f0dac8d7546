"""The bundle: one model version for one target, as one deterministic archive.

A bundle is a USTAR archive named ``<model>-<version>-<target>.flota``. Its first member is ``manifest.json``, its
second ``manifest.sha256`` (that digest in hex, and a newline); the files the manifest lists follow, sorted by path.
Owner, times and modes are fixed, so the same manifest and files give the same bytes everywhere, and the SHA-256 of the
archive names the bundle. A byte changed anywhere is found by reading it; that nobody changed it on purpose is what the
release's signature says.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flota.errors import FlotaError, StorageError
from flota.files import sha256_hex, write_atomic

MANIFEST_NAME = "manifest.json"
DIGEST_NAME = "manifest.sha256"
SCHEMA_VERSION = 1
MAX_BUNDLE_BYTES = 1 << 30
_AGAIN = "fetch or make the bundle again"
MAX_NAME = 31  # characters; a microcontroller keeps a name in 32 bytes
MAX_PATH = 100  # characters; what a USTAR header holds without a trick
_BLOCK_BYTES = 512
_VERSION = re.compile(r"(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BundleError(FlotaError):
    """The archive is not a bundle, or not the bundle its manifest describes."""

    code = "bundle.invalid"


class BundleTampered(BundleError):
    """A file in the bundle has another digest or size than the manifest says."""

    code = "bundle.digest-mismatch"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TensorSignature(_Frozen):
    """One input or output. ``real = scale * (quantized - zero_point)``; float tensors have neither."""

    name: str
    shape: tuple[Annotated[int, Field(ge=1)], ...]
    dtype: Literal["int8", "uint8", "int16", "int32", "float32"]
    scale: float | None = None
    zero_point: int | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor, dense, row-major."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count * {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "float32": 4}[self.dtype]


class FileEntry(_Frozen):
    """One file of the bundle."""

    path: str
    sha256: Sha256
    size: int = Field(ge=0)

    @field_validator("path")
    @classmethod
    def _relative(cls, path: str) -> str:
        if not _PATH.fullmatch(path) or len(path) > MAX_PATH or path in (MANIFEST_NAME, DIGEST_NAME):
            raise ValueError(f"not a plain relative path of at most {MAX_PATH} characters: {path!r}")
        return path


class GoldenVectors(_Frozen):
    """Inputs and the outputs the target must give, byte for byte (or within ``tolerance`` for float outputs).

    Both files hold ``count`` cases one after the other; a case is its tensors' bytes in signature order.
    """

    count: int = Field(ge=1)
    inputs: str
    outputs: str
    tolerance: float = 0.0


class Requirements(_Frozen):
    """What a device must have to run the bundle. Sizes in bytes; zero where it does not apply."""

    runtime: Literal["litert", "tflm", "aot-c", "tensorrt"]
    arena_bytes: int = 0
    flash_bytes: int = 0
    ram_bytes: int = 0
    boards: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()


class Accuracy(_Frozen):
    """A metric on a named data set, with the 95 % interval and the float model's value beside it."""

    metric: str
    value: float
    low: float
    high: float
    float_value: float
    count: int
    dataset: str
    dataset_sha256: Sha256


class FeatureHistogram(_Frozen):
    """Reference distribution of one input feature on the training set, for drift (n+1 edges, n counts)."""

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Provenance(_Frozen):
    """Where the payload came from, so that it can be made again."""

    source_sha256: Sha256
    config_sha256: Sha256
    git_commit: str
    seed: int
    tools: dict[str, str]

    @field_validator("tools")
    @classmethod
    def _ordered(cls, tools: dict[str, str]) -> dict[str, str]:
        return dict(sorted(tools.items()))


class Manifest(_Frozen):
    """``manifest.json``: what a bundle is, holds, needs and promises."""

    schema_version: Literal[1] = 1
    model: str
    version: str
    target: str
    description: str = ""
    labels: tuple[str, ...] = ()
    security_floor: int = Field(default=0, ge=0)
    payload: str
    files: tuple[FileEntry, ...]
    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    golden: GoldenVectors
    requires: Requirements
    accuracy: Accuracy
    histograms: tuple[FeatureHistogram, ...] = ()
    provenance: Provenance

    @field_validator("model", "target")
    @classmethod
    def _named(cls, name: str) -> str:
        if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
            raise ValueError(f"not a name of at most {MAX_NAME} lower-case letters, digits and hyphens: {name!r}")
        return name

    @field_validator("version")
    @classmethod
    def _semantic(cls, version: str) -> str:
        parse_version(version)
        return version

    @field_validator("files")
    @classmethod
    def _distinct(cls, files: tuple[FileEntry, ...]) -> tuple[FileEntry, ...]:
        paths = [entry.path for entry in files]
        if paths != sorted(set(paths)):
            raise ValueError("files are not sorted by path, or one comes twice")
        for parent in {str(folder) for path in paths for folder in PurePosixPath(path).parents}.intersection(paths):
            raise ValueError(f"{parent!r} is both a file and a folder")
        return files

    @property
    def filename(self) -> str:
        """The archive's name: ``<model>-<version>-<target>.flota``."""
        return f"{self.model}-{self.version}-{self.target}.flota"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle in memory: every file has the digest and size the manifest names."""

    manifest: Manifest
    files: Mapping[str, bytes]
    sha256: str
    size: int

    def payload(self) -> bytes:
        """The file the runtime loads first."""
        return self.files[self.manifest.payload]

    def golden_cases(self) -> list[tuple[bytes, bytes]]:
        """The golden vectors as (input bytes, expected output bytes) pairs."""
        golden = self.manifest.golden
        inputs = _split(self.files[golden.inputs], golden.count)
        return list(zip(inputs, _split(self.files[golden.outputs], golden.count), strict=True))


def parse_version(version: str) -> tuple[int, int, int]:
    """``"1.2.0"`` → ``(1, 2, 0)``, for ordering.

    Raises:
        ValueError: It is not three dot-separated numbers below 65536 (a microcontroller keeps each in 16 bits).
    """
    match = _VERSION.fullmatch(version)
    if not match:
        raise ValueError(f"not a version of the form MAJOR.MINOR.PATCH: {version!r}")
    major, minor, patch = (int(part) for part in match.groups())
    if max(major, minor, patch) > 0xFFFF:
        raise ValueError(f"a version number is over 65535: {version!r}")
    return major, minor, patch


def file_entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    """The manifest's file list for ``files`` (path → bytes), sorted by path."""
    return tuple(FileEntry(path=p, sha256=sha256_hex(files[p]), size=len(files[p])) for p in sorted(files))


def pack(manifest: Manifest, files: Mapping[str, bytes]) -> bytes:
    """The archive's bytes; the same arguments give the same bytes.

    Raises:
        BundleTampered: ``files`` are not the ones the manifest lists.
        BundleError: The manifest names a payload or golden file that is not there.
    """
    _check_files(manifest, files)
    return _archive(manifest.model_dump_json(indent=1).encode() + b"\n", files)


def write(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Path:
    """Write the bundle into ``folder`` under its own name, atomically, and return its path."""
    path = folder / manifest.filename
    write_atomic(path, pack(manifest, files))
    return path


def read(path: Path) -> Bundle:
    """Read and verify the bundle at ``path``.

    Raises:
        StorageError: The file cannot be read.
        BundleError, BundleTampered: It is not a bundle, or not an intact one.
    """
    try:
        if path.stat().st_size > MAX_BUNDLE_BYTES:
            raise BundleError(f"{path.name}: larger than {MAX_BUNDLE_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}", hint="check the path of the bundle") from error
    return unpack(data, name=path.name)


def unpack(data: bytes, *, name: str = "bundle") -> Bundle:
    """Verify archive bytes and return the bundle. Raises as :func:`read` does."""
    members = _members(data, name)
    raw, digest = members.pop(MANIFEST_NAME, None), members.pop(DIGEST_NAME, b"")
    manifest = _manifest(raw, name)
    if digest != sha256_hex(raw or b"").encode() + b"\n":
        raise BundleTampered(f"{name}: the manifest is not the one the bundle was made with", hint=_AGAIN)
    _check_files(manifest, members)
    if _archive(raw or b"", members) != data:
        raise BundleTampered(f"{name}: the archive differs from its canonical form", hint=_AGAIN)
    return Bundle(manifest=manifest, files=members, sha256=sha256_hex(data), size=len(data))


def _members(data: bytes, name: str) -> dict[str, bytes]:
    """The archive's files. Only plain headers are read: no links, sparse files or extensions, so nothing can grow."""
    members: dict[str, bytes] = {}
    offset = 0
    while data[offset : offset + _BLOCK_BYTES].strip(b"\0"):
        header = _header(data[offset : offset + _BLOCK_BYTES], name)
        start = offset + _BLOCK_BYTES
        if header.type != tarfile.REGTYPE or header.name in members:
            raise BundleError(f"{name}: member {header.name!r} is not a plain file or comes twice", hint=_AGAIN)
        if not 0 <= header.size <= len(data) - start:
            raise BundleError(f"{name}: cut off in member {header.name!r}", hint=_AGAIN)
        members[header.name] = data[start : start + header.size]
        offset = start + -(-header.size // _BLOCK_BYTES) * _BLOCK_BYTES
    return members


def _header(block: bytes, name: str) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise BundleError(f"{name}: not a readable bundle ({error})", hint=_AGAIN) from error


def _manifest(raw: bytes | None, name: str) -> Manifest:
    if raw is None:
        raise BundleError(f"{name}: has no {MANIFEST_NAME}", hint="a bundle is made by `flota optimize`")
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or MANIFEST_NAME
        raise BundleError(f"{name}: manifest: {where}: {first['msg']}", hint="make the bundle again") from error


def _check_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    listed = {entry.path: entry for entry in manifest.files}
    if listed.keys() != files.keys():
        odd = ", ".join(sorted(listed.keys() ^ files.keys()))
        raise BundleTampered(f"{manifest.filename}: files and manifest differ: {odd}", hint=_AGAIN)
    for path, entry in listed.items():
        if len(files[path]) != entry.size or sha256_hex(files[path]) != entry.sha256:
            raise BundleTampered(
                f"{manifest.filename}: {path} is not the file the manifest describes",
                hint=_AGAIN,
            )
    for needed in (manifest.payload, manifest.golden.inputs, manifest.golden.outputs):
        if needed not in files:
            raise BundleError(f"{manifest.filename}: {needed} is named but not there")
    _check_golden(manifest, files)


def _check_golden(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    golden = manifest.golden
    for path, tensors in ((golden.inputs, manifest.inputs), (golden.outputs, manifest.outputs)):
        expected = golden.count * sum(tensor.size_bytes for tensor in tensors)
        if len(files[path]) != expected:
            raise BundleError(f"{manifest.filename}: {path} has {len(files[path])} bytes, {expected} expected")


def _archive(manifest: bytes, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, MANIFEST_NAME, manifest)
        _add(archive, DIGEST_NAME, sha256_hex(manifest).encode() + b"\n")
        for path in sorted(files):
            _add(archive, path, files[path])
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, data: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _split(data: bytes, count: int) -> list[bytes]:
    step = len(data) // count
    return [data[i * step : (i + 1) * step] for i in range(count)]
