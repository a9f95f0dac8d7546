"""The demo's script: what happens in which order. Each step uses the parts as a user would and checks its outcome."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flota.api.models import RolloutStatus, RolloutView, Wave
from flota.demo.attacks import forge_assignment, publish_as_broker_owner, tamper
from flota.demo.fleet import CANARY, DEVICES, LINUX, MCU, Address, Fleet
from flota.demo.processes import Children, DemoError
from flota.demo.story import Refused, Story, check_story
from flota.demo.workshop import MODEL, Built, Workshop
from flota.messages import Assignment
from flota.trust.online import OnlineRepository

FIRST, BETTER, BAD = "1.0.0", "1.1.0", "1.2.0"


class Narrator(Protocol):
    """Tells a person what is going on."""

    def begin(self, text: str) -> None:
        """A step begins."""
        ...

    def detail(self, text: str) -> None:
        """What the step is at; replaces the detail before it."""
        ...

    def done(self, text: str, seconds: float) -> None:
        """The step that was begun has ended well."""
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    """What a demo leaves: its story, and where the dashboard is while the fleet is up."""

    story: Story
    address: Address
    password: str


class Scenario:
    """Runs the whole mission once, with everything it makes below ``folder``."""

    def __init__(self, folder: Path, children: Children, narrator: Narrator) -> None:
        self._workspace = folder / "workspace"
        self._workshop = Workshop(self._workspace, folder / "logs")
        self._fleet = Fleet(folder, self._workspace, children)
        self._tell = narrator

    def run(self) -> Ending:
        """Play it to its end.

        Raises:
            DemoError: A step failed, or the fleet did something else than it should.
        """
        begun = time.monotonic()
        try:
            with self._workshop:
                builds = self._workshop.order((FIRST, BETTER, BAD))
                address = self._set_up()
                bench = self._bench_and_release_first(builds[FIRST])
                self._release_better(builds[BETTER])
                self._release_bad(builds[BAD])
                refused = [self._tampered_artifact(), self._forged_assignment(address)]
            story = Story(self._fleet.stories(), refused, bench, time.monotonic() - begun)
        finally:
            self._fleet.close()
        check_story(story, canary=CANARY, good=(FIRST, BETTER), bad=BAD, refusals=2)
        return Ending(story, address, self._fleet.password)

    def _set_up(self) -> Address:
        with self._step("start the fleet server with its broker"):
            address = self._fleet.start_server()
        with self._step("start the emulated microcontroller"):
            serial = self._fleet.start_board()
        with self._step(f"enrol {len(LINUX)} Linux agents and a gateway with {MCU}"):
            for name in LINUX:
                self._fleet.enrol(address, name)
            self._fleet.enrol(address, MCU, board_port=serial)
            self._fleet.wait_online()
        return address

    def _bench_and_release_first(self, build: Future[Built]) -> Mapping[str, object]:
        built = self._built(build, FIRST)
        with self._step(f"bench {MODEL} {FIRST} on the emulated board"):
            bench = self._workshop.bench(FIRST)
        with self._step(f"sign and publish {FIRST}, roll it out to every device"):
            self._fleet.release(built)
            self._expect(self._fleet.roll_out(FIRST, self._show), RolloutStatus.SUCCEEDED)
        return bench

    def _release_better(self, build: Future[Built]) -> None:
        built = self._built(build, BETTER)
        with self._step(f"sign and publish {BETTER}, roll it out in waves: {CANARY} first, then the rest"):
            self._fleet.release(built)
            waves = (Wave(size=1), Wave(percent=100))
            self._expect(self._fleet.roll_out(BETTER, self._show, waves=waves), RolloutStatus.SUCCEEDED)

    def _release_bad(self, build: Future[Built]) -> None:
        built = self._built(build, BAD)
        with self._step(f"roll out {BAD}, signed but far too slow: {CANARY} goes back by itself, the rollout stops"):
            self._fleet.release(built)
            ended = self._fleet.roll_out(BAD, self._show, waves=(Wave(size=1), Wave(percent=100)))
            self._expect(ended, RolloutStatus.FAILED)

    def _tampered_artifact(self) -> Refused:
        victim = LINUX[2]
        with self._step(f"attack: change one byte of {BAD} on the server's disk, assign it to {victim}"):
            tamper(OnlineRepository(self._fleet.server_folder / "trust").artifact(self._bundle_path()))
            ended = self._fleet.roll_out(BAD, self._show, devices=(victim,))
            self._expect(ended, RolloutStatus.FAILED)
        return Refused(f"{MODEL} {BAD} with one byte changed on the server's disk, by {victim}", ended.members[0].code)

    def _forged_assignment(self, address: Address) -> Refused:
        victim = LINUX[1]
        with self._step(f"attack: own the broker, send {victim} an assignment signed with another key"):
            forged = forge_assignment(self._next_assignment(victim))
            publish_as_broker_owner(self._fleet.server_folder, address.mqtt_port, victim, forged)
            event = self._fleet.wait_for_event(victim, "assignment.bad-signature")
        return Refused(f"an assignment of {BAD} signed with a key of the attacker's own, by {victim}", event.code)

    def _next_assignment(self, device: str) -> Assignment:
        """What the server itself would send to move ``device`` to the bad version."""
        bundle = next(b for b in self._fleet.client.release(MODEL, BAD).bundles if b.target == "linux-litert")
        return Assignment(
            device=device,
            counter=self._fleet.client.device(device).desired_counter,
            issued_at=time.time(),
            expires_at=time.time() + 60,
            model=MODEL,
            version=BAD,
            target=bundle.target,
            path=bundle.path,
            sha256=bundle.sha256,
            size=bundle.size,
        )

    def _bundle_path(self) -> str:
        release = self._fleet.client.release(MODEL, BAD)
        return next(bundle.path for bundle in release.bundles if bundle.target == "linux-litert")

    def _built(self, build: Future[Built], version: str) -> Built:
        with self._step(f"train {MODEL} {version}, quantize it, compile it for three targets"):
            return build.result()

    def _show(self, rollout: RolloutView) -> None:
        states = ", ".join(f"{member.device} {member.state.value} {member.phase}" for member in rollout.members)
        self._tell.detail(f"{rollout.status.value}: {states}")

    @staticmethod
    def _expect(rollout: RolloutView, status: RolloutStatus) -> None:
        if rollout.status is not status:
            codes = ", ".join(f"{m.device}: {m.code or m.state.value}" for m in rollout.members)
            raise DemoError(
                f"the rollout of {rollout.version} {rollout.status.value}, it should have {status.value} ({codes})"
            )

    @contextmanager
    def _step(self, text: str) -> Iterator[None]:
        begun = time.monotonic()
        self._tell.begin(text)
        yield
        self._tell.done(text, time.monotonic() - begun)


__all__ = ["BAD", "BETTER", "DEVICES", "FIRST", "Ending", "Narrator", "Scenario"]
