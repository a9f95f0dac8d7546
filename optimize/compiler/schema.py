"""The part of the TensorFlow Lite schema the reader needs: field numbers, operator and type names.

Declared by hand instead of importing the generated classes, which cost 0.4 s at start and trust their input. A test
holds every number here against those classes. Source: tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3.
"""

from __future__ import annotations

from enum import IntEnum

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

OPERATOR_NAMES: tuple[str, ...] = tuple(  # one word each, in the order of the schema's enum
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP
    FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION
    LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN
    SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX
    DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER
    GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL
    NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR
    ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL
    FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE
    CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE
    MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND
    SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE
    BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT
    HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
    RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
    UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN
    BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY
    STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
    STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
    STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM
    STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT
    STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
    STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER
    STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
    STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """.split()  # noqa: SIM905 - a list of 200 quoted names reads worse
)
"""Builtin operator code -> name."""

TYPE_NAMES: tuple[str, ...] = tuple(  # one word each, in the order of the schema's enum
    """
    FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE
    VARIANT UINT32 UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2
    """.split()  # noqa: SIM905 - a list of 200 quoted names reads worse
)
"""Tensor type code -> name."""

TYPE_BYTES: dict[str, int] = {"FLOAT32": 4, "INT32": 4, "INT64": 8, "UINT8": 1, "BOOL": 1, "INT16": 2, "INT8": 1}
"""Bytes of one element; other types have no data the compiler could use."""

ACTIVATIONS: tuple[str, ...] = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
PADDINGS: tuple[str, ...] = ("SAME", "VALID")


class Model(IntEnum):
    """Field numbers of the table ``Model``."""

    VERSION = 0
    OPERATOR_CODES = 1
    SUBGRAPHS = 2
    BUFFERS = 4


class OperatorCode(IntEnum):
    """Field numbers of the table ``OperatorCode``."""

    DEPRECATED_BUILTIN_CODE = 0
    CUSTOM_CODE = 1
    BUILTIN_CODE = 3


class SubGraph(IntEnum):
    """Field numbers of the table ``SubGraph``."""

    TENSORS = 0
    INPUTS = 1
    OUTPUTS = 2
    OPERATORS = 3


class Tensor(IntEnum):
    """Field numbers of the table ``Tensor``."""

    SHAPE = 0
    TYPE = 1
    BUFFER = 2
    NAME = 3
    QUANTIZATION = 4
    IS_VARIABLE = 5
    SPARSITY = 6
    SHAPE_SIGNATURE = 7


class QuantizationParameters(IntEnum):
    """Field numbers of the table ``QuantizationParameters``."""

    SCALE = 2
    ZERO_POINT = 3
    DETAILS_TYPE = 4
    QUANTIZED_DIMENSION = 6


class Operator(IntEnum):
    """Field numbers of the table ``Operator``."""

    OPCODE_INDEX = 0
    INPUTS = 1
    OUTPUTS = 2
    BUILTIN_OPTIONS_TYPE = 3
    BUILTIN_OPTIONS = 4


class Buffer(IntEnum):
    """Field numbers of the table ``Buffer``."""

    DATA = 0
    OFFSET = 1
    SIZE = 2


class Conv2DOptions(IntEnum):
    """Field numbers of the table ``Conv2DOptions``."""

    PADDING = 0
    STRIDE_W = 1
    STRIDE_H = 2
    FUSED_ACTIVATION_FUNCTION = 3
    DILATION_W_FACTOR = 4
    DILATION_H_FACTOR = 5


class DepthwiseConv2DOptions(IntEnum):
    """Field numbers of the table ``DepthwiseConv2DOptions``."""

    PADDING = 0
    STRIDE_W = 1
    STRIDE_H = 2
    DEPTH_MULTIPLIER = 3
    FUSED_ACTIVATION_FUNCTION = 4
    DILATION_W_FACTOR = 5
    DILATION_H_FACTOR = 6


class FullyConnectedOptions(IntEnum):
    """Field numbers of the table ``FullyConnectedOptions``."""

    FUSED_ACTIVATION_FUNCTION = 0
    WEIGHTS_FORMAT = 1
    KEEP_NUM_DIMS = 2


class Pool2DOptions(IntEnum):
    """Field numbers of the table ``Pool2DOptions``."""

    PADDING = 0
    STRIDE_W = 1
    STRIDE_H = 2
    FILTER_WIDTH = 3
    FILTER_HEIGHT = 4
    FUSED_ACTIVATION_FUNCTION = 5


class ArithmeticOptions(IntEnum):
    """Field numbers of the table ``AddOptions`` (also ``SubOptions``, ``MulOptions``, ``DivOptions``)."""

    FUSED_ACTIVATION_FUNCTION = 0


class SoftmaxOptions(IntEnum):
    """Field numbers of the table ``SoftmaxOptions``."""

    BETA = 0


class PackOptions(IntEnum):
    """Field numbers of the table ``PackOptions``."""

    VALUES_COUNT = 0
    AXIS = 1


class UnpackOptions(IntEnum):
    """Field numbers of the table ``UnpackOptions``."""

    NUM = 0
    AXIS = 1


class StridedSliceOptions(IntEnum):
    """Field numbers of the table ``StridedSliceOptions``."""

    BEGIN_MASK = 0
    END_MASK = 1
    ELLIPSIS_MASK = 2
    NEW_AXIS_MASK = 3
    SHRINK_AXIS_MASK = 4
    OFFSET = 5


class GatherOptions(IntEnum):
    """Field numbers of the table ``GatherOptions``."""

    AXIS = 0
    BATCH_DIMS = 1


class SpaceToDepthOptions(IntEnum):
    """Field numbers of the table ``SpaceToDepthOptions``."""

    BLOCK_SIZE = 0


class DepthToSpaceOptions(IntEnum):
    """Field numbers of the table ``DepthToSpaceOptions``."""

    BLOCK_SIZE = 0


class MirrorPadOptions(IntEnum):
    """Field numbers of the table ``MirrorPadOptions``; mode 0 is REFLECT, 1 SYMMETRIC."""

    MODE = 0


class ResizeNearestNeighborOptions(IntEnum):
    """Field numbers of the table ``ResizeNearestNeighborOptions``."""

    ALIGN_CORNERS = 0
    HALF_PIXEL_CENTERS = 1


class ResizeBilinearOptions(IntEnum):
    """Field numbers of the table ``ResizeBilinearOptions``."""

    ALIGN_CORNERS = 2
    HALF_PIXEL_CENTERS = 3


class CumsumOptions(IntEnum):
    """Field numbers of the table ``CumsumOptions``."""

    EXCLUSIVE = 0
    REVERSE = 1


class ReducerOptions(IntEnum):
    """Field numbers of the table ``ReducerOptions``."""

    KEEP_DIMS = 0


class ReshapeOptions(IntEnum):
    """Field numbers of the table ``ReshapeOptions``."""

    NEW_SHAPE = 0


class SqueezeOptions(IntEnum):
    """Field numbers of the table ``SqueezeOptions``."""

    SQUEEZE_DIMS = 0


class LeakyReluOptions(IntEnum):
    """Field numbers of the table ``LeakyReluOptions``."""

    ALPHA = 0


class TransposeConvOptions(IntEnum):
    """Field numbers of the table ``TransposeConvOptions``."""

    PADDING = 0
    STRIDE_W = 1
    STRIDE_H = 2
    FUSED_ACTIVATION_FUNCTION = 3


class ConcatenationOptions(IntEnum):
    """Field numbers of the table ``ConcatenationOptions``."""

    AXIS = 0
    FUSED_ACTIVATION_FUNCTION = 1


VAR_HANDLE_OPTIONS, CALL_ONCE_OPTIONS = 111, 103
"""Numbers of two tables in the union ``BuiltinOptions``."""


class VarHandleOptions(IntEnum):
    """Field numbers of the table ``VarHandleOptions``."""

    CONTAINER = 0
    SHARED_NAME = 1


class CallOnceOptions(IntEnum):
    """Field numbers of the table ``CallOnceOptions``."""

    INIT_SUBGRAPH_INDEX = 0


SVDF_OPTIONS, LSTM_OPTIONS = 6, 71
"""Numbers of two tables in the union ``BuiltinOptions``."""


class SVDFOptions(IntEnum):
    """Field numbers of the table ``SVDFOptions``."""

    RANK = 0


class UnidirectionalSequenceLSTMOptions(IntEnum):
    """Field numbers of the table ``UnidirectionalSequenceLSTMOptions``."""

    FUSED_ACTIVATION_FUNCTION = 0
    CELL_CLIP = 1
    TIME_MAJOR = 3


class BatchMatMulOptions(IntEnum):
    """Field numbers of the table ``BatchMatMulOptions``."""

    ADJ_X = 0
    ADJ_Y = 1
