from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ldfusion import weights as embedded
from ldfusion.errors import InputError
from ldfusion.fusion import methods
from ldfusion.fusion.base import FusionMethod, ImageMethod
from ldfusion.fusion.classical import laplacian_fusion, maximum_fusion, mean_fusion
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.seafusion import GRDBFusionNetwork
from ldfusion.io.color import luma, rgb_to_ycbcr
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration.align import align
from ldfusion.registry import FUSION
from ldfusion.types import Pair, Registration


def pair(height: int = 45, width: int = 62, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 3, height, width, generator=generator), torch.rand(
        batch, 1, height, width, generator=generator
    )


@pytest.fixture
def grdb(tmp_path: Path) -> str:
    """Folder of an untrained SeAFusion network."""
    torch.manual_seed(0)
    GRDBFusionNetwork().save_pretrained(tmp_path / "grdb")
    return str(tmp_path / "grdb")


@pytest.mark.parametrize("name", list(FUSION))
def test_every_method_keeps_the_contract(name: str, weights: str, grdb: str) -> None:
    options = {
        "ldfusion": {"weights": weights},
        "seafusion": {"weights": grdb},
        "zero-learning": {"activity": "contrast"},
    }
    method = load_method(name, **options.get(name, {}))
    assert isinstance(method, FusionMethod) and method.name == name
    visible, infrared = pair()
    fused = method.fuse(visible, infrared)
    assert fused.shape == visible.shape and fused.dtype == torch.float32 and not fused.requires_grad
    assert 0 <= fused.min() and fused.max() <= 1
    torch.testing.assert_close(method.fuse(visible[1:], infrared[1:]), fused[1:], atol=1e-5, rtol=0)


def test_the_named_methods_are_the_functions() -> None:
    visible, infrared = pair()
    assert torch.equal(load_method("mean").fuse(visible, infrared), mean_fusion(visible, infrared))
    assert torch.equal(load_method("maximum").fuse(visible, infrared), maximum_fusion(visible, infrared))
    stretched = maximum_fusion(visible, infrared, stretched=True)
    assert not torch.equal(stretched, maximum_fusion(visible, infrared))
    for method in (load_method("maximum-stretched"), load_method("maximum", stretched=True)):
        assert method.name == "maximum-stretched" and torch.equal(method.fuse(visible, infrared), stretched)
    assert torch.equal(
        load_method("laplacian", levels=2).fuse(visible, infrared), laplacian_fusion(visible, infrared, 2)
    )
    torch.testing.assert_close(load_method("alpha").fuse(visible, infrared), 0.65 * visible + 0.35 * infrared)
    torch.testing.assert_close(load_method("alpha", alpha=1).fuse(visible, infrared), infrared.expand(-1, 3, -1, -1))


def test_the_pipeline_as_a_method_is_the_pipeline(weights: str) -> None:
    visible, infrared = pair()
    pipe = LDFusionPipeline.from_pretrained(weights)
    for options in ({}, {"prompt": "a person near a street", "seed": 3, "timesteps": [1, 2, 3]}):
        generator = torch.Generator().manual_seed(options.get("seed", 0))
        arguments = {key: value for key, value in options.items() if key != "seed"}
        expected = pipe(visible, infrared, generator=generator, **arguments).fused
        torch.testing.assert_close(
            load_method("ldfusion", weights=weights, **options).fuse(visible, infrared), expected
        )


def test_a_held_sentence_guides_the_pairs_that_follow(weights: str) -> None:
    visible, infrared = pair()
    method = load_method("ldfusion", weights=weights)
    assert isinstance(method, LDFusionPipeline)
    sentence, feature = method.sentence(visible[:1], infrared[:1])
    alone = method.fuse(visible[1:], infrared[1:])
    by_prompt = load_method("ldfusion", weights=weights, prompt=sentence).fuse(visible[1:], infrared[1:])
    frames = method.guide()
    frames.follow(feature)
    torch.testing.assert_close(frames.fuse(visible[1:], infrared[1:]), by_prompt)
    torch.testing.assert_close(method.guide(sentence).fuse(visible[1:], infrared[1:]), by_prompt)
    assert torch.equal(method.fuse(visible[1:], infrared[1:]), alone)


class Brighter(ImageMethod):
    """A method of one's own."""

    name = "brighter"

    def __init__(self, by: float = 0.1) -> None:
        super().__init__()
        self.by = by
        self.options = {"by": by}

    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        return (visible + self.by).clamp(0, 1)


def test_a_pair_is_fused_and_saved(tmp_path: Path) -> None:
    visible, infrared = pair(90, 124, batch=1)
    small = Pair("a", visible, infrared[..., ::2, ::2], False, (45, 62))
    out = Brighter(0.2)(small)
    assert torch.equal(out.fused, (visible + 0.2).clamp(0, 1)) and out.depth is None and out.caption is None
    files = out.save(tmp_path / "out", "a")
    assert files == [tmp_path / "out" / "fused" / "a.png", tmp_path / "out" / "panels" / "a.png"]
    assert all(file.is_file() for file in files)
    line = json.loads((tmp_path / "out" / "captions.jsonl").read_text())
    assert line == {"name": "a", "method": "brighter", "by": 0.2}
    with pytest.raises(InputError, match="2 names; give one for each pair"):
        out.save(tmp_path / "out", "a", "b")


def test_a_call_registers_first() -> None:
    visible, infrared = pair(batch=1)
    matrix = np.array([[1.0, 0, 3], [0, 1, 2], [0, 0, 1]])
    out = load_method("maximum")(visible, infrared, register=lambda *_: Registration(matrix, "affine", 0.9, True))
    assert out.registration is not None and out.registration[0] is not None and out.registration[0].trusted
    moved = align(
        Pair("", visible, infrared, False, (45, 62)), lambda *_: Registration(matrix, "affine", 0.9, True)
    ).infrared
    assert torch.equal(out.fused, maximum_fusion(visible, moved))
    with pytest.raises(InputError, match="give a pair, or a visible and an infrared image"):
        load_method("mean")(Pair("", visible, infrared, False, (45, 62)), infrared)


def test_pyramid_in_tiles_is_that_of_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    visible, infrared = pair(331, 402, 1)
    whole = laplacian_fusion(visible, infrared)
    monkeypatch.setattr(methods, "TILE", 64)
    torch.testing.assert_close(load_method("laplacian").fuse(visible, infrared), whole, atol=1e-6, rtol=0)


def test_network_in_tiles_is_that_of_the_whole_image(grdb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visible, infrared = pair(90, 111, 1)
    method = load_method("seafusion", weights=grdb)
    whole = method.fuse(visible, infrared)
    expected = GRDBFusionNetwork.from_pretrained(grdb)(luma(visible), infrared)
    inside = (rgb_to_ycbcr(whole)[:, :1] - expected).abs()[((whole > 0) & (whole < 1)).all(1, keepdim=True)]
    assert inside.numel() > 100 and inside.max() < 1e-5
    monkeypatch.setattr(methods, "TILE", 40)
    torch.testing.assert_close(method.fuse(visible, infrared), whole, atol=1e-6, rtol=0)


def test_mistakes_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fusion method: unknown 'laplace'; did you mean 'laplacian'"):
        load_method("laplace")
    for name, option in (("alpha", "levels"), ("mean", "alpha"), ("maximum-stretched", "stretched")):
        with pytest.raises(InputError, match=f"fusion method '{name}'.*{option}"):
            load_method(name, **{option: 1})
    assert load_method("mean", alpha=None).name == "mean"
    with pytest.raises(InputError, match=r"alpha 1\.5: give a weight from 0"):
        load_method("alpha", alpha=1.5)
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"seafusion: no config\.json there; give the folder of a trained"):
        load_method("seafusion")
