"""Transforms on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.registration.files import read_transform, write_flow, write_transform
from ldfusion.types import Registration


def test_round_trip(tmp_path: Path) -> None:
    matrix = np.array([[0.9, 0.1, 3.25], [0, 1.1, -2], [1e-5, 0, 1]])
    write_transform(tmp_path / "a.json", Registration(matrix, "homography", 0.75, True))
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"matrix", "model", "score", "trusted"}
    back = read_transform(tmp_path / "a.json")
    assert np.array_equal(back.matrix, matrix)
    assert (back.model, back.score, back.trusted, back.flow) == ("homography", 0.75, True, None)


def test_round_trip_with_flow(tmp_path: Path) -> None:
    flow = torch.randn(2, 5, 7)
    write_transform(tmp_path / "a.json", Registration(np.eye(3), "flow", 0.5, False, flow))
    write_flow(tmp_path / "a.npy", flow)
    back = read_transform(tmp_path / "a.json", tmp_path / "a.npy")
    assert back.flow is not None and torch.equal(back.flow, flow)
    with pytest.raises(InputError, match="flow"):
        read_transform(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["", "{}", '{"matrix": [[1]], "model": "affine", "score": 1, "trusted": true}'])
def test_damaged_files_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        read_transform(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"b\.json"):
        read_transform(tmp_path / "b.json")
