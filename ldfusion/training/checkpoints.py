"""Checkpoints of a run: complete or absent, never half-written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from accelerate import Accelerator
from safetensors import SafetensorError

from ldfusion.errors import WorkError


def newest(folder: Path) -> tuple[int, Path] | None:
    """Step and folder of the newest complete checkpoint, or None."""
    found = _complete(folder)
    return (int(found[-1].name.removeprefix("step-")), found[-1]) if found else None


def _complete(folder: Path) -> list[Path]:
    """All complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir() and path.name[5:].isdecimal())


def save(accelerator: Accelerator, folder: Path, step: int, keep: int) -> None:
    """Save the whole training state of step ``step`` and drop all but the newest ``keep`` checkpoints.

    The state is written under a temporary name and renamed, so a run killed while saving leaves the older one intact.

    Raises:
        WorkError: it cannot be written, for instance because the disk is full.
    """
    final, temporary = folder / f"step-{step:08d}", folder / f".writing-{step:08d}"
    try:
        if accelerator.is_main_process:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(temporary))
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors wrap the error of the disk
        reason = str(error).splitlines()[0]
        raise WorkError(f"{temporary}: the checkpoint cannot be written ({reason}); older ones are kept") from error
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
        for old in _complete(folder)[:-keep]:
            shutil.rmtree(old)
        for torn in folder.glob(".writing-*"):
            shutil.rmtree(torn)
    accelerator.wait_for_everyone()
