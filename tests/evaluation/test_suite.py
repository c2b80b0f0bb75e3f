from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.errors import InputError
from ldfusion.evaluation.metrics import DEFAULT, compute_metrics
from ldfusion.evaluation.suite import evaluate_files, evaluate_pairs, evaluate_tensors, luma_codes

SIZE = (44, 50)


def write(path: Path, seed: int, channels: int = 1, size: tuple[int, int] = SIZE) -> np.ndarray:
    shape = size if channels == 1 else (*size, channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for number, stem in enumerate(["a", "b", "c"]):
        write(tmp_path / "visible" / f"{stem}.png", number, 3)
        write(tmp_path / "infrared" / f"{stem}.png", 10 + number)
        write(tmp_path / "ours" / f"{stem}.png", 20 + number, 3)
    return tmp_path


def test_scores_of_files(folders: Path) -> None:
    table = evaluate_pairs({"ours": folders / "ours"}, folders / "visible", folders / "infrared")
    assert table.metrics == DEFAULT and table.problems == []
    grey = [np.asarray(Image.open(folders / kind / "b.png").convert("L")) for kind in ("ours", "visible", "infrared")]
    colours = [
        torch.from_numpy(np.array(Image.open(folders / kind / "b.png"))).permute(2, 0, 1)[None]
        for kind in ("ours", "visible")
    ]
    expected = compute_metrics(
        *(torch.from_numpy(image.copy()).float()[None, None] for image in grey), colours=(colours[0], colours[1])
    )
    assert expected["colour"].item() > 10
    for name, value in expected.items():
        if value.isnan():  # MS-SSIM of an image this small
            assert table.methods["ours"].rows["b"][name] is None
            continue
        # Pillow computes its luma in steps of 2^-16, which rounds a few pixels in a thousand the other way.
        assert table.methods["ours"].rows["b"][name] == pytest.approx(value.item(), rel=1e-3)
    assert table.methods["ours"].mean("EN") == pytest.approx(
        sum(table.methods["ours"].rows[stem]["EN"] for stem in "abc") / 3
    )


def test_tensors_score_like_the_files_they_are_written_to(folders: Path) -> None:
    def load(kind: str, stem: str) -> torch.Tensor:
        pixels = torch.from_numpy(np.array(Image.open(folders / kind / f"{stem}.png"))) / 255
        return pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None]

    images = {kind: [load(kind, stem) for stem in "abc"] for kind in ("ours", "visible", "infrared")}
    memory = evaluate_tensors({"ours": images["ours"]}, images["visible"], images["infrared"], names=list("abc"))
    files = evaluate_pairs({"ours": folders / "ours"}, folders / "visible", folders / "infrared")
    assert memory.methods["ours"].rows == files.methods["ours"].rows


def test_a_grey_image_has_no_colour_error(folders: Path) -> None:
    for stem in "abc":
        write(folders / "grey" / f"{stem}.png", 7)
    Image.open(folders / "grey" / "a.png").convert("RGB").save(folders / "grey" / "a.png")
    methods = {"ours": folders / "ours", "grey": folders / "grey"}
    table = evaluate_pairs(methods, folders / "visible", folders / "infrared", metrics=["colour", "EN"])
    assert table.methods["ours"].mean("colour") > 10 and table.methods["grey"].mean("colour") is None
    assert table.notes() == ["n/a: colour of grey, a, b, c: the fused or the visible image is grey"]
    tensors = torch.rand(1, 20, 20), torch.rand(3, 20, 20)
    for fused, visible in (tensors, tensors[::-1]):
        memory = evaluate_tensors({"m": [fused]}, [visible], [tensors[0]], metrics=["colour"])
        assert memory.methods["m"].rows["0"]["colour"] is None


def test_missing_fused_image_is_one_line(folders: Path) -> None:
    write(folders / "other" / "a.png", 5, 3)
    methods = {"ours": folders / "ours", "other": folders / "other"}
    table = evaluate_pairs(methods, folders / "visible", folders / "infrared", metrics=["EN", "SD"])
    assert list(table.methods["ours"].rows) == ["a", "b", "c"] and list(table.methods["other"].rows) == ["a"]
    assert table.problems == [f"{folders / 'other'}: no fused image for b, c"]


def test_bad_images_are_named_and_the_others_evaluated(folders: Path) -> None:
    write(folders / "ours" / "a.png", 1, 3, size=(40, 50))
    (folders / "visible" / "b.png").write_bytes(b"not an image")
    table = evaluate_pairs({"ours": folders / "ours"}, folders / "visible", folders / "infrared", metrics=["EN"])
    assert list(table.methods["ours"].rows) == ["c"]
    size, unreadable = table.problems
    assert "a.png" in size and "50x40" in size and "50x44" in size
    assert "b.png" in unreadable and "\n" not in unreadable


def test_files_from_anywhere_under_names_of_ones_own(folders: Path) -> None:
    visible, infrared = folders / "visible", folders / "infrared"
    pairs = [(f"set/{stem}", visible / f"{stem}.png", infrared / f"{stem}.png") for stem in "ab"]
    fused = {"ours": {"set/a": folders / "ours" / "a.png", "set/b": folders / "ours" / "b.png"}, "part": {}}
    fused["part"]["set/b"] = folders / "ours" / "b.png"
    table = evaluate_files(fused, pairs, ["EN"])
    assert list(table.methods["ours"].rows) == ["set/a", "set/b"] and list(table.methods["part"].rows) == ["set/b"]
    assert table.problems == ["part: no fused image for set/a"]
    whole = evaluate_pairs({"ours": folders / "ours"}, visible, infrared, ["EN"])
    assert table.methods["ours"].rows["set/b"] == whole.methods["ours"].rows["b"]


def test_single_files(folders: Path) -> None:
    table = evaluate_pairs(
        {"ours": folders / "ours" / "a.png"}, folders / "visible" / "b.png", folders / "infrared" / "c.png", ["CC"]
    )
    assert list(table.methods["ours"].rows) == ["b"]


def test_infrared_of_another_size_is_resized(folders: Path) -> None:
    write(folders / "infrared" / "a.png", 3, size=(88, 100))
    table = evaluate_pairs({"ours": folders / "ours"}, folders / "visible", folders / "infrared", metrics=["MI"])
    assert len(table.methods["ours"].rows) == 3 and table.problems == []


def test_nothing_to_evaluate_and_unknown_metric(folders: Path) -> None:
    write(folders / "elsewhere" / "z.png", 1)
    with pytest.raises(InputError, match="no fused image for a"):
        evaluate_pairs({"ours": folders / "elsewhere"}, folders / "visible", folders / "infrared")
    with pytest.raises(InputError, match=r"'Qab'.*Qabf"):
        evaluate_pairs({"ours": folders / "ours"}, folders / "visible", folders / "infrared", metrics=["Qab"])


def test_luma_codes_round_half_up() -> None:
    grey = torch.tensor([[[10.5, 11.5, 12.5, 255.9, -1.0]]]) / 255
    assert luma_codes(grey).flatten().tolist() == [11, 12, 13, 255, 0]
    assert luma_codes(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)).item() == 76
