from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from ldfusion.errors import WorkError
from ldfusion.training import checkpoints


def prepared(value: float = 0.0) -> tuple[Accelerator, nn.Module]:
    accelerator = Accelerator(cpu=True)
    network = nn.Linear(4, 2)
    nn.init.constant_(network.weight, value)
    return accelerator, accelerator.prepare(network)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def in_child(work: Callable[[], None]) -> int | None:
    """Exit code of a child process that runs ``work``; negative: the signal that ended it."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(120)
    return child.exitcode


class KilledWhileSaved:
    """Its state is asked for after the network's has been written: then the process is gone."""

    def state_dict(self) -> dict[str, object]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None: ...


def test_the_newest_come_first_and_the_oldest_go(tmp_path: Path) -> None:
    accelerator, network = prepared()
    assert checkpoints.newest(tmp_path / "none") is None and checkpoints.newest(tmp_path) is None
    for step in (2, 4, 6, 10, 100):
        nn.init.constant_(network.weight, step)
        checkpoints.save(accelerator, tmp_path, step, keep=3)
    assert names(tmp_path) == ["step-00000006", "step-00000010", "step-00000100"]
    assert checkpoints.newest(tmp_path) == (100, tmp_path / "step-00000100")
    nn.init.constant_(network.weight, 0)
    accelerator.load_state(str(tmp_path / "step-00000010"))
    assert (network.weight == 10).all()


def test_only_complete_checkpoints_of_ours_count(tmp_path: Path) -> None:
    accelerator, _ = prepared()
    checkpoints.save(accelerator, tmp_path, 2, keep=1)
    for stranger in (".writing-00000004", "step-best", "step-"):
        (tmp_path / stranger).mkdir()
    (tmp_path / "step-00000009").write_text("a file")
    assert checkpoints.newest(tmp_path) == (2, tmp_path / "step-00000002")
    checkpoints.save(accelerator, tmp_path, 6, keep=1)
    assert names(tmp_path) == ["step-", "step-00000006", "step-00000009", "step-best"]


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    accelerator, network = prepared(1)
    checkpoints.save(accelerator, tmp_path, 2, keep=2)
    nn.init.constant_(network.weight, 5)
    checkpoints.save(accelerator, tmp_path, 2, keep=2)
    nn.init.constant_(network.weight, 0)
    accelerator.load_state(str(tmp_path / "step-00000002"))
    assert (network.weight == 5).all()


def test_a_kill_in_the_middle_of_writing_leaves_the_older_one(tmp_path: Path) -> None:
    accelerator, network = prepared(1)
    checkpoints.save(accelerator, tmp_path, 2, keep=1)

    def work() -> None:
        nn.init.constant_(network.weight, 2)
        accelerator.register_for_checkpointing(KilledWhileSaved())
        checkpoints.save(accelerator, tmp_path, 4, keep=1)

    assert in_child(work) == -signal.SIGKILL
    assert names(tmp_path) == [".writing-00000004", "step-00000002"]
    assert any((tmp_path / ".writing-00000004").iterdir())
    found = checkpoints.newest(tmp_path)
    assert found == (2, tmp_path / "step-00000002")
    nn.init.constant_(network.weight, 0)
    accelerator.load_state(str(found[1]))
    assert (network.weight == 1).all()
    checkpoints.save(accelerator, tmp_path, 4, keep=1)  # what was torn is cleared away
    assert names(tmp_path) == ["step-00000004"]


def test_a_full_disk_is_one_clear_line_and_the_older_one_stays(tmp_path: Path) -> None:
    accelerator, _ = prepared()
    checkpoints.save(accelerator, tmp_path, 2, keep=1)

    def work() -> None:
        torch.manual_seed(0)
        accelerator.prepare(nn.Linear(100, 100))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        try:
            checkpoints.save(accelerator, tmp_path, 4, keep=1)
        except WorkError as error:
            expected = "cannot be written" in str(error) and "\n" not in str(error)
            os._exit(7 if expected else 8)

    assert in_child(work) == 7
    assert checkpoints.newest(tmp_path) == (2, tmp_path / "step-00000002")


@pytest.mark.parametrize("keep", [1, 2])
def test_no_more_than_the_limit_is_kept(tmp_path: Path, keep: int) -> None:
    accelerator, _ = prepared()
    for step in range(1, 5):
        checkpoints.save(accelerator, tmp_path, step, keep)
        assert len(names(tmp_path)) == min(step, keep)
