"""Runs bakenn on one model, in whatever Python has it; prints what it generated as one JSON document.

    BAKENN_PYTHON bakenn_compile.py MODEL.tflite FOLDER portable|cmsis-nn

It may run outside this project's environment, so it imports nothing of it. Exit code 3: bakenn refuses the model, the
reason is on standard error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Compile and report."""
    import bakenn  # type: ignore[import-not-found]

    file, folder, variant = arguments
    options, target = bakenn.CBackendOptions(), None
    if variant == "cmsis-nn":
        policy = bakenn.KernelPolicy.STATIC_PRIORITY
        options, target = bakenn.CBackendOptions(kernel_policy=policy, enable_cmsis_nn=True), "cortex-m4"
    try:
        compiled = bakenn.compile_tflite(file, folder, name="model", backend_options=options, target=target)
    except bakenn.BakeNNError as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 3
    artifacts = compiled.artifacts
    own = sorted(str(path) for path in Path(folder).glob("*.c"))
    report = {
        "version": bakenn.__version__,
        "sources": own + [str(path) for path in artifacts.support_sources],
        "include": [folder, *(str(path) for path in artifacts.support_include_dirs)],
    }
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
