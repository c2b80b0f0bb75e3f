"""One run at a time in a folder, with real processes that are started and killed at random."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ldfusion.errors import WorkError
from ldfusion.io.lock import LOCK, file_lock, folder_lock

WRITER = """
import os, sys, time
from pathlib import Path
from ldfusion.errors import WorkError
from ldfusion.io.lock import folder_lock
folder, name = Path(sys.argv[1]), sys.argv[2]
while True:
    try:
        with folder_lock(folder):
            inside = folder / "inside"
            if inside.exists():  # somebody else is in, or was killed in here
                pid = inside.read_text() or "0"
                time.sleep(0.1)  # one that was killed just now is still seen for a moment, then as a zombie
                stat = Path(f"/proc/{pid}/stat")
                if stat.exists() and stat.read_text().split()[2] != "Z":
                    (folder / "both").write_text(f"{name} and {pid}")
            inside.write_text(str(os.getpid()))
            time.sleep(0.002)
            inside.unlink()
    except WorkError:
        time.sleep(0.001)
"""


def test_a_second_run_stops_with_one_line(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        with pytest.raises(WorkError, match=rf"is in use by another run \(process {os.getpid()}\); wait until"):
            with folder_lock(tmp_path):
                raise AssertionError
        assert (tmp_path / LOCK).exists()
    assert list(tmp_path.iterdir()) == []
    with folder_lock(tmp_path):
        pass


def test_two_files_of_a_folder_are_two_locks(tmp_path: Path) -> None:
    with file_lock(tmp_path / "a.mp4"), file_lock(tmp_path / "b.mp4"), folder_lock(tmp_path):
        with pytest.raises(WorkError, match=r"a\.mp4 is in use by another run"), file_lock(tmp_path / "a.mp4"):
            raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_a_file_left_over_and_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("12345\n")
    with folder_lock(tmp_path), folder_lock(tmp_path / "missing"):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_block_gives_it_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    with folder_lock(tmp_path):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_never_two_at_once_whatever_is_killed(tmp_path: Path) -> None:
    rng = random.Random(0)
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(len(running))]))

    try:
        for _ in range(3):
            start()
        for _ in range(50):
            time.sleep(rng.uniform(0.005, 0.08))
            victim = running.pop(rng.randrange(len(running)))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            start()
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert not (tmp_path / "both").exists()
    with folder_lock(tmp_path):  # no kill has left a lock behind
        pass
