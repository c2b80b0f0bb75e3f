from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from ldfusion import weights as embedded
from ldfusion.benchmarks.base import validation_pairs
from ldfusion.benchmarks.images import given_images, image_rows, made_images
from ldfusion.errors import InputError
from ldfusion.fusion.classical import mean_fusion
from ldfusion.fusion.seafusion import GRDBFusionNetwork
from ldfusion.io.image import read_visible, write_png
from ldfusion.loading import load_pair


def test_made_images_are_the_method_s_and_are_kept(
    two_sets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = validation_pairs(two_sets)
    images = made_images("mean", pairs, tmp_path / "mean")
    assert images["msrs/2D"] == tmp_path / "mean" / "msrs_2D.png"
    assert sorted(file.name for file in (tmp_path / "mean").iterdir()) == sorted(f"{p.flat_name}.png" for p in pairs)
    pair = load_pair(pairs[3].visible, pairs[3].infrared)
    expected = mean_fusion(pair.visible, pair.infrared)[0]
    assert (read_visible(images["msrs/2D"])[0] - expected).abs().max() <= 0.51 / 255

    images["roadscene/FLIR_1"].unlink()
    write_png(images["msrs/2D"], torch.zeros(3, 48, 64))
    with caplog.at_level(logging.WARNING):
        assert made_images("mean", pairs, tmp_path / "mean") == images
    assert caplog.messages == [f"mean: 3 of 4 images were there already, in {tmp_path / 'mean'}"]
    assert images["roadscene/FLIR_1"].is_file() and read_visible(images["msrs/2D"])[0].max() == 0


def test_images_of_other_weights_are_not_taken(
    two_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    pairs = validation_pairs(two_sets)[:1]
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    network = GRDBFusionNetwork()
    network.save_pretrained(tmp_path / "seafusion")
    made_images("seafusion", pairs, tmp_path / "a")
    made_images("seafusion", pairs, tmp_path / "a")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    network.save_pretrained(tmp_path / "seafusion")
    with pytest.raises(InputError, match="holds images of other weights of 'seafusion'"):
        made_images("seafusion", pairs, tmp_path / "a")
    write_png(tmp_path / "b" / "roadscene_FLIR_1.png", torch.zeros(3, 48, 64))
    with pytest.raises(InputError, match="holds images of other weights of 'ldfusion'"):
        made_images("ldfusion", pairs, tmp_path / "b", weights)


def test_the_pipeline_of_given_weights_makes_images(two_sets: Path, tmp_path: Path, weights: str) -> None:
    from ldfusion.fusion.methods import load_method

    pairs = validation_pairs(two_sets)[:1]
    rows = image_rows(pairs, ["ldfusion"], {}, tmp_path, weights)
    pair = load_pair(pairs[0].visible, pairs[0].infrared)
    expected = load_method("ldfusion", weights=weights).fuse(pair.visible, pair.infrared)[0]
    assert (read_visible(rows["ldfusion"]["roadscene/FLIR_1"])[0] - expected).abs().max() <= 0.51 / 255


def test_given_images_go_by_their_names(two_sets: Path, tmp_path: Path) -> None:
    pairs = validation_pairs(two_sets)
    for name in ("roadscene_FLIR_1", "FLIR_1", "2D", "other"):
        write_png(tmp_path / "images" / f"{name}.png", torch.zeros(3, 48, 64))
    found = given_images(tmp_path / "images", pairs)
    assert {name: file.stem for name, file in found.items()} == {
        "roadscene/FLIR_1": "roadscene_FLIR_1",
        "msrs/2D": "2D",
    }
    with pytest.raises(InputError, match=r"no image of these pairs; names are like msrs_1D\.png"):
        given_images(tmp_path / "images", pairs[2:3])


def test_rows_that_cannot_be(two_sets: Path, tmp_path: Path) -> None:
    pairs = validation_pairs(two_sets)
    write_png(tmp_path / "given" / "1D.png", torch.zeros(3, 48, 64))
    cases: list[tuple[list[str], dict[str, Path], str]] = [
        (["mean", "maximun"], {}, "unknown 'maximun'; did you mean 'maximum'"),
        (["mean"], {"mean": tmp_path / "given"}, "two rows are called 'mean'"),
        (["mean", "mean"], {}, "two rows are called 'mean'"),
        ([], {}, "no row: give --methods or --fused"),
    ]
    for methods, given, line in cases:
        with pytest.raises(InputError, match=line):
            image_rows(pairs, methods, given, tmp_path / "made")
    assert not (tmp_path / "made").exists()
    rows = image_rows(pairs, ["mean"], {"given": tmp_path / "given"}, tmp_path / "made")
    assert list(rows) == ["mean", "given"] and list(rows["given"]) == ["msrs/1D"]
