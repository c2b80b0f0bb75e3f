"""A registration on disk: JSON with ``matrix``, ``model``, ``score`` and ``trusted``, a dense flow as ``.npy``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from ldfusion.errors import InputError
from ldfusion.io.files import atomic_write
from ldfusion.types import Registration


def write_transform(path: str | Path, registration: Registration) -> None:
    """Write the transform; the flow is not part of it, see `write_flow`.

    Raises:
        WorkError: the file cannot be written.
    """
    record = {
        "matrix": registration.matrix.tolist(),
        "model": registration.model,
        "score": round(registration.score, 6),
        "trusted": registration.trusted,
    }
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_transform(path: str | Path, flow: str | Path | None = None) -> Registration:
    """Read what `write_transform` wrote, with the flow of ``flow`` where the model is ``flow``.

    Raises:
        InputError: missing or damaged file, missing field, a value out of range, or no flow for the model ``flow``.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        dense = None if flow is None else torch.from_numpy(np.load(flow, allow_pickle=False)).float()
        return Registration(
            np.array(record["matrix"], dtype=np.float64),
            record["model"],
            float(record["score"]),
            bool(record["trusted"]),
            dense,
        )
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}; give a transform written by 'register'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a transform ({error}); it needs matrix (3x3), model, score and trusted"
        ) from error


def write_flow(path: str | Path, flow: torch.Tensor) -> None:
    """Write a (2, H, W) flow as float32 ``.npy``.

    Raises:
        WorkError: the file cannot be written.
    """
    with atomic_write(path) as temporary:
        np.save(temporary, flow.float().cpu().numpy())
