"""Write docs/SPEC.md, the tables of every byte that parts exchange, from the code that reads and writes them.

.venv/bin/python scripts/spec.py            # write it
.venv/bin/python scripts/spec.py --check    # exit code 1 where it is not current
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from flota import bundle, image, messages, topics
from flota.boardlink import protocol
from flota.boardlink.wire import WireField, WireStruct

SPEC = Path(__file__).parent.parent / "docs" / "SPEC.md"
_RECORDS = (protocol.SLOT_INFO, protocol.INFO, protocol.BEGIN, protocol.ACTIVATE, protocol.RUN_RESULT, protocol.STATS)
_PAGES = (protocol.FACTORY_PAGE, protocol.BOOT_RECORD)
_STATES = (protocol.FrameType, protocol.SlotState, protocol.ResetCause, protocol.Verdict)
_PAYLOADS = (
    messages.Assignment,
    messages.HealthLimits,
    messages.ReportedState,
    messages.Running,
    messages.Result,
    messages.TelemetryBatch,
    messages.TelemetryPoint,
    messages.EventBatch,
    messages.Event,
    messages.Ack,
    messages.Command,
    messages.Reply,
)
_WORDS = (messages.Phase, messages.Outcome, messages.EventKind, messages.DeviceKind)
_MANIFEST = (
    bundle.Manifest,
    bundle.FileEntry,
    bundle.TensorSignature,
    bundle.GoldenVectors,
    bundle.Requirements,
    bundle.Accuracy,
    bundle.FeatureHistogram,
    bundle.Provenance,
)


def specification() -> str:
    """The whole document."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield "# Specification\n"
    yield "Written by `scripts/spec.py` from the code; a test holds it current. Why things are so is in [adr](adr).\n"
    yield "## Bundle\n"
    yield f"{_prose(bundle)}\n"
    yield from _models(_MANIFEST)
    yield "## MQTT\n"
    yield f"Topics are `{topics.PREFIX}/<device>/<channel>`. QoS 1; duplicates and reordering are harmless.\n"
    server = ", ".join(f"`{channel.value}`" for channel in topics.Channel if channel in topics.FROM_SERVER)
    device = ", ".join(f"`{channel.value}`" for channel in topics.Channel if channel in topics.FROM_DEVICE)
    yield f"From the server: {server}. From the device: {device}.\n"
    yield from _models(_PAYLOADS)
    for words in _WORDS:
        yield f"`{words.__name__}`: {', '.join(f'`{word.value}`' for word in words)}.\n"
    yield "## Board link\n"
    yield f"{_prose(protocol)}\n"
    yield f"`MAX_BODY_BYTES` {protocol.MAX_BODY_BYTES}, `CHUNK_BYTES` {protocol.CHUNK_BYTES}, "
    yield f"`RUN_FRESH` {protocol.RUN_FRESH} (a streaming model starts anew).\n"
    yield from _record(protocol.FRAME_HEADER)
    yield from _numbers(protocol.Command)
    yield from _statuses()
    for states in _STATES:
        yield from _numbers(states)
    for record in _RECORDS:
        yield from _record(record)
    yield "## Flash\n"
    for record in _PAGES:
        yield from _record(record)
    yield "## Microcontroller image\n"
    yield f"Ed25519 signature ({image.SIGNATURE_BYTES} bytes) over what follows: header, payload.\n"
    yield from _record(image.IMAGE_HEADER)


def _prose(module: Any) -> str:
    """A module's description in Markdown, without its first line and without the roles of Sphinx."""
    text = inspect.cleandoc(module.__doc__).partition("\n\n")[2]
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", text).replace("``", "`")


def _record(record: WireStruct) -> Iterator[str]:
    yield f"### `{record.name}`, {record.size} bytes\n"
    yield f"{record.doc}\n"
    yield from _table(
        ("offset", "type", "field", "meaning"),
        ((str(record.offset(field.name)), _kind(field), f"`{field.name}`", field.doc) for field in record.fields),
    )


def _kind(field: WireField) -> str:
    return f"{field.kind}[{field.count}]" if field.count > 1 else field.kind


def _numbers(numbers: type[IntEnum]) -> Iterator[str]:
    said = dict(re.findall(r"^    (\w+) = \d+  # (.+)$", inspect.getsource(numbers), re.MULTILINE))
    yield f"### {numbers.__name__}\n"
    yield f"{_doc(numbers)}\n"
    rows = ((str(number.value), f"`{number.name}`", said.get(number.name, "")) for number in numbers)
    yield from _table(("number", "name", "meaning"), rows)


def _statuses() -> Iterator[str]:
    yield "### Status\n"
    rows = ((str(s.value), f"`{s.name}`", f"`{code}`", text) for s, (code, text) in protocol.STATUS_CODES.items())
    yield from _table(("number", "name", "code", "meaning"), rows)


def _models(models: Iterable[type[BaseModel]]) -> Iterator[str]:
    for model in models:
        yield f"### {model.__name__}\n"
        yield f"{_doc(model)}\n"
        fields = model.model_fields.items()
        rows = ((f"`{name}`", _type(field.annotation), _default(field)) for name, field in fields)
        yield from _table(("field", "type", "default"), rows)


def _doc(subject: Any) -> str:
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", inspect.cleandoc(subject.__doc__ or "")).replace("``", "`")


def _type(annotation: Any) -> str:
    plain = inspect.isclass(annotation) and not hasattr(annotation, "__args__")
    text = annotation.__name__ if plain else str(annotation)
    text = re.sub(r"Annotated\[(\w+), [^\]]*\]+\)?\]?", r"\1", text)
    return f"`{re.sub(r'(?:typing|flota[.]messages|flota[.]bundle|pathlib)[.]', '', text)}`".replace("|", "\\|")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its defaults"
    return f"`{value.value if isinstance(value, Enum) else value!r}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def main() -> int:
    """Write the document, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where it is not current")
    text = specification()
    if parser.parse_args().check:
        return int(not SPEC.exists() or SPEC.read_text("utf-8") != text)
    SPEC.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
