from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ldfusion import rendering
from ldfusion.cli import main
from ldfusion.commands import demo


def test_a_scene_is_rendered_fused_and_listed(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SIZE", (48, 64))
    words = ["demo", "-o", str(tmp_path / "out"), "--light", "fog", "--weights", weights, "--device", "cpu"]
    assert main(words) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [str(file.relative_to(tmp_path / "out")) for file in files] == [
        "visible/street-fog-0.png",
        "infrared/street-fog-0.png",
        "fused/street-fog-0.png",
        "depth/street-fog-0.png",
        "depth/street-fog-0.npy",
        "depth/street-fog-0_color.png",
        "panels/street-fog-0.png",
    ]
    for file in files[:3]:
        with Image.open(file) as picture:
            assert picture.size == (64, 48)
    made = {file for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert made == {*files, tmp_path / "out" / "captions.jsonl", tmp_path / "out" / "run.json"}


def test_the_options_are_those_of_the_renderer() -> None:
    assert set(demo.LIGHTS) == set(rendering.LIGHTS)
    assert set(demo.PLACES) == set(rendering.PLACES)
