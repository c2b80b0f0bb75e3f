"""Which files belong together, by the ways people name them."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ldfusion.errors import InputError
from ldfusion.io.marks import split_mark
from ldfusion.io.pairing import PairList, match_pairs


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_two_files_make_one_pair_named_by_the_visible(tmp_path: Path) -> None:
    touch(tmp_path, "day.jpg", "thermal.tiff")
    pairs = match_pairs(tmp_path / "day.jpg", str(tmp_path / "thermal.tiff"))
    assert list(pairs) == [("day", tmp_path / "day.jpg", tmp_path / "thermal.tiff")]
    assert pairs.report() == []


def test_folders_match_by_stem_whatever_the_suffix(tmp_path: Path) -> None:
    visible = touch(tmp_path / "visible", "b.png", "a.JPG", "A.png", "c.bmp", "C.webp", "notes.txt", ".hidden.png")
    infrared = touch(tmp_path / "infrared", "a.tiff", "b.png", "d.png", "e.tif")
    (visible / "sub.png").mkdir()
    pairs = match_pairs(visible, infrared)
    assert isinstance(pairs, PairList)
    assert [name for name, _, _ in pairs] == ["a", "b"]
    assert pairs[0] == ("a", visible / "a.JPG", infrared / "a.tiff")
    assert pairs[1:] == (("b", visible / "b.png", infrared / "b.png"),)
    assert pairs.unmatched_visible == ("A", "C", "c")
    assert pairs.unmatched_infrared == ("d", "e")
    assert pairs.report() == [
        "3 visible images have no infrared image of the same name: A, C, c",
        "2 infrared images have no visible image of the same name: d, e",
    ]


def test_report_shortens_a_long_list(tmp_path: Path) -> None:
    visible = touch(tmp_path / "v", *(f"{index}.png" for index in range(9)))
    infrared = touch(tmp_path / "i", "0.png")
    (line,) = match_pairs(visible, infrared).report()
    assert line.endswith("1, 2, 3, 4, 5 and 3 more")


def test_bad_pairs_are_refused_in_one_line(tmp_path: Path) -> None:
    visible = touch(tmp_path / "visible", "a_x.png", "b_x.png")
    infrared = touch(tmp_path / "infrared", "a_y.png")
    empty = touch(tmp_path / "empty", "readme.txt")
    twice = touch(tmp_path / "twice", "a.png", "a.jpg")
    cases = [
        ((tmp_path / "nowhere", infrared), "nowhere: no such file or folder"),
        ((visible, infrared / "a_y.png"), "give two files or two folders"),
        ((visible, infrared), r"\(a_x, b_x\) matches one in .*\(a_y\); give both images of a pair the same name"),
        ((empty, infrared), "empty holds no image"),
        ((twice, infrared), "holds both a.jpg and a.png"),
    ]
    for arguments, message in cases:
        with pytest.raises(InputError, match=message):
            match_pairs(*arguments)


WAYS = [
    ("x_vis.png", "x_ir.png"),
    ("x_rgb.jpg", "x_thermal.tiff"),
    ("VIS_x.png", "IR_x.png"),
    ("DJI_20260101120000_0001_W.JPG", "DJI_20260101120000_0001_T.JPG"),
    ("DJI_0003_V.JPG", "DJI_0003_T.JPG"),
    ("FLIR0001_RGB.jpg", "FLIR0001.jpg"),
    ("a b_color.png", "a b_thermal.png"),
    ("scene-visible.png", "scene-infrared.png"),
    ("X_VIS.PNG", "x_ir.png"),
    ("cafe\u0301_rgb.png", "caf\u00e9_ir.png"),
]


@pytest.mark.parametrize(("visible", "infrared"), WAYS)
@pytest.mark.parametrize("folders", [1, 2])
def test_marks_in_names(tmp_path: Path, visible: str, infrared: str, folders: int) -> None:
    first = touch(tmp_path / "first", visible, "y_vis.png")
    second = touch(tmp_path / ("second" if folders == 2 else "first"), infrared, "y_ir.png")
    pairs = match_pairs(first, second if folders == 2 else None)
    assert len(pairs) == 2 and pairs.report() == []
    assert (Path(visible).stem, first / visible, second / infrared) in list(pairs)
    assert pairs.rule.startswith("paired by the marks in their names: ")
    assert f"{Path(visible).stem} with {Path(infrared).stem}" in pairs.rule


def test_case_encoding_and_suffix_do_not_matter(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Stra\u00dfe \u00e9t\u00e9")
    visible = touch(tmp_path / "v", f"{decomposed}.JPG", "B.png")
    infrared = touch(tmp_path / "i", unicodedata.normalize("NFC", f"{decomposed}.tiff"), "b.png")
    assert [name for name, _, _ in match_pairs(visible, infrared)] == sorted([decomposed, "B"])


def test_names_that_cannot_be_told_apart(tmp_path: Path) -> None:
    both = touch(tmp_path / "both", "a_vis.png", "a_rgb.png", "a_ir.png")
    with pytest.raises(InputError, match=r"holds both a_rgb\.png and a_vis\.png; keep one image for each name"):
        match_pairs(both)
    with pytest.raises(InputError, match=r"holds both a_rgb\.png and a_vis\.png"):
        match_pairs(touch(tmp_path / "v", "a_vis.png", "a_rgb.png"), touch(tmp_path / "i", "a_ir.png"))
    three = touch(tmp_path / "three", "a.png", "a_vis.png", "a_ir.png")
    with pytest.raises(InputError, match=r"a\.png, a_vis\.png and a_ir\.png could be one pair"):
        match_pairs(three)
    with pytest.raises(InputError, match=r"holds no pairs \(a\.png, b\.png\): .* mark them like a_vis and a_ir"):
        match_pairs(touch(tmp_path / "none", "a.png", "b.png"))


def test_equal_names_go_before_marks(tmp_path: Path) -> None:
    visible = touch(tmp_path / "v", "a_rgb.png", "a.png")
    infrared = touch(tmp_path / "i", "a_rgb.png")
    pairs = match_pairs(visible, infrared)
    assert [name for name, _, _ in pairs] == ["a_rgb"] and pairs.rule == ""
    assert pairs.unmatched_visible == ("a",)


def test_subfolders(tmp_path: Path) -> None:
    visible = touch(tmp_path / "v", "a.png", "north/a.png", "north/far/b.png", ".hidden/c.png")
    infrared = touch(tmp_path / "i", "a.png", "north/a.png", "north/far/b.png")
    pairs = match_pairs(visible, infrared)
    assert [name for name, _, _ in pairs] == ["a"]
    assert pairs.report() == ["2 subfolders are passed over (--recursive looks into them)"]
    pairs = match_pairs(visible, infrared, recursive=True)
    assert [name for name, _, _ in pairs] == ["a", "north__a", "north__far__b"] and pairs.report() == []
    assert pairs[1][1:] == (visible / "north/a.png", infrared / "north/a.png")
    only = touch(tmp_path / "only", "sub/a.png")
    with pytest.raises(InputError, match=r"only holds no image .*; --recursive looks into its subfolders"):
        match_pairs(only, infrared)
    touch(visible, "north__a.png")
    touch(infrared, "north__a.png")
    with pytest.raises(InputError, match=r"holds both a\.png and north__a\.png"):
        match_pairs(visible, infrared, recursive=True)


def test_one_folder_of_two_subfolders(tmp_path: Path) -> None:
    touch(tmp_path / "set" / "RGB", "a.png", "b.png")
    touch(tmp_path / "set" / "thermal", "a.png")
    pairs = match_pairs(tmp_path / "set")
    assert list(pairs) == [("a", tmp_path / "set/RGB/a.png", tmp_path / "set/thermal/a.png")]
    assert pairs.unmatched_visible == ("b",)


def test_one_folder_of_thermal_files_with_their_photos(tmp_path: Path, camera_files: ModuleType) -> None:
    folder = touch(tmp_path / "flir")
    photo = np.full((96, 128, 3), 90, np.uint8)
    for k in range(2):
        block = camera_files.fff_block(np.full((48, 64), 16000 + k, np.uint16), photo)
        (folder / f"FLIR000{k}.jpg").write_bytes(camera_files.flir_jpeg(block, photo))
    pairs = match_pairs(folder)
    assert list(pairs) == [(f"FLIR000{k}", folder / f"FLIR000{k}.jpg", folder / f"FLIR000{k}.jpg") for k in range(2)]
    assert pairs.rule == "2 thermal files with their own photo"
    assert match_pairs(folder / "FLIR0000.jpg")[0] == pairs[0]


@pytest.mark.parametrize("stem", ["photo", "t", "_t", "ir", "vista_point", "12_vt", "firefighter_01"])
def test_what_is_no_mark(stem: str) -> None:
    assert split_mark(stem) == (stem, "", None)
