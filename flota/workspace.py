"""The workspace: where the workshop side keeps trained models, bundles and reports, and what a training leaves there.

``models`` writes a trained model here and ``optimize`` reads it; they meet through these files only. A folder
``models/<name>/<version>/`` holds ``float.keras``, ``data.npz`` (the train and test arrays in physical units) and
``train.json``, which is written last and names the digest of the other two; ``optimize`` adds ``int8.tflite`` and
``evaluation.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flota.bundle import Requirements, Sha256
from flota.errors import FlotaError
from flota.files import sha256_file, write_atomic

DEFAULT_WORKSPACE = Path(".flota")
NETWORK_FILE = "float.keras"
DATA_FILE = "data.npz"
RECORD_FILE = "train.json"
INT8_FILE = "int8.tflite"
EVALUATION_FILE = "evaluation.json"


class WorkspaceError(FlotaError):
    """What the workspace should hold is missing, or not what was written there."""

    code = "workspace.invalid"


class NotTrained(WorkspaceError):
    """There is no trained model of that name and version in the workspace."""

    code = "workspace.not-trained"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Epoch(_Frozen):
    """What one epoch of training ended with. Validation values are on data held out of the training set."""

    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


class TestResult(_Frozen):
    """Accuracy on the whole test set with its 95 % Wilson interval."""

    __test__ = False  # not a test class, whatever its name makes pytest believe

    correct: int
    count: int
    accuracy: float
    low: float
    high: float


class Gates(_Frozen):
    """What the quantized model must hold to become a release."""

    min_accuracy: float = Field(ge=0, le=1)
    max_accuracy_loss: float = Field(ge=0, le=1)


class TrainingRecord(_Frozen):
    """``train.json``: which network this is, what it was made from and how good it is."""

    schema_version: Literal[1] = 1
    model: str
    version: str
    description: str
    labels: tuple[str, ...]
    features: tuple[str, ...]
    dataset: str
    dataset_sha256: Sha256
    config_sha256: Sha256
    weights_sha256: Sha256
    network_sha256: Sha256
    data_sha256: Sha256
    seed: int
    best_epoch: int
    parameters: int
    history: tuple[Epoch, ...]
    test: TestResult
    gates: Gates
    tools: dict[str, str]
    git_commit: str
    seconds: float


class TargetSummary(_Frozen):
    """One bundle: where it lies, how large it is, how accurate and what it needs."""

    target: str
    path: str
    sha256: str
    size_bytes: int
    accuracy: float
    requires: Requirements


class LatencyOnThisMachine(_Frozen):
    """Median time of one inference over the test set on the machine that optimized, one thread, in microseconds."""

    litert_us: float
    tflm_us: float


class EvaluationRecord(_Frozen):
    """``evaluation.json``: what the quantized model is and how it compares with the float one."""

    schema_version: Literal[1] = 1
    model: str
    version: str
    dataset: str
    dataset_sha256: str
    float_bytes: int
    int8_bytes: int
    int8_sha256: str
    macs: int
    tflm_arena_bytes: int
    float_result: TestResult
    litert: TestResult
    tflm: TestResult
    runtimes_agree: int
    latency: LatencyOnThisMachine
    gates: Gates
    targets: tuple[TargetSummary, ...]


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of a workspace below ``root``; nothing is created before something is written."""

    root: Path

    def model_folder(self, name: str, version: str) -> Path:
        """Where a trained model and its quantized form lie."""
        return self.root / "models" / name / version

    @property
    def bundles(self) -> Path:
        """Where bundles lie, under their own names."""
        return self.root / "bundles"

    @property
    def reports(self) -> Path:
        """Where bench reports lie."""
        return self.root / "reports"

    def firmware(self, board: str) -> Path:
        """Where the built base firmware of ``board`` lies."""
        return self.root / "firmware" / board

    def write_record(self, record: TrainingRecord) -> Path:
        """Write ``train.json``; the files it names must already be there."""
        path = self.model_folder(record.model, record.version) / RECORD_FILE
        write_atomic(path, record.model_dump_json(indent=1).encode() + b"\n")
        return path

    def trained(self, name: str, version: str) -> TrainingRecord:
        """The record of a trained model whose files are whole.

        Raises:
            NotTrained: No training of that version ended here.
            WorkspaceError: The record is garbled, or the files are not the ones it names.
        """
        path = self.model_folder(name, version) / RECORD_FILE
        hint = f"train it: flota train {name} --version {version} --workspace {self.root}"
        if not path.is_file():
            raise NotTrained(f"{name} {version} is not trained in {self.root}", hint=hint)
        try:
            record = TrainingRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise WorkspaceError(f"{path}: not a training record", hint=hint) from error
        for file, digest in ((NETWORK_FILE, record.network_sha256), (DATA_FILE, record.data_sha256)):
            if not (path.parent / file).is_file() or sha256_file(path.parent / file) != digest:
                raise WorkspaceError(f"{path.parent / file} is not the file {RECORD_FILE} names", hint=hint)
        return record

    def write_evaluation(self, evaluation: EvaluationRecord) -> Path:
        """Write ``evaluation.json`` beside the model it is about."""
        path = self.model_folder(evaluation.model, evaluation.version) / EVALUATION_FILE
        write_atomic(path, evaluation.model_dump_json(indent=1).encode() + b"\n")
        return path

    def evaluation(self, name: str, version: str) -> EvaluationRecord:
        """What was measured when this version was optimized.

        Raises:
            WorkspaceError: It was not optimized here, or the record is garbled.
        """
        path = self.model_folder(name, version) / EVALUATION_FILE
        hint = f"optimize it: flota optimize {name} --version {version} --workspace {self.root}"
        try:
            return EvaluationRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise WorkspaceError(f"{path}: missing, or not an evaluation", hint=hint) from error
