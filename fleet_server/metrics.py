"""The figures of ``/metrics``: counted from the database and the link when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from fleet_server import views
from fleet_server.state import Fleet
from flota.api.models import RolloutStatus


class _FleetCollector:
    """Collects from one server."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        """All figures."""
        with self._fleet.database.read() as session:
            counts = views.counts(session)
        yield _gauge("flota_devices", "Registered devices.", counts["devices"]["total"])
        yield _gauge("flota_devices_online", "Devices with a connection.", counts["devices"]["online"])
        yield _versions(counts["versions"])
        yield _rollouts(counts["rollouts"])
        yield _gauge("flota_telemetry_rows", "Stored readings.", counts["rows"]["telemetry"])
        yield _gauge(
            "flota_refused_events", "Stored events of devices that refused something.", counts["rows"]["refused"]
        )
        yield from self._link()

    def _link(self) -> Iterator[Metric]:
        figures, runner = self._fleet.link.figures, self._fleet.runner
        messages = CounterMetricFamily("flota_mqtt_messages", "Messages of devices, by channel.", labels=["channel"])
        for channel, count in sorted(figures.messages.items()):
            messages.add_metric([channel], count)
        yield messages
        yield CounterMetricFamily("flota_mqtt_refused", "Messages that were not ours.", value=figures.refused)
        yield CounterMetricFamily("flota_mqtt_connects", "Connections made to the broker.", value=figures.connects)
        yield CounterMetricFamily("flota_assignments_published", "Assignments published.", value=figures.published)
        yield _gauge("flota_mqtt_connected", "1 while connected to the broker.", int(self._fleet.link.connected))
        yield CounterMetricFamily("flota_engine_ticks", "Looks at the rollouts.", value=runner.ticks)
        yield _gauge("flota_engine_leads", "1 while this server runs the rollouts.", int(runner.leads))


def registry_of(fleet: Fleet) -> CollectorRegistry:
    """A registry with the figures of ``fleet`` alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_FleetCollector(fleet))
    return registry


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _versions(counts: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("flota_running", "Devices by what they run.", labels=["model", "version"])
    for name, count in sorted(counts.items()):
        family.add_metric(name.split(" ", 1), count)
    return family


def _rollouts(counts: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("flota_rollouts", "Rollouts by status.", labels=["status"])
    for status in RolloutStatus:
        family.add_metric([status.value], counts.get(status.value, 0))
    return family
