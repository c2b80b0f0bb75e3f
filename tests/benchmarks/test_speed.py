from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ldfusion.benchmarks.speed import pipeline_times, speed_table
from ldfusion.errors import InputError
from ldfusion.fusion.seafusion import GRDBFusionNetwork
from ldfusion.pipeline import LDFusionPipeline


def test_every_step_is_timed_against_the_grdb_network(weights: str) -> None:
    pipe = LDFusionPipeline.from_pretrained(weights)
    rows = pipeline_times(pipe, torch.rand(1, 3, 48, 64), torch.rand(1, 1, 48, 64), repeats=2)
    assert [row.step for row in rows][-3:] == ["whole pipeline", "GRDB network", "method seafusion"]
    assert len(rows) == 11
    assert rows[-2].ratio == 1
    assert all(row.seconds > 0 for row in rows)
    assert all(row.ratio == pytest.approx(row.seconds / rows[-2].seconds) for row in rows)


def test_table_and_bad_size(weights: str) -> None:
    pipe = LDFusionPipeline.from_pretrained(weights)
    threads = torch.get_num_threads()
    try:
        lines = speed_table(pipe, "96x64", threads, repeats=1, reference="64x48").splitlines()
    finally:
        torch.set_num_threads(threads)
    assert lines[0] == f"| step (96x64, {threads} threads) | seconds | of one GRDB pass at 64x48 |"
    assert len(lines) == 13
    with pytest.raises(InputError, match="WIDTHxHEIGHT"):
        speed_table(pipe, "64", 1)
    with pytest.raises(InputError, match="--reference"):
        speed_table(pipe, "64x48", 1, reference="x")


def test_the_reference_may_have_another_size(weights: str) -> None:
    pipe = LDFusionPipeline.from_pretrained(weights)
    large, small = torch.rand(1, 4, 512, 640), torch.rand(1, 4, 32, 48)
    seen: list[tuple[int, ...]] = []
    kept = GRDBFusionNetwork.forward

    def forward(self: GRDBFusionNetwork, luma: Tensor, infrared: Tensor) -> Tensor:
        seen.append(tuple(luma.shape))
        return kept(self, luma, infrared)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRDBFusionNetwork, "forward", forward)
        pipeline_times(pipe, large[:, :3], large[:, 3:], 1, (small[:, :3], small[:, 3:]))
    assert set(seen) == {(1, 1, 32, 48)}
