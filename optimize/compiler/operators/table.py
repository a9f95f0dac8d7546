"""The table of supported operators as the README shows it."""

from __future__ import annotations

from optimize.compiler.operators import FAMILIES
from optimize.compiler.recurrent import RECURRENT
from optimize.compiler.variables import VARIABLE_OPERATORS

NOTES: dict[str, str] = {
    "ABS": "a table",
    "ADD_N": "int8, all inputs with the same scale; or float32",
    "ARG_MAX": "int32 result",
    "ARG_MIN": "int32 result",
    "BATCH_TO_SPACE_ND": "rank 3 or 4",
    "BROADCAST_ARGS": "of shapes the file determines",
    "BROADCAST_TO": "any type",
    "CAST": "bool, int8, int16 or int32 to int8, int16, int32 or float32",
    "CEIL": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "CONCATENATION": "any type; int8 inputs with the output's scale",
    "CONV_2D": "groups, dilation, a scale per channel; constant weights, int8 or int4",
    "COS": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "CUMSUM": "int8 or float32; exclusive, reverse; constant axis",
    "DEPTHWISE_CONV_2D": "dilation, a scale per channel; constant weights, int8 or int4",
    "DEQUANTIZE": "int8, uint8 or int16 to float32",
    "DIV": "int8 where the output's scale keeps the interpreter's result defined, or float32; x / 0 saturates",
    "DYNAMIC_UPDATE_SLICE": "any type; constant start",
    "ELU": "a table",
    "EMBEDDING_LOOKUP": "any type; one outside the table takes the nearest row",
    "EQUAL": "int8 or bool to bool",
    "EXP": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "FILL": "any type",
    "FLOOR": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "FULLY_CONNECTED": "a scale per channel or per tensor; constant weights, int8 or int4",
    "GATHER": "any type; one outside the axis takes the nearest entry",
    "GATHER_ND": "any type; constant indices",
    "GREATER": "int8 to bool",
    "GREATER_EQUAL": "int8 to bool",
    "HARD_SWISH": "a table",
    "L2_NORMALIZATION": "along the last axis",
    "LEAKY_RELU": "a table",
    "LESS": "int8 to bool",
    "LESS_EQUAL": "int8 to bool",
    "LOG": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "LOGISTIC": "a table",
    "LOGICAL_AND": "bool",
    "LOGICAL_NOT": "bool",
    "LOGICAL_OR": "bool",
    "LOG_SOFTMAX": "up to 4095 classes",
    "MAXIMUM": "a table or a clamp where one input is constant",
    "MINIMUM": "a table or a clamp where one input is constant",
    "MIRROR_PAD": "any type",
    "NEG": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "NOT_EQUAL": "int8 or bool to bool",
    "PACK": "any type",
    "PAD": "any type",
    "PRELU": "a table where alpha is one number",
    "QUANTIZE": "float32 to int8 or int16; between int8, int16 and int32; between int8 and uint8",
    "REDUCE_ALL": "bool",
    "REDUCE_PROD": "of integers the file determines",
    "RELU": "a table, or a clamp of the layer before",
    "RELU6": "a table, or a clamp of the layer before",
    "RESHAPE": "no code",
    "RESIZE_BILINEAR": "align_corners, half_pixel_centers",
    "RESIZE_NEAREST_NEIGHBOR": "any type; align_corners, half_pixel_centers",
    "REVERSE_V2": "any type",
    "ROUND": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "RSQRT": "a table",
    "SELECT_V2": "bool chooses among any type",
    "SHAPE": "folded; an open batch counts as one",
    "SIN": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "SLICE": "any type",
    "SOFTMAX": "up to 4096 classes; int8 or int16 result",
    "SPACE_TO_BATCH_ND": "rank 3 or 4; pads with the zero point",
    "SPLIT": "any type",
    "SPLIT_V": "any type",
    "SQRT": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "SQUARE": "float32 between DEQUANTIZE and QUANTIZE: a table",
    "STRIDED_SLICE": "any type; begin, end and shrink masks, negative strides",
    "TANH": "a table",
    "TILE": "any type",
    "TRANSPOSE": "any type",
    "TRANSPOSE_CONV": "a scale per channel; constant weights, int8 or int4",
    "UNPACK": "any type",
}
"""What an operator's row says beyond «int8, fixed shapes»."""


def supported_operators() -> str:
    """Markdown: one row for each operator, by family."""
    lines = ["| operator | of it |", "| --- | --- |"]
    for family in FAMILIES:
        lines += [f"| `{name}` | {NOTES.get(name, '')} |" for name in sorted(family.RULES)]
    lines += [f"| `{name}` | state of its own, constant weights |" for name in sorted(RECURRENT)]
    lines += [f"| `{name}` | state of a streaming model |" for name in sorted(VARIABLE_OPERATORS)]
    return "\n".join(lines) + "\n"
