"""Each row of docs/inputs.md."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ldfusion.errors import InputError
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.io.radiometric import read_thermal

_SPEC = importlib.util.spec_from_file_location("input_kinds", Path(__file__).parents[1] / "input_kinds.py")
assert _SPEC is not None and _SPEC.loader is not None
kinds = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(kinds)


def unit(path: Path) -> str:
    image = read_thermal(path)
    return "degrees C" if image.celsius else "grey" if image.values.dtype == np.uint8 else "counts"


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.file)
def test_a_kind(kind: tuple, tmp_path: Path, camera_files: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    if kind.file.endswith(".irg"):
        pytest.importorskip("infiray_irg")
    path = tmp_path / kind.file
    path.write_bytes(kind.make(camera_files))
    if kind.side == "visible":
        image = read_visible(path)[0]
        assert image.shape == (3, kinds.H, kinds.W) and image.max() > 0.3
    else:
        assert unit(path) == kind.unit
        infrared = read_infrared(path)
        assert infrared.shape[0] == 1 and 0 <= infrared.min() < 0.5 < infrared.max() + 0.2 <= 1.2
    if kind.said:
        assert kind.said in caplog.text
    else:
        assert caplog.text == ""


@pytest.mark.parametrize("kind", kinds.REFUSED, ids=lambda kind: kind.file)
def test_a_refused_kind(kind: tuple, tmp_path: Path, camera_files: ModuleType) -> None:
    path = tmp_path / kind.file
    path.write_bytes(kind.make(camera_files))
    with pytest.raises(InputError) as caught:
        read_visible(path) if kind.side == "visible" else read_infrared(path)
    assert kind.said in str(caught.value) and str(path) in str(caught.value)


def test_the_page_is_the_table(repository: Path) -> None:
    assert (repository / "docs" / "inputs.md").read_text(encoding="utf-8") == kinds.table()
