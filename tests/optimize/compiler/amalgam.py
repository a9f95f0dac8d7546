"""Many generated models as one C file, because starting a compiler costs more than compiling a small model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from optimize.compiler import CompiledModel

_DEFINED = re.compile(r"^static (?:const |__attribute__\(\(\w+\)\) )*[\w ]*?[\w*] ?\*?(\w+)(?= =|\[|\()", re.MULTILINE)
_MACRO = re.compile(r"^#define (MODEL_\w+)", re.MULTILINE)
_MODEL = "flota_model"


def amalgamate(models: Sequence[CompiledModel]) -> bytes:
    """One C file that defines ``flota_model_0``, ``flota_model_1``, …; names at file scope get the model's number."""
    return "\n".join(_numbered(index, model) for index, model in enumerate(models)).encode()


def _numbered(index: int, model: CompiledModel) -> str:
    header, source = (model.files[name].decode() for name in ("model.h", "model.c"))
    assert set(model.files) == {"model.h", "model.c"}, "a file that this does not know"
    names = {*_DEFINED.findall(source), _MODEL}
    # Not after a dot: `.inputs` is a field of a struct.
    named = re.compile(r"(?<![.\w])(" + "|".join(map(re.escape, names)) + r")\b(?!\")")
    body = named.sub(lambda found: f"{found.group()}_{index}", source.replace('#include "model.h"\n', ""))
    undefine = "".join(f"#undef {name}\n" for name in _MACRO.findall(header))
    guard = re.search(r"^#ifndef (\w+)", header, re.MULTILINE)
    assert guard is not None
    return f"{header}\n{body}\n#undef {guard.group(1)}\n{undefine}"
