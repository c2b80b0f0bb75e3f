from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ldfusion.benchmarks import TABLES, main
from ldfusion.benchmarks.tasks import METHODS
from ldfusion.registry import FUSION as FUSION_METHODS


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_what_it_measures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert TABLES[name][1].split()[0] in capsys.readouterr().out


def test_the_yardsticks_are_rows_of_the_task_table() -> None:
    assert {"mean", "maximum", "maximum-stretched", "laplacian"} < set(METHODS)
    assert set(METHODS) - {"visible", "infrared"} < set(FUSION_METHODS)


def test_a_folder_without_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "--data", str(tmp_path / "nothing")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("benchmark: ") and error.count("\n") == 1 and "nothing" in error


def test_the_tables_are_listed_without_heavy_imports() -> None:
    program = "import sys; from ldfusion.benchmarks import TABLES; print('torch' in sys.modules, len(TABLES))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", str(len(TABLES))]
