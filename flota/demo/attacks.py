"""Two attacks on the demo's fleet, each with powers an attacker could really have. Both must be refused on the device.

The first owns the server's disk and changes one byte of an artifact; the second owns the broker and publishes an
assignment of its own. Neither has a release key or the director key.
"""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from securesystemslib.signer import CryptoSigner

from flota.demo.processes import DemoError
from flota.messages import Assignment
from flota.topics import Channel, topic
from flota.trust.envelope import sign_assignment

_PUBLISH_S = 15.0
_CERTIFICATE = Path("tls") / "service.pem"
_KEY = Path("tls") / "service.key.pem"


def tamper(artifact: Path) -> None:
    """Change one byte in the middle of an artifact on the server's disk."""
    data = bytearray(artifact.read_bytes())
    data[len(data) // 2] ^= 0x01
    artifact.write_bytes(bytes(data))


def forge_assignment(genuine: Assignment) -> bytes:
    """An assignment like ``genuine`` with the next counter, signed with a key of the attacker's own."""
    now = time.time()
    forged = genuine.model_copy(update={"counter": genuine.counter + 1, "issued_at": now, "expires_at": now + 3600})
    return sign_assignment(forged, CryptoSigner.generate_ed25519())


def publish_as_broker_owner(server_folder: Path, mqtt_port: int, device: str, payload: bytes) -> None:
    """Publish ``payload``, retained, on a device's ``assign`` topic with the rights of who owns the broker.

    Raises:
        DemoError: The broker did not take it.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="intruder", protocol=mqtt.MQTTv5)
    context = ssl.create_default_context(cafile=str(server_folder / "ca.pem"))
    context.load_cert_chain(str(server_folder / _CERTIFICATE), str(server_folder / _KEY))
    client.tls_set_context(context)
    try:
        client.connect("127.0.0.1", mqtt_port)
        client.loop_start()
        message = client.publish(topic(device, Channel.ASSIGN), payload, qos=1, retain=True)
        message.wait_for_publish(_PUBLISH_S)
    except (OSError, ValueError, RuntimeError) as error:
        raise DemoError(f"the broker did not take the forged assignment: {error}") from error
    finally:
        client.disconnect()
        client.loop_stop()
