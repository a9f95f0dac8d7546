"""Rollouts: create, look, pause, resume, abort."""

from __future__ import annotations

from fastapi import APIRouter, status

from fleet_server import services
from fleet_server.api.deps import FleetDep, OperatorDep, ViewerDep
from flota.api.models import AbortRequest, NewRollout, RolloutSummary, RolloutView

router = APIRouter(prefix="/rollouts", tags=["rollouts"])


@router.get("")
def list_rollouts(viewer: ViewerDep, fleet: FleetDep) -> list[RolloutSummary]:
    """Every rollout, the newest first."""
    return services.list_rollouts(fleet)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_rollout(order: NewRollout, operator: OperatorDep, fleet: FleetDep) -> RolloutView:
    """Start a rollout."""
    return services.create_rollout(fleet, order, actor=operator.name)


@router.get("/{identity}")
def show_rollout(identity: int, viewer: ViewerDep, fleet: FleetDep) -> RolloutView:
    """One rollout with its waves, gate values and devices."""
    return services.rollout_view(fleet, identity)


@router.post("/{identity}/pause")
def pause_rollout(identity: int, operator: OperatorDep, fleet: FleetDep) -> RolloutView:
    """Assign no more devices until it is resumed; a gate that fails meanwhile still fails it."""
    return services.pause_rollout(fleet, identity, actor=operator.name)


@router.post("/{identity}/resume")
def resume_rollout(identity: int, operator: OperatorDep, fleet: FleetDep) -> RolloutView:
    """Go on with a paused rollout."""
    return services.resume_rollout(fleet, identity, actor=operator.name)


@router.post("/{identity}/abort")
def abort_rollout(
    identity: int, operator: OperatorDep, fleet: FleetDep, request: AbortRequest | None = None
) -> RolloutView:
    """End a rollout; unless told otherwise, every device it moved goes back to what it ran before."""
    rollback = request.rollback if request else True
    return services.abort_rollout(fleet, identity, actor=operator.name, rollback=rollback)
