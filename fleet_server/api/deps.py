"""Dependencies as annotated types: the running fleet, who asks, and from where."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from fleet_server import services
from fleet_server.errors import Forbidden, Unauthenticated
from fleet_server.identity import operators
from fleet_server.identity.enrolment import check_certificate
from fleet_server.identity.operators import Operator
from fleet_server.state import Fleet

_HINT = "sign in first: flota server login"


def get_fleet(request: Request) -> Fleet:
    """The running server."""
    fleet = request.app.state.fleet
    assert isinstance(fleet, Fleet)
    return fleet


FleetDep = Annotated[Fleet, Depends(get_fleet)]


def client_address(request: Request) -> str:
    """Where the request comes from."""
    return request.client.host if request.client else ""


AddressDep = Annotated[str, Depends(client_address)]


def bearer_token(request: Request) -> str:
    """The bearer token of the request.

    Raises:
        Unauthenticated: There is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("this needs a bearer token", hint=_HINT)
    return token.strip()


TokenDep = Annotated[str, Depends(bearer_token)]


def get_viewer(fleet: FleetDep, token: TokenDep) -> Operator:
    """Anyone who is signed in."""
    return services.operator_of(fleet, token)


ViewerDep = Annotated[Operator, Depends(get_viewer)]


def get_operator(viewer: ViewerDep) -> Operator:
    """Someone who may change things.

    Raises:
        Forbidden: A viewer may not.
    """
    if not viewer.may_change:
        raise Forbidden(f"{viewer.name} may look, but not change anything", hint="ask an operator of the fleet")
    return viewer


OperatorDep = Annotated[Operator, Depends(get_operator)]


def get_scraper(request: Request, fleet: FleetDep, address: AddressDep) -> Operator:
    """Anyone who is signed in, or sends name and password with each request, as Prometheus does.

    Raises:
        Unauthenticated, WrongPassword, Throttled: Not so.
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return services.operator_of(fleet, bearer_token(request))
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthenticated("the Authorization header is garbled", hint=_HINT) from error
    return operators.check_password(fleet.database, fleet.config.settings, name, password, address)


ScraperDep = Annotated[Operator, Depends(get_scraper)]


@dataclass(frozen=True, slots=True)
class Peer:
    """The client certificate of a TLS connection."""

    name: str
    serial: str


def get_device(request: Request, fleet: FleetDep) -> str:
    """The device whose certificate this connection was made with.

    Raises:
        CertificateRefused: The certificate is not valid any more.
        Unauthenticated: There is none.
    """
    peer = request.scope.get("state", {}).get("peer")
    if not isinstance(peer, Peer):
        raise Unauthenticated("this port needs a device certificate", hint="enrol the device first")
    with fleet.database.read() as session:
        check_certificate(session, peer.name, peer.serial)
    return peer.name


DeviceDep = Annotated[str, Depends(get_device)]

__all__ = [
    "AddressDep",
    "DeviceDep",
    "FleetDep",
    "OperatorDep",
    "Peer",
    "ScraperDep",
    "TokenDep",
    "ViewerDep",
]
