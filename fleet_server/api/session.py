"""Signing in and out; accounts."""

from __future__ import annotations

from fastapi import APIRouter, status

from fleet_server import services
from fleet_server.api.deps import AddressDep, FleetDep, OperatorDep, TokenDep, ViewerDep
from fleet_server.identity import operators
from flota.api.models import Credentials, NewUser, Session, User

router = APIRouter(tags=["operators"])


@router.post("/session")
def sign_in(credentials: Credentials, fleet: FleetDep, address: AddressDep) -> Session:
    """Trade a user name and password for a bearer token."""
    return services.sign_in(fleet, credentials.username, credentials.password, address)


@router.get("/session")
def whoami(viewer: ViewerDep, fleet: FleetDep) -> User:
    """The account of this session."""
    with fleet.database.read() as session:
        return operators.user(session, viewer.name)


@router.delete("/session", status_code=status.HTTP_204_NO_CONTENT)
def sign_out(viewer: ViewerDep, token: TokenDep, fleet: FleetDep) -> None:
    """End this session."""
    services.sign_out(fleet, token)


@router.get("/users")
def users(viewer: ViewerDep, fleet: FleetDep) -> list[User]:
    """Every account."""
    with fleet.database.read() as session:
        return operators.users(session)


@router.post("/users", status_code=status.HTTP_201_CREATED)
def add_user(user: NewUser, operator: OperatorDep, fleet: FleetDep) -> User:
    """Make an account."""
    with fleet.database.write() as session:
        return operators.add_user(session, user, actor=operator.name)
