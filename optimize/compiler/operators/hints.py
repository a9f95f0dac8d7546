"""What to do about an operator the compiler has no code for: the nearest way out, by name."""

from __future__ import annotations

TARGETS = "or run the model with target linux-litert"
TFLM_TARGETS = "or run the model with target cortex-m4f-tflm or linux-litert"

IN_THE_INTERPRETER = frozenset(
    """
    FLOOR_DIV FLOOR_MOD IF L2_POOL_2D WHILE
    """.split()  # noqa: SIM905 - one word each reads better
)
"""What the TensorFlow Lite Micro interpreter runs and the compiler does not."""

_COMPARISON = "replace the choice by arithmetic: tf.maximum, tf.minimum, tf.nn.relu, tf.clip_by_value"
_CONTROL = "export without control flow: unroll loops (unroll=True), resolve conditions before the export"
_SEARCH = "leave the search to the caller: end the model at the scores"
_STRINGS = "look the words up before the model and give it their vectors"
_FLOAT = "use relu, leaky relu, hard swish, logistic or tanh"

HINTS: dict[str, str] = {
    "BIDIRECTIONAL_SEQUENCE_LSTM": "use two LSTM layers, one of them over reversed time (go_backwards=True)",
    "BIDIRECTIONAL_SEQUENCE_RNN": "unroll the layer (unroll=True)",
    "CONV_3D": "use Conv2D over stacked frames, or depth as channels",
    "CONV_3D_TRANSPOSE": "use Conv2DTranspose over stacked frames",
    "DENSIFY": "strip the sparsity before the export",
    "FAKE_QUANT": "convert with full int8 quantization, which removes it",
    "FLOOR_DIV": "divide before the model: the interpreter has it for float32 only",
    "FLOOR_MOD": "divide before the model: the interpreter has it for float32 only",
    "GELU": _FLOAT,
    "HASHTABLE_LOOKUP": _STRINGS,
    "IF": _CONTROL,
    "L2_POOL_2D": "square, average and take the root before the export, or use average pooling",
    "LOCAL_RESPONSE_NORMALIZATION": "use batch normalization, which the converter folds into the weights",
    "LSTM": "export the layer as UNIDIRECTIONAL_SEQUENCE_LSTM (keras.layers.LSTM) or unroll it (unroll=True)",
    "NON_MAX_SUPPRESSION_V4": _SEARCH,
    "NON_MAX_SUPPRESSION_V5": _SEARCH,
    "ONE_HOT": "multiply with a matrix, or give the model the one-hot vector",
    "POW": "multiply the tensor with itself",
    "RELU_0_TO_1": "use tf.clip_by_value(x, 0, 1)",
    "RELU_N1_TO_1": "use tf.clip_by_value(x, -1, 1)",
    "RFFT2D": "compute the spectrum before the model",
    "RNN": "unroll the layer (unroll=True)",
    "SCATTER_ND": "use concatenation and padding",
    "SELECT": "use tf.where, which becomes SELECT_V2",
    "TOPK_V2": _SEARCH,
    "UNIDIRECTIONAL_SEQUENCE_RNN": "unroll the layer (unroll=True)",
    "UNIQUE": _SEARCH,
    "WHERE": _COMPARISON,
    "WHILE": _CONTROL,
}
"""Operator name -> advice; others get the list of what is supported."""


CUSTOM_HINTS: dict[str, str] = {
    "CIRCULAR_BUFFER": "keep past frames in a variable (tf.Variable, exported with READ_VARIABLE and ASSIGN_VARIABLE)",
    "Flex": "convert with TFLITE_BUILTINS only: the layer needs TensorFlow itself",
    "Signal": "compute the features before the model (TFLM has the same as a C library, its folder signal/) and give "
    "the model the int8 features",
    "TFLite_Detection_PostProcess": "end the model at boxes and scores, and choose among them in the application",
    "ethos-u": "this file is Vela's, for an Ethos-U: compile the one that Vela was given",
}
"""Beginnings of names of custom operators -> advice where neither runtime helps, or another way is nearer."""


def way_out(name: str, supported: tuple[str, ...]) -> str:
    """The hint of the refusal of operator ``name``."""
    for prefix, advice in CUSTOM_HINTS.items():
        if name.startswith(f"CUSTOM '{prefix}"):
            return advice
    if name.startswith("CUSTOM"):
        return f"rewrite the layer with built-in operators, {TARGETS}"
    advice = HINTS.get(name, f"replace the layer ({', '.join(supported)} are supported)")
    return f"{advice}, {TFLM_TARGETS if name in IN_THE_INTERPRETER else TARGETS}"
