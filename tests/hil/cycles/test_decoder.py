"""The decoder of the cycle model against binutils: every 16-bit instruction there is, and many random 32-bit ones."""

from __future__ import annotations

import ctypes
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import hil.cycles
from flota.toolchain import Compiler

SOURCE = Path(hil.cycles.__file__).parent / "cortex_m4.c"
ROWS = re.findall(r"^    M4_(\w+),", SOURCE.with_suffix(".h").read_text(), re.MULTILINE)
PREFIXES = (0xE8, 0xE9, 0xEA, 0xEB, 0xEC, 0xED, 0xEE, 0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF8, 0xF9, 0xFA, 0xFB)
RANDOM_COUNT = 20_000
MOV_R8_R8 = 0x46C0  # objdump shows it as the nop that it was before there was one
NAMES = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15} | {f"r{n}": n for n in range(16)}
CONDITION = "(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?"
SIZED = "(b|h|sb|sh)?t?"
EXPECTED = {
    rf"ldr{SIZED}": "LOAD",
    r"ldrd": "LOAD_DOUBLE",
    r"strd": "STORE_DOUBLE",
    r"ldm(ia|db|fd|ea)?|pop": "LOAD_MULTIPLE",
    r"stm(ia|db|fd|ea)?|push": "STORE_MULTIPLE",
    r"(ldr|str)ex[bh]?": "EXCLUSIVE",
    r"bx|blx?|bx?n?s|cbn?z": "BRANCH",
    rf"b{CONDITION}": "BRANCH",
    r"tb[bh]": "TABLE_BRANCH",
    r"it[te]*": "IT",
    r"[su]div": "DIVIDE",
    r"mrs|msr|cps(ie|id)?": "SYSTEM",
    r"dsb|dmb|isb": "BARRIER",
    r"nop|yield|wf[ei]|sevl?|pl[di]w?|clrex|bkpt|svc|udf|dbg|csdb|ssbb|pssbb|esb|hint": "HINT",
    r"vadd|vsub|vmul|vnmul|vneg|vabs|vcmpe?|vcvt[btra]?": "FP_ARITHMETIC",
    r"vn?ml[as]|vfn?m[as]": "FP_ACCUMULATE",
    r"vdiv|vsqrt": "FP_DIVIDE",
    r"vmov|vmrs|vmsr": "FP_SIMPLE",
    r"vldr": "FP_LOAD",
    r"vstr": "FP_STORE",
    r"vldm(ia|db)?|vstm(ia|db)?|vpush|vpop": "FP_MULTIPLE",
}
DATA = re.compile(
    r"(adc|add|addw|and|asr|bfc|bfi|bic|clz|cmn|cmp|eor|lsl|lsr|mla|mls|mov|movt|movw|mul|mvn|neg|orn|orr|pkhbt|pkhtb|rbit|"
    r"rev|rev16|revsh|ror|rrx|rsb|sbc|sbfx|sel|sub|subw|teq|tst|ubfx|cpy|adr|ssat|ssat16|usat|usat16|usad8|usada8|"
    r"[su]xta?(b|b16|h)|[su]m[lu]al?l?|umaal|sml[as]l?d?x?|smla(l?[bt][bt]|w[bt])|smlald?x?|smlsl?dx?|smm(la|ls|ul)r?|"
    r"smu[as]dx?|smul([bt][bt]|w[bt])|q(d?add|d?sub)|(s|u|q|uq|sh|uh)(add16|add8|asx|sax|sub16|sub8))s?"
)
"""Mnemonics of the data processing row; what is in no row is no instruction of a Cortex-M4."""


class Decoded(ctypes.Structure):
    """m4_instruction_t."""

    _fields_ = (
        ("row", ctypes.c_int),
        ("registers", ctypes.c_uint8),
        ("call", ctypes.c_bool),
        ("addresses", ctypes.c_uint16),
        ("loaded", ctypes.c_uint16),
        ("computed", ctypes.c_uint16),
        ("fp_consumed", ctypes.c_uint32),
        ("fp_computed", ctypes.c_uint32),
        ("may_be_unaligned", ctypes.c_bool),
    )


@dataclass(frozen=True)
class Line:
    """An instruction as objdump shows it."""

    first: int
    second: int
    size: int
    mnemonic: str
    operands: str

    def __str__(self) -> str:
        return f"{self.first:04x} {self.second:04x} {self.mnemonic} {self.operands}"


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("decoder")
    Compiler("").run("gcc", ["-std=c99", "-O1", "-fPIC", "-shared", str(SOURCE), "-o", "m4.so"], folder)
    library = ctypes.CDLL(str(folder / "m4.so"))
    library.m4_decode.restype = Decoded
    return library


def disassembled(folder: Path, halfwords: Sequence[tuple[int, ...]]) -> Iterator[Line]:
    text = "\n".join(f".inst.{'w' if len(code) == 2 else 'n'} {_number(code)}" for code in halfwords)
    (folder / "code.s").write_text(f".syntax unified\n.thumb\n{text}\n")
    compiler, cpu = Compiler(), ["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
    compiler.run("gcc", [*cpu, "-c", "code.s", "-o", "code.o"], folder)
    listing = compiler.run("objdump", ["-d", "code.o"], folder)
    for match in re.finditer(
        r"^ *[0-9a-f]+:\t([0-9a-f]{4}) (?:([0-9a-f]{4}))?\s*\t(\S+)(?:\t(.*))?$", listing, re.MULTILINE
    ):
        first, second = int(match[1], 16), int(match[2] or "0", 16)
        operands = (match[4] or "").split(";")[0].split("@")[0].strip()
        yield Line(first, second, 4 if match[2] else 2, match[3].removesuffix(".w").removesuffix(".n"), operands)


def _number(code: tuple[int, ...]) -> str:
    return "0x" + "".join(f"{halfword:04x}" for halfword in code)


def expected_row(line: Line) -> str:
    """By objdump's name for it; empty: no instruction of a Cortex-M4, or one whose effect is not defined."""
    name, operands = line.mnemonic.split(".")[0], line.operands
    if line.first == MOV_R8_R8 and line.size == 2:
        return "DATA"
    if name == "vmov" and operands.count(",") >= 2:
        return "FP_CORE_PAIR"
    for pattern, row in EXPECTED.items():
        if re.fullmatch(pattern, name):
            return row if _is_defined(line, row) else ""
    if re.fullmatch(rf"str{SIZED}", name):
        indexed = re.search(r"\[\w+, [a-z]", operands)
        return ("STORE_REGISTER" if indexed else "STORE_IMMEDIATE") if _is_defined(line, "STORE") else ""
    if not DATA.fullmatch(name) or not _is_defined(line, "DATA"):
        return ""
    return "BRANCH" if re.match(r"pc\b", operands) else "DATA"


def _is_defined(line: Line, row: str) -> bool:
    name, operands = line.mnemonic.split(".")[0], line.operands
    if "UNPREDICTABLE" in operands or ("<" in operands and row != "BRANCH"):
        return False
    if re.fullmatch("ldrs?[bh]t?|vmov|[ls][dt]rd", name) and "pc" in operands.partition("[")[0]:
        return False
    if row.endswith("DOUBLE") and line.second & 0xFF == 0 and "#" not in operands:
        return False  # objdump leaves the update by nothing out
    if row == "DATA" and "pc" in operands:
        return line.size == 2 and name in ("mov", "add", "cpy", "adr")
    if row.startswith("FP") and line.second >> 9 & 7 != 5:
        return False
    return bool(operands) or row in ("HINT", "BARRIER")


def registers_in(text: str) -> int:
    mask = 0
    for start, end in re.findall(r"\b(r\d+|s[lp]|fp|ip|lr|pc)\b(?:-(r\d+|s[lp]|fp|ip|lr|pc))?", text):
        for number in range(NAMES[start], NAMES[end or start] + 1):
            mask |= 1 << number
    return mask


def expected_registers(line: Line, row: str) -> tuple[int, int, int]:
    """(addresses, loaded, computed) as far as they can be read off objdump's text."""
    operands, name = line.operands, line.mnemonic.split(".")[0]
    if row in ("LOAD", "LOAD_DOUBLE", "STORE_IMMEDIATE", "STORE_REGISTER", "STORE_DOUBLE"):
        if "[" not in operands:
            return 0, registers_in(operands.split(",")[0]), 0
        targets, _, rest = operands.partition("[")
        inside, _, after = rest.partition("]")
        updated = registers_in(inside.split(",")[0]) if after else 0
        loaded = registers_in(targets) if row.startswith("LOAD") else 0
        return registers_in(inside) & 0x7FFF, loaded | updated, 0
    if row in ("LOAD_MULTIPLE", "STORE_MULTIPLE"):
        base = registers_in(operands.partition("{")[0]) or 1 << 13
        listed = registers_in(operands[operands.index("{") :]) if row.startswith("LOAD") else 0
        updated = base if "!" in operands or name in ("push", "pop") else 0
        return base, listed | updated, 0
    if name in ("cmp", "cmn", "tst", "teq"):
        return 0, 0, 0
    if line.first == MOV_R8_R8:
        return 0, 0, 1 << 8
    results = 2 if re.fullmatch(r"[su]m(ul|la)l(s|d|x|dx|[bt][bt])?|smlsldx?|umaal", name) else 1
    return 0, 0, registers_in(",".join(operands.split(",")[:results]))


def differences(decoder: ctypes.CDLL, lines: Iterator[Line]) -> list[str]:
    wrong = []
    for line in lines:
        expected = expected_row(line)
        if not expected:
            continue
        found = decoder.m4_decode(line.first, line.second, line.size)
        if ROWS[found.row] != expected:
            wrong.append(f"{line}: {ROWS[found.row]}, expected {expected}")
        elif expected == "DATA" or re.match("LOAD|STORE", expected):
            registers = (found.addresses, found.loaded, found.computed)
            if registers != expected_registers(line, expected):
                wrong.append(f"{line}: registers {registers}, expected {expected_registers(line, expected)}")
            listed = registers_in(line.operands[line.operands.find("{") :]).bit_count()
            if expected.endswith("MULTIPLE") and found.registers != listed:
                wrong.append(f"{line}: {found.registers} registers, expected {listed}")
    return wrong


def test_every_16_bit_instruction(decoder: ctypes.CDLL, tmp_path: Path) -> None:
    codes: list[tuple[int, ...]] = [(code,) for code in range(0xE800) if code >> 11 != 0x1D]
    lines = list(disassembled(tmp_path, codes))
    assert len(lines) > 50_000
    assert not differences(decoder, iter(lines))


def test_random_32_bit_instructions(decoder: ctypes.CDLL, tmp_path: Path) -> None:
    chosen = random.Random(7)
    codes = [
        ((chosen.choice(PREFIXES) << 8) | chosen.randrange(256), chosen.randrange(1 << 16)) for _ in range(RANDOM_COUNT)
    ]
    lines = list(disassembled(tmp_path, codes))
    assert len(lines) > RANDOM_COUNT // 4
    assert not differences(decoder, iter(lines))
