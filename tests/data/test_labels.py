from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ldfusion.data.labels import depth_label_path, read_captions, read_depth_label, read_labels
from ldfusion.errors import InputError

OBJECT = {"name": "car", "position": "left", "distance": "near"}
RECORD = {"dataset": "d", "stem": "a", "light": "day", "objects": [OBJECT], "captions": ["A car."]}


def test_records_are_found_by_the_name_of_the_pair(data_root: Path) -> None:
    records = read_captions(data_root / "captions.jsonl")
    assert len(records) == 8
    assert records["roadscene/FLIR_00001"]["objects"][0]["position"] == "right"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({k: v for k, v in RECORD.items() if k != "light"}, "key 'light' is missing"),
        (RECORD | {"captions": []}, "'captions' must be a list of at least one sentence"),
        (RECORD | {"captions": "A car."}, "'captions' must be a list"),
        (RECORD | {"objects": [{"name": "car", "position": "left"}]}, "key 'distance' of an object is missing"),
        ([1], "not a JSON object"),
    ],
)
def test_a_record_that_cannot_be_used_names_its_line(tmp_path: Path, record: Any, expected: str) -> None:
    file = tmp_path / "captions.jsonl"
    file.write_text(f"{json.dumps(RECORD)}\n\n{json.dumps(record)}\n")
    with pytest.raises(InputError, match=rf"line 3: .*{expected}"):
        read_captions(file)


def test_files_that_are_not_there_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such caption file \(data\.captions\)"):
        read_captions(tmp_path / "none.jsonl")
    file = tmp_path / "captions.jsonl"
    file.write_text('{"dataset": \n')
    with pytest.raises(InputError, match="line 1: not JSON"):
        read_captions(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_captions(file)


def test_depth_labels(tmp_path: Path) -> None:
    file = depth_label_path(tmp_path, "kaist/set00/V000/I1", "visible")
    assert file == tmp_path / "kaist" / "depth_visible" / "set00/V000/I1.npy"
    with pytest.raises(InputError, match=r"no depth label.*prepare_data\.py depth"):
        read_depth_label(tmp_path, "kaist/set00/V000/I1", "visible")
    file.parent.mkdir(parents=True)
    np.save(file, np.full((3, 5), 0.5, np.float16))
    label = read_depth_label(tmp_path, "kaist/set00/V000/I1", "visible")
    assert label.dtype == np.float32 and label.shape == (3, 5) and (label == 0.5).all()


def test_label_images(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 8], [255, 2, 3]], np.uint8)
    grey = Image.fromarray(ids)
    palette = Image.fromarray(ids, mode="P")
    palette.putpalette([k % 251 for k in range(768)])
    images = {"grey": grey, "palette": palette, "three": Image.merge("RGB", [grey] * 3)}
    images["alpha"] = Image.merge("LA", [grey, Image.new("L", grey.size, 77)])
    for name, image in images.items():
        image.save(tmp_path / f"{name}.png")
        assert np.array_equal(read_labels(tmp_path / f"{name}.png").numpy(), ids), name


def test_a_label_image_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    with pytest.raises(InputError, match=r"a\.png: no such label image"):
        read_labels(file)
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (40, 40), np.uint8)).save(whole)
    for content in (b"", b"not an image", whole.read_bytes()[:200]):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.png: not a readable label image") as caught:
            read_labels(file)
        assert "\n" not in str(caught.value)
    Image.fromarray(np.stack([np.arange(64, dtype=np.uint8).reshape(8, 8)] * 2 + [np.zeros((8, 8), np.uint8)], 2)).save(
        file
    )
    with pytest.raises(InputError, match="has colours"):
        read_labels(file)


def test_a_depth_label_that_cannot_be_used(tmp_path: Path) -> None:
    file = depth_label_path(tmp_path, "d/a", "infrared")
    file.parent.mkdir(parents=True)
    for content in (b"", b"not an array", b"\x93NUMPY\x01\x00"):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.npy: not a readable \.npy file"):
            read_depth_label(tmp_path, "d/a", "infrared")
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)  # would run code if it were unpickled
    with pytest.raises(InputError, match="not a readable"):
        read_depth_label(tmp_path, "d/a", "infrared")
    np.save(file, np.zeros((2, 3, 4), np.float32))
    with pytest.raises(InputError, match=r"a depth label is \(h, w\), this one \(2, 3, 4\)"):
        read_depth_label(tmp_path, "d/a", "infrared")
