"""Bundles: the same inputs give the same bytes, and any other bytes are refused."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flota import bundle
from flota.bundle import BundleError, BundleTampered, FileEntry, Manifest, TensorSignature
from flota.errors import StorageError

QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
SEGMENT = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True)
PATHS = st.lists(SEGMENT, min_size=2, max_size=4).map("/".join)


@pytest.fixture
def packed(make_bundle: Any) -> bytes:
    return bundle.pack(*make_bundle())


@given(
    extra=st.dictionaries(PATHS.map("extra/".__add__), st.binary(max_size=1500), max_size=4), text=st.text(max_size=20)
)
@QUICK
def test_round_trip(make_bundle: Any, extra: dict[str, bytes], text: str) -> None:
    try:
        manifest, files = make_bundle(extra=extra)
    except ValidationError:
        return  # one path is a folder of another
    manifest = manifest.model_copy(update={"description": text})
    data = bundle.pack(manifest, files)
    read = bundle.unpack(data)
    assert read.manifest == manifest
    assert read.files == files
    assert (read.sha256, read.size) == (bundle.sha256_hex(data), len(data))
    assert bundle.pack(read.manifest, read.files) == data


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
@QUICK
def test_numbers_survive_exactly(make_bundle: Any, numbers: list[float]) -> None:
    manifest, files = make_bundle()
    histogram = bundle.FeatureHistogram(name="x", edges=tuple(numbers), counts=(1, 2, 3))
    manifest = manifest.model_copy(update={"histograms": (histogram,)})
    assert bundle.unpack(bundle.pack(manifest, files)).manifest.histograms == (histogram,)


def test_the_order_of_the_inputs_does_not_matter(make_bundle: Any) -> None:
    manifest, files = make_bundle(extra={"z": b"1", "a/b": b"2"})
    backwards = dict(reversed(list(files.items())))
    assert bundle.file_entries(backwards) == manifest.files
    assert bundle.pack(manifest, backwards) == bundle.pack(manifest, files)
    tools = {"b": "2", "a": "1"}
    provenance = [
        bundle.Provenance(source_sha256="0" * 64, config_sha256="0" * 64, git_commit="", seed=1, tools=order)
        for order in (tools, dict(sorted(tools.items())))
    ]
    assert provenance[0].model_dump_json() == provenance[1].model_dump_json()


def test_the_bytes_do_not_depend_on_the_machine(write_bundle: Callable[..., Path]) -> None:
    """Another process in another time zone and locale packs the same bytes."""
    path = write_bundle()
    code = (
        "import sys, pathlib; from flota import bundle; b = bundle.read(pathlib.Path(sys.argv[1]));"
        "sys.stdout.buffer.write(bundle.pack(b.manifest, b.files))"
    )
    environment = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PATH": "", "PYTHONHASHSEED": "7", "PYTHONUTF8": "0"}
    for change in ({}, {"PYTHONHASHSEED": "8", "LC_ALL": "C.UTF-8"}):
        again = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**environment, **change},
            capture_output=True,
            check=True,
            cwd=Path(bundle.__file__).parent.parent,
        )
        assert again.stdout == path.read_bytes()


def test_any_tar_reads_it(packed: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames()[:2] == ["manifest.json", "manifest.sha256"]
        assert archive.getnames()[2:] == sorted(archive.getnames()[2:])
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in archive} == {(0, 0, 0, "", "", 0o644)}


# ---- damage


def test_one_byte_changed_anywhere_is_refused(packed: bytes) -> None:
    """Every byte of the archive, headers and padding included."""
    data = bytearray(packed)
    for position in range(len(packed)):
        original = data[position]
        for mask in (0x01, 0x80):
            data[position] = original ^ mask
            with pytest.raises(BundleError):
                bundle.unpack(bytes(data))
        data[position] = original


@given(st.data())
@QUICK
def test_several_bytes_changed_are_refused(packed: bytes, data: st.DataObject) -> None:
    changed = bytearray(packed)
    for _ in range(data.draw(st.integers(2, 6))):
        changed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    if bytes(changed) != packed:
        with pytest.raises(BundleError):
            bundle.unpack(bytes(changed))


@given(st.integers(0, 20_000), st.binary(max_size=600))
@QUICK
def test_cut_off_or_longer_is_refused(packed: bytes, length: int, tail: bytes) -> None:
    data = packed[:length] + tail
    if data != packed:
        with pytest.raises(BundleError):
            bundle.unpack(data)


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_no_bundle(data: bytes) -> None:
    with pytest.raises(BundleError):
        bundle.unpack(data)


def _archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE],
)
def test_only_plain_files_are_members(kind: bytes) -> None:
    with pytest.raises(BundleError):
        bundle.unpack(_archive((_member("manifest.json", kind, "/etc/passwd"), b"")))


def test_a_member_that_comes_twice_is_refused(packed: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    with pytest.raises(BundleError, match="twice"):
        bundle.unpack(_archive(*members, members[-1]))


def test_the_same_files_in_another_form_are_refused(packed: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    assert _archive(*members) == packed
    with pytest.raises(BundleTampered):
        bundle.unpack(_archive(*members[:2], *reversed(members[2:])))
    members[1][0].mtime = 1
    with pytest.raises(BundleTampered):
        bundle.unpack(_archive(*members))


def test_a_header_that_claims_more_than_there_is_is_refused_at_once() -> None:
    member = _member("manifest.json")
    for size in (1 << 40, 1 << 62, -1, -(1 << 40)):
        member.size = size
        with pytest.raises(BundleError):
            bundle.unpack(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def test_an_archive_without_a_manifest() -> None:
    for data in (b"", bytes(10240), _archive((_member("other"), b"x"))):
        with pytest.raises(BundleError, match="no manifest"):
            bundle.unpack(data)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"schema_version": 2}'])
def test_a_manifest_that_is_none(raw: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        bundle.unpack(_archive((_member("manifest.json"), raw)))
    assert caught.value.hint


# ---- manifest and files


def test_files_and_manifest_must_agree(make_bundle: Any) -> None:
    manifest, files = make_bundle()
    for changed in (
        {**files, "extra": b""},
        {path: data for path, data in files.items() if path != "model.tflite"},
        {**files, "model.tflite": b"WEIGHTS"},
        {**files, "model.tflite": b"weights!"},
    ):
        with pytest.raises(BundleTampered):
            bundle.pack(manifest, changed)


def test_payload_and_golden_vectors_must_be_there(make_bundle: Any) -> None:
    manifest, files = make_bundle()
    golden = manifest.golden
    for change in (
        {"payload": "other"},
        {"golden": golden.model_copy(update={"inputs": "other"})},
        {"golden": golden.model_copy(update={"outputs": "other"})},
        {"golden": golden.model_copy(update={"count": 3})},
    ):
        with pytest.raises(BundleError):
            bundle.pack(manifest.model_copy(update=change), files)


def test_golden_cases_are_cut_in_order(make_bundle: Any) -> None:
    cases = bundle.unpack(bundle.pack(*make_bundle())).golden_cases()
    assert [case[0] for case in cases] == [b"\x00\x01\x02", b"\x03\x04\x05", b"\x06\x07\x08", b"\x09\x0a\x0b"]
    assert [case[1] for case in cases] == [b"\x00\x01", b"\x02\x03", b"\x04\x05", b"\x06\x07"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "../a",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a\\b",
        "a\nb",
        "ä",
        ".hidden",
        "-x",
        "a b",
        "n" * 101,
        "manifest.json",
    ],
)
def test_paths_that_could_lead_elsewhere(path: str) -> None:
    with pytest.raises(ValidationError):
        FileEntry(path=path, sha256="0" * 64, size=0)


def test_a_path_is_a_file_or_a_folder_and_comes_once(make_bundle: Any) -> None:
    with pytest.raises(ValidationError, match="folder"):
        make_bundle(extra={"a": b"", "a/b": b""})
    manifest, _ = make_bundle()
    document = manifest.model_dump()
    for files in (document["files"] + document["files"][-1:], document["files"][::-1]):
        with pytest.raises(ValidationError, match="sorted"):
            Manifest.model_validate({**document, "files": files})


@pytest.mark.parametrize("name", ["", "Motion", "a_b", "-a", "a--b", "a/b", "..", "n" * 32, "ä", "a\n"])
def test_names_that_are_none(make_bundle: Any, name: str) -> None:
    for field in ("model", "target"):
        with pytest.raises(ValidationError):
            make_bundle(**{field: name})


@pytest.mark.parametrize("shape", [(0,), (-1, -1), (1, 0)])
def test_shapes_that_hold_nothing(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        TensorSignature(name="x", shape=shape, dtype="int8")


@pytest.mark.parametrize(("dtype", "size"), [("int8", 6), ("uint8", 6), ("int16", 12), ("int32", 24), ("float32", 24)])
def test_sizes_of_tensors(dtype: Any, size: int) -> None:
    assert TensorSignature(name="x", shape=(2, 3), dtype=dtype).size_bytes == size


def test_numbers_that_json_cannot_hold_are_refused_when_the_bundle_is_made() -> None:
    with pytest.raises(ValidationError):
        bundle.FeatureHistogram(name="x", edges=(0.0, float("nan")), counts=(1,))


@given(st.tuples(*[st.integers(0, 0xFFFF)] * 3))
def test_versions(parts: tuple[int, int, int]) -> None:
    assert bundle.parse_version(".".join(map(str, parts))) == parts


@pytest.mark.parametrize(
    "version", ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "v1.2.3", "1.2.3\n", "1.2.65536", "1.1٢.0"]
)
def test_versions_that_are_none(version: str) -> None:
    with pytest.raises(ValueError, match="version"):
        bundle.parse_version(version)


# ---- disk


def test_write_and_read(write_bundle: Callable[..., Path]) -> None:
    path = write_bundle()
    assert path.name == "motion-1.0.0-linux-litert.flota"
    assert bundle.read(path).payload() == b"weights"
    assert write_bundle() == path


def test_read_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        bundle.read(tmp_path / "nothing.flota")
    with pytest.raises(StorageError):
        bundle.read(tmp_path)


def test_read_what_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "large.flota").open("wb") as stream:
        stream.truncate(bundle.MAX_BUNDLE_BYTES + 1)
    with pytest.raises(BundleError, match="larger"):
        bundle.read(tmp_path / "large.flota")
