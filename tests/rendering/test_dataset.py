"""Rendered pairs as a data set."""

from __future__ import annotations

import pytest
import torch

from ldfusion.rendering import SyntheticPairs


def test_dataset_gives_the_items_of_the_pair_dataset() -> None:
    dataset = SyntheticPairs(4, (64, 80), seed=3, lights=("day", "night"))
    item = dataset[1]
    assert len(dataset) == 4 and item["name"].endswith("night-0-00001")
    assert item["visible"].shape == (3, 64, 80) and item["infrared"].shape == (1, 64, 80)
    for key in ("depth_visible", "depth_infrared"):
        assert item[key].shape == (1, 64, 80) and torch.isfinite(item[key]).all() and (item[key] >= 0).all()
        assert item[key].dtype == torch.float32
    assert item["mask"].shape == (64, 80) and item["mask"].dtype == torch.int64 and item["mask"].max() <= 3
    assert item["caption"] in item["captions"] and item["facts"]["light"] == "night"
    again, later = dataset[1], dataset[(1, 1)]
    assert torch.equal(item["visible"], again["visible"]) and item["seed"] == again["seed"]
    assert item["seed"] != later["seed"] and 0 <= item["seed"] < 2**63
    with pytest.raises(IndexError):
        dataset[4]
