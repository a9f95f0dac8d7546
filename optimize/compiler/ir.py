"""The compiler's intermediate representation: small, frozen, in SSA form.

A ``Graph`` is a tuple of tensors and a tuple of operators in execution order; operators name tensors by number. What an
operator does is its ``payload``. Payloads come in two levels: those of this module say what the model means (strides,
scales, activations); the passes lower them to the integer kernel calls of ``kernels.py``. ``verify`` says which
graphs are legal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from optimize.compiler.kernels import KernelCall
from optimize.compiler.kernels_values import Comparison, Logic

DType = str
"""A TensorFlow Lite type name in lower case: ``int8``, ``int32``, ``float32``…"""

DTYPE_BYTES: dict[DType, int] = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "int32": 4, "float32": 4, "int64": 8}

Activation = Literal["NONE", "RELU", "RELU_N1_TO_1", "RELU6"]
Padding = Literal["SAME", "VALID"]
BinaryKind = (
    Literal["add", "sub", "mul", "div", "maximum", "minimum", "prelu", "squared_difference"] | Comparison | Logic
)


@dataclass(frozen=True, slots=True)
class Quant:
    """Affine quantization: real = scale * (stored - zero_point), per tensor or along one axis.

    Scales are float32 values held exactly in Python floats.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value: a constant (``data`` holds its bytes), a graph input, or the result of one operator.

    ``variable`` says that the file lets an operator keep its state here; the reader turns it into a ``State``.
    ``alias_of`` names the tensor whose bytes this one shares (a reshape); only passes set it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    quant: Quant | None
    data: bytes | None = None
    alias_of: int | None = None
    variable: bool = False
    open_shape: bool = False
    """The file leaves sizes open and ``shape`` holds ones for them; only while the file is read."""

    @property
    def short_name(self) -> str:
        """The telling end of a converter's tensor name, which joins the names of all fused layers with semicolons."""
        last = self.name.rstrip(";").rpartition(";")[2]
        return last if len(last) <= 40 else "..." + last[-37:]

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes; 0 for a type the compiler does not know (such tensors must not survive the passes)."""
        return self.elements * DTYPE_BYTES.get(self.dtype, 0)


class SourcePayload:
    """What every payload inherits that says what the model means; subclasses are frozen slots dataclasses."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Conv2D(SourcePayload):
    """Inputs: activations NHWC, weights [out_c][kh][kw][in_c / groups], optional bias [out_c] int32."""

    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Padding
    activation: Activation
    explicit_pad: tuple[int, int, int, int] | None = None
    """(top, bottom, left, right), set by a pass that fused a PAD; it then replaces ``padding``."""


@dataclass(frozen=True, slots=True)
class DepthwiseConv2D(SourcePayload):
    """Inputs: activations NHWC, weights [1][kh][kw][out_c], optional bias [out_c] int32."""

    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Padding
    activation: Activation
    explicit_pad: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class TransposeConv(SourcePayload):
    """Inputs: activations NHWC, weights [out_c][kh][kw][in_c], optional bias [out_c] int32.

    The window slides over the *output*; ``padding`` is that of the convolution this one transposes.
    """

    stride: tuple[int, int]
    padding: Padding
    activation: Activation


@dataclass(frozen=True, slots=True)
class FullyConnected(SourcePayload):
    """Inputs: activations, weights [out][in], optional bias [out] int32."""

    activation: Activation
    keep_dims: bool = False
    """The output has the input's axes, the last one replaced; else it is [batches][out]."""


@dataclass(frozen=True, slots=True)
class Pool(SourcePayload):
    """Average or maximum of a sliding window over NHWC."""

    kind: Literal["average", "max"]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    activation: Activation
    explicit_pad: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Mean(SourcePayload):
    """Mean over ``axes`` (not negative, sorted, unique)."""

    axes: tuple[int, ...]
    keep_dims: bool = False


@dataclass(frozen=True, slots=True)
class Reduce(SourcePayload):
    """Sum, largest or smallest value over ``axes`` (not negative, sorted, unique); of bools whether all are true."""

    kind: Literal["sum", "max", "min", "all"]
    axes: tuple[int, ...]
    keep_dims: bool = False


@dataclass(frozen=True, slots=True)
class ArgPick(SourcePayload):
    """int32 position of the first largest or smallest value along ``axis`` (not negative)."""

    kind: Literal["max", "min"]
    axis: int


@dataclass(frozen=True, slots=True)
class L2Normalization(SourcePayload):
    """Each row of the last axis divided by its Euclidean length; the output's scale is 1/128."""


@dataclass(frozen=True, slots=True)
class ResizeBilinear(SourcePayload):
    """NHWC to another height and width."""

    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True, slots=True)
class Binary(SourcePayload):
    """Element-wise with broadcasting in the NumPy manner; comparisons and logic give bool."""

    kind: BinaryKind
    activation: Activation


@dataclass(frozen=True, slots=True)
class Pad(SourcePayload):
    """``amounts[i]`` elements before and after along axis i, filled with ``value``.

    ``value`` is a stored int8; None stands for the output's zero point.
    """

    amounts: tuple[tuple[int, int], ...]
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Reshape(SourcePayload):
    """RESHAPE, EXPAND_DIMS and SQUEEZE: the same bytes under another shape."""


@dataclass(frozen=True, slots=True)
class Transpose(SourcePayload):
    """Output axis i is input axis ``permutation[i]``."""

    permutation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Elements copied from operand ``source`` to result ``target``.

    The element at ``index`` (one number per axis of ``extents``) goes from ``source_offset`` + the scalar product of
    ``index`` and ``source_strides`` to the same of the target. Source strides may be 0 (repeat) or negative (reverse).
    """

    extents: tuple[int, ...]
    source_strides: tuple[int, ...]
    target_strides: tuple[int, ...]
    source_offset: int = 0
    target_offset: int = 0
    source: int = 0
    target: int = 0


@dataclass(frozen=True, slots=True)
class Rearrange(SourcePayload):
    """All that slices, splits, stacks, mirrors, repeats: elements of any type copied by ``moves``.

    ``fill`` is the stored byte of result elements that no move reaches; None where every one is reached.
    """

    moves: tuple[Move, ...]
    fill: int | None = None


@dataclass(frozen=True, slots=True)
class Take(SourcePayload):
    """Runs of ``run`` elements picked by position: result [outer][i][j] is input [outer][rows[i]][columns[j]].

    ``shape`` is the input's (outer, rows, columns), in runs.
    """

    shape: tuple[int, int, int]
    run: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pick(SourcePayload):
    """Runs of ``run`` elements picked by positions known at run time.

    Inputs: what to pick from, [batch][outer][count] runs; int32 positions, [batch][picks], of which those outside count
    as the nearest inside. Output: [batch][outer][picks] runs.
    """

    batch: int
    outer: int
    count: int
    picks: int
    run: int


@dataclass(frozen=True, slots=True)
class Concat(SourcePayload):
    """Joins its inputs along ``axis`` (not negative)."""

    axis: int


@dataclass(frozen=True, slots=True)
class Select(SourcePayload):
    """Inputs: condition (bool), what it is where true, what where false; all three broadcast."""


@dataclass(frozen=True, slots=True)
class AddN(SourcePayload):
    """The sum of all inputs, which are alike in shape and scale."""


@dataclass(frozen=True, slots=True)
class CumSum(SourcePayload):
    """Running sums along ``axis`` (not negative), from its end where ``reverse``, without the element itself where
    ``exclusive``."""

    axis: int
    exclusive: bool
    reverse: bool


@dataclass(frozen=True, slots=True)
class LogSoftmax(SourcePayload):
    """The logarithm of softmax along the last axis; the output's scale is 1/16."""


@dataclass(frozen=True, slots=True)
class Softmax(SourcePayload):
    """exp(beta * x) over its sum, along the last axis."""

    beta: float


UnaryKind = Literal[
    "relu", "relu6", "logistic", "tanh", "requantize", "leaky_relu", "hard_swish", "elu", "abs", "rsqrt", "logical_not"
]


@dataclass(frozen=True, slots=True)
class Unary(SourcePayload):
    """A function of one int8 element (of a bool: ``logical_not``), ``requantize`` being QUANTIZE from int8 to int8."""

    kind: UnaryKind
    alpha: float = 0.0
    """The slope of leaky_relu below zero."""


@dataclass(frozen=True, slots=True)
class FloatFunction(SourcePayload):
    """A function of one float32 that the interpreter has for no other type.

    A converter leaves it between a DEQUANTIZE and a QUANTIZE; a pass makes a table of the three.
    """

    kind: Literal["neg", "square", "sqrt", "exp", "log", "sin", "cos", "floor", "ceil", "round"]


@dataclass(frozen=True, slots=True)
class Tabulated(SourcePayload):
    """A function of one int8, given by its results for -128 to 127."""

    table: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Quantize(SourcePayload):
    """float32 to int8 or int16."""


@dataclass(frozen=True, slots=True)
class Dequantize(SourcePayload):
    """int8, uint8 or int16 to float32."""


@dataclass(frozen=True, slots=True)
class Rescale(SourcePayload):
    """QUANTIZE between whole numbers of which at least one has more than 8 bits."""


@dataclass(frozen=True, slots=True)
class Known(SourcePayload):
    """A result that the model file alone determines (a SHAPE, a FILL with a constant): its bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Cast(SourcePayload):
    """The same numbers in another type."""


@dataclass(frozen=True, slots=True)
class Opaque(SourcePayload):
    """An operator the compiler has no code for; refused unless a pass finds that nothing needs its result."""

    reason: str
    hint: str


Payload = SourcePayload | KernelCall


@dataclass(frozen=True, slots=True)
class Op:
    """One operator. ``position`` and ``name`` are those of the model file, so errors and comments can point at it."""

    position: int
    name: str
    payload: Payload
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def label(self) -> str:
        """How errors name the operator."""
        return f"operator {self.position} ({self.name})"


@dataclass(frozen=True, slots=True)
class State:
    """A value that persists. ``before`` is defined when an invocation begins, some operator computes ``after``.

    Both tensors lie in the same bytes, which belong to nothing else; they are of one type and size. No operator may
    read ``before`` once ``after`` is written. ``initial`` is what ``before`` holds in the first invocation.
    """

    name: str
    before: int
    after: int
    initial: bytes


@dataclass(frozen=True, slots=True)
class Graph:
    """Tensors by number, operators in execution order, the numbers of the inputs and outputs, and what persists."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    states: tuple[State, ...] = ()

    def storage(self, tensor: int) -> int:
        """The tensor that owns the bytes of ``tensor``."""
        owner = self.tensors[tensor].alias_of
        return tensor if owner is None else owner

    def uses(self, tensor: int) -> int:
        """How often ``tensor`` is read: by operators, and once more for every graph output it is."""
        reads = sum(op.inputs.count(tensor) for op in self.ops)
        return reads + self.outputs.count(tensor)

    def with_ops(self, ops: tuple[Op, ...]) -> Graph:
        """The same graph with other operators."""
        return replace(self, ops=ops)
