"""The broker and the ingest on the real wire: who may do what, revocation, telemetry, commands."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import httpx
import paho.mqtt.client as mqtt
import pytest
from fleet_harness import ServerProcess, WireDevice, wait_for
from paho.mqtt.enums import CallbackAPIVersion

from flota.api import FleetClient
from flota.api.errors import Refused
from flota.api.models import CommandRequest, ManualAssignment, NewDevice
from flota.messages import TelemetryBatch, TelemetryPoint
from flota.topics import Channel, topic

MakeDevice = Callable[..., WireDevice]


def batch(device: str, *numbers: int) -> TelemetryBatch:
    points = tuple(TelemetryPoint(seq=n, at=1000.0 + n, name="latency_p50_ms", value=n / 2) for n in numbers)
    return TelemetryBatch(device=device, points=points)


def test_a_device_reaches_its_own_topics_only(make_device: MakeDevice, client: FleetClient) -> None:
    spy, other = make_device("spy"), make_device("other")
    heard: list[str] = []
    spy.mqtt.message_callback_add("#", lambda *args: heard.append(args[2].topic))
    spy.mqtt.subscribe([("flota/v1/+/state", 1), (topic(other.name, Channel.ASSIGN), 1), ("#", 1)])
    spy.mqtt.publish(topic(other.name, Channel.TELEMETRY), b"forged", qos=1).wait_for_publish(10)
    for channel in (Channel.ASSIGN, Channel.ACK, Channel.CMD):
        spy.mqtt.publish(topic(spy.name, channel), b"forged", qos=1, retain=True).wait_for_publish(10)
    spy.send_telemetry(batch(other.name, 1))  # on its own topic, in another one's name
    spy.send_telemetry(batch(spy.name, 1))
    wait_for("stored", lambda: len(client.telemetry(device=spy.name)) == 1)
    assert set(heard) <= {topic(spy.name, Channel.ACK), topic(spy.name, Channel.ASSIGN), topic(spy.name, Channel.CMD)}
    assert client.telemetry(device=other.name) == []
    assert not spy.taken


def test_client_ids_cannot_be_taken_over(make_device: MakeDevice, client: FleetClient) -> None:
    victim, attacker = make_device("victim"), make_device("attacker")
    attacker.close()
    lost: list[object] = []
    victim.mqtt.on_disconnect = lambda *args: lost.append(args)
    thief = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=victim.name, protocol=mqtt.MQTTv5)
    thief.tls_set_context(attacker.tls())
    thief.connect("127.0.0.1", attacker.mqtt_port)
    thief.loop_start()
    wait_for("thief connects", thief.is_connected)
    victim.send_telemetry(batch(victim.name, 1))  # a broker throws the former session out before it accepts the new one
    wait_for("stored", lambda: len(client.telemetry(device=victim.name)) == 1)
    assert lost == []
    thief.disconnect()
    thief.loop_stop()


def test_the_broker_wants_a_certificate(server: ServerProcess) -> None:
    context = ssl.create_default_context(cafile=str(server.config.ca_certificate))
    port = int(str(server.ready["mqtt_port"]))
    assert answer_of(port, context) == b""


def answer_of(port: int, context: ssl.SSLContext) -> bytes:
    """What the broker says to a CONNECT packet made with these credentials; nothing when it hangs up."""
    connect = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x03abc"
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(connect)
            return tls.recv(100)
    except OSError:
        return b""


def test_a_revoked_device_is_out(make_device: MakeDevice, client: FleetClient, server: ServerProcess) -> None:
    device = make_device("stolen")
    device.send_telemetry(batch(device.name, 1))
    wait_for("stored", lambda: len(client.telemetry(device=device.name)) == 1)
    assert answer_of(device.mqtt_port, device.tls())[:1] == b"\x20"
    wait_for("back", device.mqtt.is_connected)
    assert client.revoke_device(device.name).status == "revoked"
    device.send_telemetry(batch(device.name, 2))
    with device.http() as http:
        assert http.get("/tuf/metadata/timestamp.json").status_code == 403
    device.close()
    assert answer_of(device.mqtt_port, device.tls()) == b""
    assert len(client.telemetry(device=device.name)) == 1
    with pytest.raises(Refused) as error:
        client.command(device.name, CommandRequest(name="ping"))
    assert error.value.code == "device.revoked"


def test_a_revoked_name_can_be_given_again(make_device: MakeDevice, client: FleetClient, server: ServerProcess) -> None:
    first = make_device("gate")
    old_tls = first.tls()
    client.revoke_device(first.name)
    first.close()
    pid = server.broker_pid()
    first.enrol(client)
    wait_for("broker restarts", lambda: server.broker_pid() != pid)
    wait_for("link", lambda: "flota_mqtt_connected 1.0" in client.metrics())
    first.connect()
    first.send_telemetry(batch(first.name, 1))
    wait_for("stored", lambda: len(client.telemetry(device=first.name)) == 1)
    with httpx.Client(base_url=first.artifacts_url, verify=old_tls, trust_env=False) as http:
        assert http.get("/tuf/metadata/timestamp.json").json()["code"] == "device.revoked"


def test_telemetry_is_stored_once_and_acknowledged(make_device: MakeDevice, client: FleetClient) -> None:
    device = make_device("meter")
    device.send_telemetry(batch(device.name, 5, 6, 7))
    wait_for("first", lambda: bool(device.acks) and device.acks[-1].telemetry == 7)
    device.send_telemetry(batch(device.name, 6, 7, 8))
    wait_for("second", lambda: device.acks[-1].telemetry == 8)
    rows = client.telemetry(device=device.name, name="latency_p50_ms")
    assert [row.seq for row in rows] == [5, 6, 7, 8]
    assert [row.seq for row in client.telemetry(device=device.name, since=1007.0)] == [7, 8]
    assert [row.seq for row in client.telemetry(device=device.name, limit=1)] == [8]
    device.mqtt.publish(topic(device.name, Channel.TELEMETRY), b"\xff\x00garbage", qos=1)
    device.send_telemetry(batch(device.name, 9))
    wait_for("after garbage", lambda: device.acks[-1].telemetry == 9)


def test_commands_are_answered(make_device: MakeDevice, client: FleetClient, group: str) -> None:
    device = make_device("talker")
    reply = client.command(device.name, CommandRequest(name="ping"))
    assert reply.ok
    assert reply.values == {"echo": "ping"}
    client.add_device(NewDevice(name=f"{group}-silent", group=group))
    with pytest.raises(Refused) as error:
        client.command(f"{group}-silent", CommandRequest(name="ping", timeout_s=0.3))
    assert error.value.code == "device.no-answer"


def test_the_last_will_says_offline(make_device: MakeDevice, client: FleetClient) -> None:
    device = make_device("fragile")
    wait_for("online", lambda: client.device(device.name).online)
    sock = device.mqtt.socket()
    assert sock is not None
    device.mqtt.loop_stop()
    sock.close()  # without a word
    wait_for("offline", lambda: not client.device(device.name).online)


def test_one_device_by_hand(make_device: MakeDevice, client: FleetClient) -> None:
    device = make_device("single")
    made = client.assign(device.name, ManualAssignment(model="motion", version="1.1.0"))
    wait_for("runs", lambda: client.device(device.name).running_version == "1.1.0")
    wait_for("history", lambda: [ran.reason for ran in client.history(device.name)] == ["manual"])
    assert device.taken[-1].counter == made.counter
