"""Checkpoints of a run: complete or absent, never half-written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from accelerate import Accelerator


def newest(folder: Path) -> tuple[int, Path] | None:
    """Step and folder of the newest complete checkpoint, or None."""
    found = sorted(folder.glob("step-*")) if folder.is_dir() else []
    return (int(found[-1].name.removeprefix("step-")), found[-1]) if found else None


def save(accelerator: Accelerator, folder: Path, step: int, keep: int) -> None:
    """Save the whole training state of step ``step`` and drop all but the newest ``keep`` checkpoints.

    The state is written under a temporary name and renamed, so a run killed while saving leaves the older one intact.
    """
    final, temporary = folder / f"step-{step:08d}", folder / f".writing-{step:08d}"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
        for old in sorted(folder.glob("step-*"))[:-keep]:
            shutil.rmtree(old)
        for torn in folder.glob(".writing-*"):
            shutil.rmtree(torn)
    accelerator.wait_for_everyone()
