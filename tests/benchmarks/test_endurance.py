from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import pytest

from ldfusion.benchmarks import endurance
from ldfusion.benchmarks.endurance import Course, watch
from ldfusion.errors import WorkError

GROWING = "import time\nkept = []\nfor _ in range(10): kept.append(bytearray(8_000_000)); time.sleep(0.15)"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_growth_is_seen(tmp_path: Path) -> None:
    course = watch(["-c", GROWING])
    assert course.between(0.8, 1.0) > course.between(0.1, 0.3) + 25
    assert course.peak == max(value for _, value in course.samples) and course.seconds > 1.4
    with pytest.raises(WorkError, match=r"ended with 1: .*no room"):
        watch(["-c", "import time; time.sleep(0.5); raise SystemExit('no room')"])


def test_parts_of_a_course() -> None:
    course = Course(10.0, [(1.0, 50.0), (5.0, 70.0), (9.0, 60.0)])
    assert (course.between(0, 0.2), course.between(0.8, 1), course.peak) == (50, 60, 70)


@pytest.mark.slow
def test_the_runs_themselves(tmp_path: Path) -> None:
    parser = ArgumentParser()
    endurance.add_arguments(parser)
    words = ["--pairs", "30", "--frames", "30", "--shapes", "64x48", "-o", str(tmp_path)]
    table = endurance.run(parser.parse_args(words)).splitlines()
    assert [line.split("  ")[0] for line in table[-3:]] == ["30 pairs", "30 frames", "register 64x48"]
    assert (tmp_path / "endurance.png").stat().st_size > 1000
    assert set(json.loads((tmp_path / "endurance.json").read_text())) == {"30 pairs", "30 frames", "register 64x48"}
