"""Between the JSON tensors of the Open Inference Protocol and the bytes a runtime takes.

The protocol's datatypes are upper-case (``INT8``, ``FP32`` …). A model's own type is always accepted; where a tensor is
quantized, ``FP32`` is too: ``quantized = clip(round_half_to_even(real / scale) + zero_point)`` on the way in and
``real = scale * (quantized - zero_point)`` on the way out.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from device_agent.errors import InvalidRequest
from flota.bundle import TensorSignature

Datatype = Literal["INT8", "UINT8", "INT16", "INT32", "FP32"]
DATATYPES: dict[str, Datatype] = {
    "int8": "INT8",
    "uint8": "UINT8",
    "int16": "INT16",
    "int32": "INT32",
    "float32": "FP32",
}
_Numbers = np.ndarray[Any, Any]


class RequestTensor(BaseModel):
    """One input of a request. ``data`` is a list of numbers, flat or nested, row-major."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())
    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any]


class RequestedOutput(BaseModel):
    """One output that a request asks for; ``parameters.datatype`` chooses between the model's own type and FP32."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    parameters: dict[str, Any] = {}


class InferRequest(BaseModel):
    """The body of an infer request."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str = Field(default="", max_length=256)
    inputs: tuple[RequestTensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()


class ResponseTensor(BaseModel):
    """One output of a response."""

    model_config = ConfigDict(frozen=True)
    name: str
    shape: tuple[int, ...]
    datatype: Datatype
    data: list[float] | list[int]


def case_of(request: InferRequest, signature: tuple[TensorSignature, ...]) -> bytes:
    """The bytes of one case: the request's inputs in signature order.

    Raises:
        InvalidRequest: An input is missing, unknown, or does not fit its signature.
    """
    given = {tensor.name: tensor for tensor in request.inputs}
    names = [tensor.name for tensor in signature]
    if len(given) != len(request.inputs) or set(given) != set(names):
        raise InvalidRequest(f"inputs are {', '.join(sorted(given)) or 'none'}; the model takes {', '.join(names)}")
    return b"".join(_encode(given[tensor.name], tensor) for tensor in signature)


def outputs_of(request: InferRequest, signature: tuple[TensorSignature, ...], data: bytes) -> list[ResponseTensor]:
    """The outputs a request asks for (all by default), in FP32 where the request is in FP32 or asks for it.

    Raises:
        InvalidRequest: It asks for an output or a datatype the model does not have.
    """
    tensors, offset = {}, 0
    for tensor in signature:
        piece = np.frombuffer(data[offset : offset + tensor.size_bytes], dtype=tensor.dtype)
        tensors[tensor.name] = (tensor, piece)
        offset += tensor.size_bytes
    as_float = all(item.datatype == "FP32" for item in request.inputs)
    wanted = request.outputs or tuple(RequestedOutput(name=tensor.name) for tensor in signature)
    for item in wanted:
        if item.name not in tensors:
            raise InvalidRequest(f"the model has no output {item.name!r}")
    return [_decode(*tensors[item.name], _datatype(item, tensors[item.name][0], as_float)) for item in wanted]


def _encode(given: RequestTensor, tensor: TensorSignature) -> bytes:
    if given.shape != tensor.shape:
        raise InvalidRequest(f"input {tensor.name}: shape is {list(given.shape)}, the model takes {list(tensor.shape)}")
    values = _values(given, tensor)
    if given.datatype == DATATYPES[tensor.dtype]:
        return _exact(values, tensor)
    if given.datatype == "FP32" and tensor.scale:
        return _quantize(values, tensor)
    raise InvalidRequest(f"input {tensor.name}: datatype is {given.datatype}, the model takes {_accepted(tensor)}")


def _values(given: RequestTensor, tensor: TensorSignature) -> _Numbers:
    try:
        values = np.asarray(given.data, dtype=np.float64).reshape(-1)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidRequest(f"input {tensor.name}: data is not an array of numbers") from error
    count = int(np.prod(tensor.shape))
    if values.size != count or not np.isfinite(values).all():
        raise InvalidRequest(f"input {tensor.name}: {count} finite numbers expected, {values.size} given")
    return values


def _exact(values: _Numbers, tensor: TensorSignature) -> bytes:
    if tensor.dtype == "float32":
        return values.astype(np.float32).tobytes()
    limits = np.iinfo(tensor.dtype)
    if (values != np.rint(values)).any() or values.min() < limits.min or values.max() > limits.max:
        raise InvalidRequest(f"input {tensor.name}: integers from {limits.min} to {limits.max} expected")
    return values.astype(tensor.dtype).tobytes()


def _quantize(values: _Numbers, tensor: TensorSignature) -> bytes:
    limits = np.iinfo(tensor.dtype)
    assert tensor.scale
    quantized = np.rint(values / tensor.scale) + (tensor.zero_point or 0)
    return np.clip(quantized, limits.min, limits.max).astype(tensor.dtype).tobytes()


def _datatype(item: RequestedOutput, tensor: TensorSignature, as_float: bool) -> Datatype:
    own = DATATYPES[tensor.dtype]
    asked = item.parameters.get("datatype", "FP32" if as_float and tensor.scale else own)
    if asked == own:
        return own
    if asked == "FP32" and tensor.scale:
        return "FP32"
    raise InvalidRequest(f"output {tensor.name}: datatype {asked!r} asked for, the model gives {_accepted(tensor)}")


def _decode(tensor: TensorSignature, values: _Numbers, datatype: Datatype) -> ResponseTensor:
    if datatype == "FP32" and tensor.dtype != "float32":
        assert tensor.scale
        values = (values.astype(np.float64) - (tensor.zero_point or 0)) * tensor.scale
    return ResponseTensor(name=tensor.name, shape=tensor.shape, datatype=datatype, data=values.tolist())


def _accepted(tensor: TensorSignature) -> str:
    own = DATATYPES[tensor.dtype]
    return f"{own} or FP32" if tensor.scale and own != "FP32" else own
