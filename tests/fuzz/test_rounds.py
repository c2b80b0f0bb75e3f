"""Killed runs and runs that meet, see ``rounds.py``; the lock alone is killed in the default tests (test_lock.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = Path(__file__).with_name("rounds.py")


def play(kind: str, rounds: int) -> str:
    words = [sys.executable, str(ROUNDS), kind, "--rounds", str(rounds)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.mark.slow
def test_killed_in_short() -> None:
    assert "frames: 2 of 2 rounds ended with the same" in play("frames", 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fuse", "video", "train", "frames", "align", "register"])
def test_killed_twenty_times(kind: str) -> None:
    assert f"{kind}: 20 of 20 rounds ended with the same" in play(kind, 20)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fuse", "video", "train", "frames"])
def test_met_fifty_times(kind: str) -> None:
    assert f"two-{kind}: 50 of 50 rounds ended with the files of one run alone" in play(f"two-{kind}", 50)
