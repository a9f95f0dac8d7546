"""The fleet's certificate authority: who is a server, who is which device.

Profile: X.509 v3, keys on P-256 (every TLS library of a small device has it; Ed25519 and P-384 requests are accepted
too). Each certificate has exactly one purpose: a device's cannot act as a server. A device's common name is its device
name and its only name, which Mosquitto takes as the user name (``use_identity_as_username``). Services of the server
that connect as clients have names that start with ``_``, which no device name can.

Folder: ``ca.pem``, ``ca.key.pem`` (0600), ``index.json`` (serials, devices, revocations), ``crl.pem``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from pydantic import BaseModel, ConfigDict, ValidationError

from flota.errors import StorageError, UsageError
from flota.files import sweep_leftovers, write_atomic
from flota.topics import check_device_name
from flota.trust.config import LIFETIMES, LIMITS, Lifetimes
from flota.trust.errors import CertificateError, KeyFileError, RequestRefused
from flota.trust.keys import PRIVATE_MODE
from flota.trust.lock import folder_lock

CA_CERTIFICATE = "ca.pem"
CA_KEY = "ca.key.pem"
INDEX = "index.json"
CRL = "crl.pem"
_CA_NAME = "Flota fleet CA"


class _Issued(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str
    expires_at: float
    revoked_at: float | None = None


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True)
    crl_number: int = 0
    issued: dict[str, _Issued] = {}


def make_csr(device: str) -> tuple[bytes, bytes]:
    """A new P-256 key and a certificate signing request for ``device``, both PEM: (key, request).

    Raises:
        UsageError: ``device`` is not a device name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(check_device_name(device)))
    return _key_pem(key), request.sign(key, SHA256()).public_bytes(Encoding.PEM)


def common_name(certificate_pem: bytes) -> str:
    """The one common name of a certificate: a device's name.

    Raises:
        CertificateError: Not a certificate, or not one with exactly one common name.
    """
    try:
        names = _common_names(x509.load_pem_x509_certificate(certificate_pem).subject)
    except ValueError as error:
        raise CertificateError("not a certificate in PEM") from error
    if len(names) != 1:
        raise CertificateError(f"certificate has {len(names)} common names, 1 expected")
    return names[0]


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The CA of one fleet. ``now`` is UTC seconds since the epoch, by default the clock's.

    Safe to use from several threads and processes.
    """

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    lifetimes: Lifetimes = LIFETIMES

    @classmethod
    def create(cls, folder: Path, *, lifetimes: Lifetimes = LIFETIMES) -> CertificateAuthority:
        """Make a new CA in ``folder``, with an empty revocation list.

        Raises:
            KeyFileError: There is one already.
            StorageError: The folder cannot be written.
        """
        if (folder / CA_CERTIFICATE).exists():
            raise KeyFileError(f"{folder} holds a CA already", hint="a CA is never overwritten; move it away first")
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _ca_certificate(key, lifetimes)
        write_atomic(folder / CA_KEY, _key_pem(key), mode=PRIVATE_MODE)
        write_atomic(folder / CA_CERTIFICATE, certificate.public_bytes(Encoding.PEM))
        authority = cls(folder=folder, certificate=certificate, key=key, lifetimes=lifetimes)
        authority.crl()
        return authority

    @classmethod
    def load(cls, folder: Path, *, lifetimes: Lifetimes = LIFETIMES) -> CertificateAuthority:
        """Open the CA in ``folder``.

        Raises:
            KeyFileError: A file of it is missing or not what it should be.
        """
        hint = "restore the CA folder from its backup"
        try:
            certificate = x509.load_pem_x509_certificate((folder / CA_CERTIFICATE).read_bytes())
            key = load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        except OSError as error:
            raise KeyFileError(f"{error.filename}: {error.strerror or error}", hint=hint) from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{folder}: CA certificate or key is not PEM", hint=hint) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise KeyFileError(f"{folder}: {CA_KEY} is not the key of {CA_CERTIFICATE}", hint=hint)
        with folder_lock(folder):
            sweep_leftovers(folder)
        return cls(folder=folder, certificate=certificate, key=key, lifetimes=lifetimes)

    @property
    def certificate_pem(self) -> bytes:
        """The CA's own certificate, which every client trusts."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue_server(self, names: Sequence[str], *, now: float | None = None) -> tuple[bytes, bytes]:
        """A new key and a server certificate for DNS names and IP addresses, both PEM: (key, certificate).

        Raises:
            UsageError: No name, or one that is neither a DNS name nor an IP address.
        """
        if not names:
            raise UsageError("a server certificate needs at least one name", hint="give a host name or an IP address")
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = self._builder(names[0][:64], key.public_key(), self.lifetimes.server_certificate_days, now)
        return _key_pem(key), self._issue(builder.add_extension(alternative, critical=False), names[0], server=True)

    def issue_service(self, name: str, *, now: float | None = None) -> tuple[bytes, bytes]:
        """A new key and a client certificate for a part of the server, both PEM; ``name`` starts with ``_``.

        Raises:
            UsageError: ``name`` does not start with ``_``: a device could have it too.
        """
        if not name.startswith("_") or len(name) > 64:
            raise UsageError(f"{name!r} is not a service name", hint="start it with an underscore, such as _server")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key.public_key(), self.lifetimes.server_certificate_days, now)
        return _key_pem(key), self._issue(builder, name, server=False)

    def issue_device(self, csr_pem: bytes, device: str, *, now: float | None = None) -> bytes:
        """A client certificate (PEM) for ``device`` with the key of its request.

        Nothing but the key is taken from the request: names and extensions it asks for are not granted.

        Raises:
            UsageError: ``device`` is not a device name.
            RequestRefused: The request is garbled, for another name, or with a key we do not accept.
        """
        key = _requested_key(csr_pem, check_device_name(device))
        builder = self._builder(device, key, self.lifetimes.device_certificate_days, now)
        return self._issue(builder, device, server=False)

    def revoke(self, name: str, *, now: float | None = None) -> int:
        """Revoke every certificate issued to ``name``; returns how many, and renews ``crl.pem``."""
        moment = _moment(now).timestamp()
        with folder_lock(self.folder):
            index = self._read_index()
            hit = {s: i for s, i in index.issued.items() if i.name == name and i.revoked_at is None}
            revoked = {s: i.model_copy(update={"revoked_at": moment}) for s, i in hit.items()}
            self._write_index(index.model_copy(update={"issued": {**index.issued, **revoked}}))
        self.crl(now=now)
        return len(hit)

    def crl(self, *, now: float | None = None) -> bytes:
        """Sign a new revocation list, store it as ``crl.pem`` and return it (PEM).

        TLS libraries refuse *every* peer once the list is past its next update: call this well before
        ``crl_days`` are over, at best once a day.
        """
        moment = _moment(now)
        with folder_lock(self.folder):
            index = self._read_index()
            index = index.model_copy(update={"crl_number": index.crl_number + 1})
            self._write_index(index)
            pem = self._revocation_list(index, moment).public_bytes(Encoding.PEM)
            write_atomic(self.folder / CRL, pem)
        return pem

    def _builder(
        self, name: str, key: CertificatePublicKeyTypes, days: int, now: float | None
    ) -> x509.CertificateBuilder:
        moment = _moment(now)
        end = min(moment + timedelta(days=days), self.certificate.not_valid_after_utc)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - self.lifetimes.backdate)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _issue(self, builder: x509.CertificateBuilder, name: str, *, server: bool) -> bytes:
        purpose: ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = (
            builder.add_extension(_authority_identifier(self.certificate), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .sign(self.key, SHA256())
        )
        issued = _Issued(name=name, expires_at=certificate.not_valid_after_utc.timestamp())
        with folder_lock(self.folder):
            index = self._read_index()
            entries = {**index.issued, f"{certificate.serial_number:x}": issued}
            self._write_index(index.model_copy(update={"issued": entries}))
        return certificate.public_bytes(Encoding.PEM)

    def _revocation_list(self, index: _Index, moment: datetime) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(moment - self.lifetimes.backdate)
            .next_update(moment + timedelta(days=self.lifetimes.crl_days))
            .add_extension(x509.CRLNumber(index.crl_number), critical=False)
            .add_extension(_authority_identifier(self.certificate), critical=False)
        )
        for serial, issued in sorted(index.issued.items()):
            if issued.revoked_at is not None and issued.expires_at > moment.timestamp():
                builder = builder.add_revoked_certificate(_revoked(serial, issued.revoked_at))
        return builder.sign(self.key, SHA256())

    def _read_index(self) -> _Index:
        path = self.folder / INDEX
        try:
            return _Index.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return _Index()
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}", hint="check its permissions") from error
        except ValidationError as error:
            raise CertificateError(f"{path} is damaged", hint="restore the CA folder from its backup") from error

    def _write_index(self, index: _Index) -> None:
        write_atomic(self.folder / INDEX, index.model_dump_json(indent=1).encode() + b"\n", mode=PRIVATE_MODE)


def _ca_certificate(key: ec.EllipticCurvePrivateKey, lifetimes: Lifetimes) -> x509.Certificate:
    moment = _moment(None)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(_CA_NAME))
        .issuer_name(_name(_CA_NAME))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - lifetimes.backdate)
        .not_valid_after(moment + timedelta(days=lifetimes.ca_days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )


def _requested_key(csr_pem: bytes, device: str) -> CertificatePublicKeyTypes:
    if len(csr_pem) > LIMITS.csr_bytes:
        raise RequestRefused(f"request of {len(csr_pem)} bytes is over {LIMITS.csr_bytes}")
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        signed = request.is_signature_valid
        key = request.public_key()
        names = _common_names(request.subject)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise RequestRefused("not a readable certificate signing request", hint="send PKCS#10 in PEM") from error
    if not signed:
        raise RequestRefused("the request is not signed with its own key", hint="make the request again")
    if names != [device]:
        raise RequestRefused(f"the request is for {', '.join(names) or 'no name'}, not for {device}")
    if not _accepted(key):
        raise RequestRefused("the request's key is of a kind not accepted", hint="use P-256, P-384 or Ed25519")
    return key


def _accepted(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1))
    return isinstance(key, ed25519.Ed25519PublicKey)


def _common_names(name: x509.Name) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise UsageError(f"{name!r} is neither a host name nor an IP address") from error


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _revoked(serial: str, at: float) -> x509.RevokedCertificate:
    moment = datetime.fromtimestamp(at, timezone.utc)
    return x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(moment).build()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _moment(now: float | None) -> datetime:
    return datetime.now(timezone.utc) if now is None else datetime.fromtimestamp(now, timezone.utc)
