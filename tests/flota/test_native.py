from __future__ import annotations

import os
import sys

import pytest

from flota.native import captured_stderr


def test_what_native_code_writes_is_caught_and_nothing_after() -> None:
    with captured_stderr() as said:
        os.write(2, b"from C\n")
        print("from Python", file=sys.__stderr__, flush=True)
    assert said.text == "from C\nfrom Python\n"


def test_an_error_inside_gives_standard_error_back() -> None:
    def fail() -> None:
        os.write(2, b"before it failed")
        raise RuntimeError

    before = os.fstat(2)
    with pytest.raises(RuntimeError), captured_stderr() as said:
        fail()
    assert said.text == "before it failed"
    assert os.fstat(2).st_ino == before.st_ino
