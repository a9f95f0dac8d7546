"""What a folder says about its agent, without asking the agent: the journal is the truth, the lock says if it runs."""

from __future__ import annotations

import fcntl
from dataclasses import asdict, dataclass
from pathlib import Path

from device_agent.config import AgentConfig, load_config
from device_agent.journal import Journal
from device_agent.state import AgentState


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """One agent. ``outcome`` and ``code`` are of the last assignment that ended; ``process``: whether it is up."""

    device: str
    process: bool
    phase: str
    model: str
    version: str
    slot: str
    previous: str
    counter: int
    security_floor: int
    outcome: str
    code: str
    detail: str
    events_waiting: int
    socket: str

    def document(self) -> dict[str, str | int | bool]:
        """The fields by name."""
        return asdict(self)


def read_status(folder: Path) -> AgentStatus:
    """The status of the agent in ``folder``.

    Raises:
        NotEnrolled, ConfigError, JournalError, StorageError: The folder does not say.
    """
    config = load_config(folder)
    state = Journal(config.journal).load() or AgentState()
    running, result = state.running, state.last_result
    return AgentStatus(
        device=config.settings.device,
        process=_is_locked(config),
        phase=state.phase.value,
        model=running.model if running else "",
        version=running.version if running else "",
        slot=running.slot if running else "",
        previous=state.previous.version if state.previous else "",
        counter=state.counter,
        security_floor=state.security_floor,
        outcome=result.outcome.value if result else "",
        code=result.code if result else "",
        detail=result.detail if result else "",
        events_waiting=len(state.outbox),
        socket=str(config.socket),
    )


def _is_locked(config: AgentConfig) -> bool:
    try:
        with config.lock.open("r") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
