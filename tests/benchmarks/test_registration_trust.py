from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest
import torch

from ldfusion.benchmarks import registration_trust
from ldfusion.benchmarks.registration_trust import (
    TRUTHS,
    Trial,
    by_aspect,
    reliability,
    strip,
    true_pairs,
    whole_truths,
)
from ldfusion.errors import InputError
from ldfusion.evaluation.registration import TruePair
from ldfusion.io.image import write_png
from ldfusion.registration.score import RIGHT
from ldfusion.registration.warp import transform_points

TRUTH = np.array([[2.0, 0.1, 5.0], [-0.1, 2.0, 7.0], [0, 0, 1]])


def trial(score: float, error: float, aspect: int = 1, kind: str = "real") -> Trial:
    return Trial(kind, f"{kind}-{aspect}", aspect, (240, 320), error, 2 * error, score, score >= 0.5)


@pytest.mark.parametrize(("size", "aspect", "wanted"), [((300, 400), 4, (100, 400)), ((400, 300), 8, (400, 50))])
def test_a_strip_is_a_part_of_its_pair_with_its_own_truth(
    size: tuple[int, int], aspect: int, wanted: tuple[int, int]
) -> None:
    y, x = torch.meshgrid(*(torch.arange(float(side)) for side in size), indexing="ij")
    visible = torch.stack([x, y, x + y])[None]
    y, x = torch.meshgrid(*(torch.arange(float(side // 2)) for side in size), indexing="ij")
    infrared = (1000 * y + x)[None, None]
    found = strip(TruePair("a", visible, infrared, TRUTH), aspect, np.random.default_rng(0))
    assert found.visible.shape[-2:] == wanted and found.name == f"a 1:{aspect}"
    left, top = found.visible[0, :2, 0, 0].tolist()
    height, width = found.infrared.shape[-2:]
    assert (height < size[0] // 2) != (width < size[1] // 2)  # cut along one side alone
    row, column = height // 2, width // 2
    code = found.infrared[0, 0, row, column].item()
    whole = transform_points(TRUTH, np.array([[code % 1000, code // 1000]]))[0]
    own = transform_points(found.truth, np.array([[column, row]]))[0]
    assert np.allclose(own + np.array([left, top]), whole)


def test_reliability_counts_what_was_right() -> None:
    found = [trial(0.99, 0.001), trial(0.995, 0.03), trial(0.7, RIGHT / 2), trial(0.01, 0.2)]
    lines = {line[0]: line[1:] for line in reliability(found)}
    assert lines["0.99..1.00"] == ["2", "0.99", "0.50", "3.0 %"]
    assert lines["0.50..0.90"] == ["1", "0.70", "1.00", "0.8 %"]
    assert lines["0.90..0.99"][0] == "0"
    rows = by_aspect([*found, trial(0.2, 0.001, 60, "rendered")])
    assert rows[1] == ["real", "1:1", "4", "3", "2", "0.78 %", "3.00 %", "0"]
    assert rows[2][:4] == ["rendered", "1:60", "1", "0"] and rows[2][-1] == "1"
    assert whole_truths(found)[1] == ["real-1", "320x240", "0.3", "0.6", "0.99", "yes"]


def test_true_pairs_have_their_pixels_counted_from_zero(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{TRUTHS}: no such file"):
        list(true_pairs(tmp_path))
    for side, channels in (("visible", 3), ("infrared", 1)):
        write_png(tmp_path / side / "a.png", torch.rand(channels, 40, 48))
    given = [[1.0, 0, 3], [0, 2, 0], [0, 0, 1]]
    (tmp_path / TRUTHS).write_text(
        json.dumps({"note": "...", "a": {"infrared_to_visible_homography_1based_xy": given}})
    )
    (pair,) = true_pairs(tmp_path)
    # pixel (0, 0) is (1, 1) there, which goes to (4, 2): (3, 1) here
    assert np.allclose(transform_points(pair.truth, np.zeros((1, 2))), [[3, 1]])


@pytest.mark.slow
def test_the_table(tmp_path: Path) -> None:
    parser = ArgumentParser()
    registration_trust.add_arguments(parser)
    words = ["--rendered", "1", "--aspects", "1", "4", "--threads", "1", "-o", str(tmp_path / "trials.json")]
    text = registration_trust.run(parser.parse_args(words))
    assert "1:4" in text and len(json.loads((tmp_path / "trials.json").read_text())) == 2
