"""Runs every model of a sanitized library on its inputs; started with libasan preloaded, standard library only.

Usage: sanitized_runner.py LIBRARY FOLDER COUNT. FOLDER/i.inputs holds the samples of model i one after another; its
outputs go to FOLDER/i.outputs. The arena is a heap block of exactly the size the model asks for, so AddressSanitizer
sees every byte outside it. Each sample starts from the initial state; where there is a file FOLDER/i.stream, only the
first one does, and between two all of the arena but the state is overwritten.
"""

import ctypes
import sys
from pathlib import Path


class Slot(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint32), ("bytes", ctypes.c_uint32))


class Model(ctypes.Structure):
    """flota_model_t of firmware/include/flota/model.h."""

    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("arena_bytes", ctypes.c_uint32),
        ("state_bytes", ctypes.c_uint32),
        ("input_count", ctypes.c_uint32),
        ("output_count", ctypes.c_uint32),
        ("inputs", ctypes.POINTER(Slot)),
        ("outputs", ctypes.POINTER(Slot)),
        ("invoke", ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)),
        ("reset", ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)),
    )


def run(model, folder, index, allocate, free):
    data = (folder / f"{index}.inputs").read_bytes()
    inputs = model.inputs[: model.input_count]
    outputs = model.outputs[: model.output_count]
    assert model.abi == 2
    assert bool(model.reset) == (model.state_bytes > 0)
    stream, arena = (folder / f"{index}.stream").exists(), None
    with (folder / f"{index}.outputs").open("wb") as out:
        at = 0
        while at < len(data):
            if arena is None:
                arena = allocate(16, model.arena_bytes)
                ctypes.memset(arena, 0xA5, model.arena_bytes)
                assert not model.reset or model.reset(arena) == 0
            ctypes.memset(arena + model.state_bytes, 0x5A, model.arena_bytes - model.state_bytes)
            for slot in inputs:
                ctypes.memmove(arena + slot.offset, data[at : at + slot.bytes], slot.bytes)
                at += slot.bytes
            assert model.invoke(arena) == 0
            for slot in outputs:
                out.write(ctypes.string_at(arena + slot.offset, slot.bytes))
            if not stream or at >= len(data):
                free(arena)
                arena = None


def main():
    library, folder, count = ctypes.CDLL(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    libc = ctypes.CDLL(None)
    libc.memalign.restype = ctypes.c_void_p
    libc.memalign.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    for index in range(count):
        sys.stderr.write(f"model {index}\n")  # which one a sanitizer stops
        sys.stderr.flush()
        run(Model.in_dll(library, f"flota_model_{index}"), folder, index, libc.memalign, libc.free)


if __name__ == "__main__":
    main()
