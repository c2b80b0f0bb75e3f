from __future__ import annotations

import pytest

from ldfusion.benchmarks.overrides import split_overrides
from ldfusion.errors import InputError

KINDS = ("seafusion", "segmentation")


def test_overrides_go_to_both_or_to_one() -> None:
    words = split_overrides(
        ["data.root=/a:b", "segmentation:train.steps=3", "seafusion:loss.rounds=2", "seed=1"], KINDS
    )
    assert words == {
        "seafusion": ["data.root=/a:b", "loss.rounds=2", "seed=1"],
        "segmentation": ["data.root=/a:b", "train.steps=3", "seed=1"],
    }
    with pytest.raises(InputError, match="unknown training 'segmentatoin'; did you mean 'segmentation'"):
        split_overrides(["segmentatoin:train.steps=3"], KINDS)
