"""The fleet CA: what it issues, what it refuses, and that real TLS peers (OpenSSL, Mosquitto) agree."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flota.errors import UsageError
from flota.programs import look_for
from flota.trust.ca import CertificateAuthority, common_name, make_csr
from flota.trust.config import LIFETIMES
from flota.trust.errors import CertificateError, KeyFileError, RequestRefused

DAY_S = 86_400.0
DEVICE = "press-07"


@pytest.fixture
def ca(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.create(tmp_path / "ca")


def _request(key: Any, *names: str) -> bytes:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def _pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# ---- what is issued


def test_private_files_are_private(ca: CertificateAuthority) -> None:
    for name in ("ca.key.pem", "index.json"):
        assert stat.S_IMODE((ca.folder / name).stat().st_mode) == 0o600


def test_load_gives_the_same_authority(ca: CertificateAuthority) -> None:
    again = CertificateAuthority.load(ca.folder)
    assert again.certificate_pem == ca.certificate_pem


def test_an_authority_is_never_overwritten(ca: CertificateAuthority) -> None:
    with pytest.raises(KeyFileError):
        CertificateAuthority.create(ca.folder)


@pytest.mark.parametrize("name", ["ca.pem", "ca.key.pem"])
@pytest.mark.parametrize("damage", ["gone", "garbage", "foreign"])
def test_a_damaged_authority_is_refused(ca: CertificateAuthority, tmp_path: Path, name: str, damage: str) -> None:
    other = CertificateAuthority.create(tmp_path / "other")
    file = ca.folder / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"garbage" if damage == "garbage" else (other.folder / name).read_bytes())
    with pytest.raises(KeyFileError):
        CertificateAuthority.load(ca.folder)


def test_a_device_certificate_names_the_device_and_nothing_else(ca: CertificateAuthority) -> None:
    _, csr = make_csr(DEVICE)
    pem = ca.issue_device(csr, DEVICE)
    certificate = x509.load_pem_x509_certificate(pem)
    assert common_name(pem) == DEVICE
    assert len(list(certificate.subject)) == 1
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert not basic.value.ca
    certificate.verify_directly_issued_by(ca.certificate)


def test_a_certificate_never_outlives_its_authority(ca: CertificateAuthority) -> None:
    _, csr = make_csr(DEVICE)
    late = time.time() + (LIFETIMES.ca_days - 1) * DAY_S
    certificate = x509.load_pem_x509_certificate(ca.issue_device(csr, DEVICE, now=late))
    assert certificate.not_valid_after_utc == ca.certificate.not_valid_after_utc


def test_what_a_request_asks_for_is_not_granted(ca: CertificateAuthority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("fleet.example")]), critical=False)
        .sign(key, SHA256())
    )
    certificate = x509.load_pem_x509_certificate(ca.issue_device(request.public_bytes(Encoding.PEM), DEVICE))
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_accepted_keys(ca: CertificateAuthority, key: Any) -> None:
    assert common_name(ca.issue_device(_request(key, DEVICE), DEVICE)) == DEVICE


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
)
def test_keys_that_are_refused(ca: CertificateAuthority, key: Any) -> None:
    with pytest.raises(RequestRefused, match="key"):
        ca.issue_device(_request(key, DEVICE), DEVICE)


@pytest.mark.parametrize(
    "names", [(), ("press-08",), (DEVICE, "press-08"), (DEVICE, DEVICE), ("PRESS-07",), (f"{DEVICE} ",)]
)
def test_a_request_for_another_name_is_refused(ca: CertificateAuthority, names: tuple[str, ...]) -> None:
    with pytest.raises(RequestRefused) as caught:
        ca.issue_device(_request(ec.generate_private_key(ec.SECP256R1()), *names), DEVICE)
    assert caught.value.code == "certificate.request-refused"


def test_a_request_changed_after_it_was_signed_is_refused(ca: CertificateAuthority) -> None:
    _, csr = make_csr("press-08")
    der = x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER).replace(b"press-08", b"press-07")
    changed = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)
    with pytest.raises(RequestRefused, match="signed"):
        ca.issue_device(changed, DEVICE)


@pytest.mark.parametrize(
    "garbage", [b"", b"x", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_garbage_is_refused(ca: CertificateAuthority, garbage: bytes) -> None:
    with pytest.raises(RequestRefused):
        ca.issue_device(garbage, DEVICE)
    with pytest.raises(RequestRefused, match="over"):
        ca.issue_device(b"x" * 100_000, DEVICE)


@pytest.mark.parametrize("name", ["", "Press", "a/b", "+", "#", "_server", "a" * 64, "a\nb"])
def test_names_that_are_no_devices(ca: CertificateAuthority, name: str) -> None:
    _, csr = make_csr(DEVICE)
    with pytest.raises(UsageError):
        ca.issue_device(csr, name)
    with pytest.raises(UsageError):
        make_csr(name)


def test_a_service_cannot_be_mistaken_for_a_device(ca: CertificateAuthority) -> None:
    _, pem = ca.issue_service("_server")
    assert common_name(pem) == "_server"
    with pytest.raises(UsageError):
        ca.issue_service("server")


def test_a_server_certificate_needs_names(ca: CertificateAuthority) -> None:
    with pytest.raises(UsageError):
        ca.issue_server([])
    with pytest.raises(UsageError):
        ca.issue_server(["bad\u00e9name"])


def test_common_name_of_something_else() -> None:
    with pytest.raises(CertificateError):
        common_name(b"x")


# ---- revocation


def _revoked(ca: CertificateAuthority, now: float | None = None) -> list[int]:
    return [entry.serial_number for entry in x509.load_pem_x509_crl(ca.crl(now=now))]


def test_revoking_names_every_certificate_of_the_device(ca: CertificateAuthority) -> None:
    serials = []
    for name in (DEVICE, DEVICE, "press-08"):
        _, csr = make_csr(name)
        serials.append(x509.load_pem_x509_certificate(ca.issue_device(csr, name)).serial_number)
    assert _revoked(ca) == []
    assert ca.revoke(DEVICE) == 2
    assert ca.revoke(DEVICE) == 0
    assert sorted(_revoked(CertificateAuthority.load(ca.folder))) == sorted(serials[:2])


def test_the_list_grows_its_number_and_drops_what_has_expired(ca: CertificateAuthority) -> None:
    _, csr = make_csr(DEVICE)
    ca.issue_device(csr, DEVICE)
    ca.revoke(DEVICE)
    first, second = (x509.load_pem_x509_crl(ca.crl()) for _ in range(2))
    number = [crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for crl in (first, second)]
    assert number[1] == number[0] + 1
    assert second.is_signature_valid(ca.key.public_key())
    assert _revoked(ca, now=time.time() + (LIFETIMES.device_certificate_days + 1) * DAY_S) == []


def test_a_damaged_index_is_not_taken_for_an_empty_one(ca: CertificateAuthority) -> None:
    (ca.folder / "index.json").write_bytes(b"{")
    with pytest.raises(CertificateError):
        ca.crl()


def test_many_threads_issue_without_losing_one(ca: CertificateAuthority) -> None:
    def issue(name: str) -> None:
        _, csr = make_csr(name)
        ca.issue_device(csr, name)

    threads = [threading.Thread(target=issue, args=(f"d-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ca.revoke(f"d-{number}") for number in range(8)) == 8


def test_killed_at_any_step_a_revocation_can_be_made_again(
    ca: CertificateAuthority, tmp_path: Path, killed_before: Any
) -> None:
    _, csr = make_csr(DEVICE)
    serial = x509.load_pem_x509_certificate(ca.issue_device(csr, DEVICE)).serial_number
    shutil.copytree(ca.folder, tmp_path / "before")
    step = 0
    while True:
        shutil.rmtree(ca.folder)
        shutil.copytree(tmp_path / "before", ca.folder)
        if not killed_before(step, lambda: ca.revoke(DEVICE)):
            break
        again = CertificateAuthority.load(ca.folder)
        again.revoke(DEVICE)
        assert [entry.serial_number for entry in x509.load_pem_x509_crl((ca.folder / "crl.pem").read_bytes())] == [
            serial
        ]
        assert not list(ca.folder.glob(".*.tmp"))
        step += 1
    assert step >= 6


# ---- real TLS


def _write(folder: Path, name: str, key: bytes, certificate: bytes) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.key").write_bytes(key)
    (folder / f"{name}.pem").write_bytes(certificate)
    return folder / f"{name}.pem", folder / f"{name}.key"


def _device(ca: CertificateAuthority, folder: Path, *, key: Any = None, now: float | None = None) -> tuple[Path, Path]:
    pem, csr = (_pem(key), _request(key, DEVICE)) if key else make_csr(DEVICE)
    return _write(folder, "device", pem, ca.issue_device(csr, DEVICE, now=now))


def _server_context(ca: CertificateAuthority, chain: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*chain)
    context.load_verify_locations(ca.folder / "ca.pem")
    context.load_verify_locations(ca.folder / "crl.pem")
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _client_context(ca: CertificateAuthority, chain: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca.folder / "ca.pem"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(*chain)
    return context


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> str:
    """Shake hands in memory; the client's common name as the server sees it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(8):
        for side in (client_side, server_side):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    subject = dict(part[0] for part in server_side.getpeercert()["subject"])
    return subject["commonName"]


def _server(ca: CertificateAuthority, folder: Path) -> tuple[Path, Path]:
    return _write(folder, "server", *ca.issue_server(["localhost", "127.0.0.1"]))


@pytest.mark.parametrize("key", [None, ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())])
def test_mutual_tls(ca: CertificateAuthority, tmp_path: Path, key: Any) -> None:
    server = _server_context(ca, _server(ca, tmp_path / "tls"))
    client = _client_context(ca, _device(ca, tmp_path / "tls", key=key))
    assert _handshake(server, client) == DEVICE
    assert _handshake(server, client, "127.0.0.1") == DEVICE


def test_a_device_cannot_act_as_a_server(ca: CertificateAuthority, tmp_path: Path) -> None:
    device = _device(ca, tmp_path / "tls")
    client = _client_context(ca, device)
    client.check_hostname = False
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unsuitable|unsupported|purpose"):
        _handshake(_server_context(ca, device), client)


def test_a_server_cannot_act_as_a_device(ca: CertificateAuthority, tmp_path: Path) -> None:
    server = _server(ca, tmp_path / "tls")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unsuitable|unsupported|purpose"):
        _handshake(_server_context(ca, server), _client_context(ca, server))


def test_another_server_name_is_refused(ca: CertificateAuthority, tmp_path: Path) -> None:
    server = _server_context(ca, _server(ca, tmp_path / "tls"))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        _handshake(server, _client_context(ca, _device(ca, tmp_path / "tls")), "other.example")


def test_an_expired_device_is_refused(ca: CertificateAuthority, tmp_path: Path) -> None:
    then = time.time() - (LIFETIMES.device_certificate_days + 1) * DAY_S
    device = _device(ca, tmp_path / "tls", now=then)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        _handshake(_server_context(ca, _server(ca, tmp_path / "tls")), _client_context(ca, device))


def test_a_revoked_device_is_refused(ca: CertificateAuthority, tmp_path: Path) -> None:
    device = _device(ca, tmp_path / "tls")
    ca.revoke(DEVICE)
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        _handshake(_server_context(ca, _server(ca, tmp_path / "tls")), _client_context(ca, device))


def test_another_fleets_device_is_refused(ca: CertificateAuthority, tmp_path: Path) -> None:
    other = CertificateAuthority.create(tmp_path / "other")
    device = _device(other, tmp_path / "tls")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(_server_context(ca, _server(ca, tmp_path / "tls")), _client_context(ca, device))


# ---- real Mosquitto


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _mosquitto(ca: CertificateAuthority, folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    program = look_for("mosquitto")
    if program is None:
        pytest.skip("mosquitto is not installed")
    certificate, key = _server(ca, folder)
    port = _free_port()
    config = folder / "mosquitto.conf"
    user = f"user {os.environ.get('USER', 'root')}\n" if os.geteuid() == 0 else ""
    config.write_text(
        f"{user}listener {port} 127.0.0.1\ncafile {ca.folder}/ca.pem\ncertfile {certificate}\nkeyfile {key}\n"
        f"crlfile {ca.folder}/crl.pem\nrequire_certificate true\nuse_identity_as_username true\nallow_anonymous false\n"
    )
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as broker:
        try:
            _wait_for_port(port, broker)
            yield port, broker
        finally:
            broker.terminate()


def _wait_for_port(port: int, broker: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        if broker.poll() is not None:
            break
        time.sleep(0.02)
    pytest.fail("the broker did not come up")


def _connects(ca: CertificateAuthority, port: int, chain: tuple[Path, Path]) -> bool:
    """Whether the broker answers an MQTT 3.1.1 CONNECT over TLS with «accepted»."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as raw,
            _client_context(ca, chain).wrap_socket(raw, server_hostname="localhost") as link,
        ):
            link.sendall(bytes([0x10, 14, 0, 4, *b"MQTT", 4, 2, 0, 10, 0, 2, *b"ab"]))
            return link.recv(4) == bytes([0x20, 2, 0, 0])
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.parametrize("key", [None, ed25519.Ed25519PrivateKey.generate()], ids=["p256", "ed25519"])
def test_mosquitto_takes_our_certificates_and_our_revocations(
    ca: CertificateAuthority, tmp_path: Path, key: Any
) -> None:
    folder = tmp_path / "tls"
    other = CertificateAuthority.create(tmp_path / "other")
    stranger = _device(other, tmp_path / "stranger")
    device = _device(ca, folder, key=key)
    with _mosquitto(ca, folder) as (port, broker):
        assert _connects(ca, port, device)
        assert not _connects(ca, port, stranger)
        ca.revoke(DEVICE)
        broker.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while _connects(ca, port, device) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _connects(ca, port, device)
        pem, csr = make_csr("press-08")
        assert _connects(ca, port, _write(folder, "next", pem, ca.issue_device(csr, "press-08")))
