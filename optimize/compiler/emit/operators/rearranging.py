"""C of the kernels that copy bytes."""

from __future__ import annotations

from optimize.compiler.emit.operators.common import Code, Emitter, Fields, Operands, call_text, struct_text
from optimize.compiler.emit.text import braces, number_array
from optimize.compiler.kernels import MAX_RANK
from optimize.compiler.kernels_movement import ByteMove, MoveCall, PickCall, TakeCall


def _moves(name: str, call: MoveCall, operands: Operands) -> Code:
    rows = "".join(f"    {_move(move)},\n" for move in call.moves)
    table = f"static const flota_nn_move_t {name}_moves[{len(call.moves)}] = {{\n{rows}}};\n"
    statements = []
    if call.filled_bytes:
        statements.append(f"flota_nn_fill({call.filled_bytes}, {call.fill}, {operands.outputs[0]});")
    for place, move in enumerate(call.moves):
        source, target = operands.inputs[move.source], operands.outputs[move.target]
        statements.append(f"flota_nn_move(&{name}_moves[{place}], {source}, {target});")
    return Code((table,), tuple(statements))


def _move(move: ByteMove) -> str:
    return (
        f"{{.rank = {len(move.extents)}, .run = {move.run}, .extent = {braces(move.extents, MAX_RANK, 1)}, "
        f".input_stride = {braces(move.source_strides, MAX_RANK)}, "
        f".output_stride = {braces(move.target_strides, MAX_RANK)}, "
        f".input_offset = {move.source_offset}, .output_offset = {move.target_offset}}}"
    )


def _take(name: str, call: TakeCall, operands: Operands) -> Code:
    fields: Fields = {
        "outer": call.shape[0],
        "input_rows": call.shape[1],
        "input_columns": call.shape[2],
        "run": call.run,
        "rows": len(call.rows),
        "columns": len(call.columns),
        "row": f"{name}_row",
        "column": f"{name}_column",
    }
    arrays = (
        number_array("uint16_t", f"{name}_row", call.rows),
        number_array("uint16_t", f"{name}_column", call.columns),
    )
    statement = f"flota_nn_take(&{name}_parameters, {operands.inputs[0]}, {operands.outputs[0]});"
    return Code((*arrays, struct_text("flota_nn_take_t", name, fields)), (statement,))


def _pick(name: str, call: PickCall, operands: Operands) -> Code:
    fields: Fields = {
        "batch": call.batch,
        "outer": call.outer,
        "count": call.count,
        "picks": call.picks,
        "run": call.run,
    }
    return Code((struct_text("flota_nn_pick_t", name, fields),), call_text("flota_nn_pick", name, operands))


EMITTERS: dict[type, Emitter] = {
    MoveCall: _moves,
    PickCall: _pick,
    TakeCall: _take,
}
