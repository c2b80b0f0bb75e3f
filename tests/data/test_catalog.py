from __future__ import annotations

from pathlib import Path

import pytest

from ldfusion.data.catalog import catalog, find_pairs, read_split, second_best_labels, select_pairs
from ldfusion.data.label_sets import LABEL_SETS
from ldfusion.errors import InputError


def touch(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def test_every_row_says_where_both_modalities_lie() -> None:
    rows = catalog()
    assert {"roadscene", "msrs", "llvip", "kaist", "tno", "m3fd", "folder"} <= rows.keys()
    for row in rows.values():
        assert {"root", "visible", "infrared"} <= row.keys() <= {"root", "visible", "infrared", "labels", "prefix"}
        assert all(known in LABEL_SETS for known in row.get("labels", {}).values())


def test_the_layout_of_the_data_pool(data_root: Path) -> None:
    pairs = find_pairs(data_root, "roadscene")
    assert [p.name for p in pairs] == [f"roadscene/FLIR_{k:05d}" for k in range(8)]
    assert {p.dataset for p in pairs} == {"roadscene"}
    first = pairs[0]
    assert first.visible == data_root / "roadscene" / "visible" / "FLIR_00000.png"
    assert first.infrared == data_root / "roadscene" / "infrared" / "FLIR_00000.png"
    assert first.labels == data_root / "roadscene" / "object_mask" / "FLIR_00000.png"
    assert first.label_set == "objects" and second_best_labels([first]) == []


def test_true_labels_come_before_pseudo_masks(tmp_path: Path) -> None:
    for folder in ("visible", "infrared", "object_mask"):
        touch(tmp_path / "msrs", f"{folder}/a.png", f"{folder}/b.png")
    (pseudo, _) = find_pairs(tmp_path, "msrs")
    assert pseudo.labels == tmp_path / "msrs/object_mask/a.png" and pseudo.label_set == "objects"
    (remark,) = second_best_labels([pseudo, pseudo])
    assert remark == f"{tmp_path}/msrs/labels: no such folder; masks of 'msrs' are those of object_mask"
    touch(tmp_path / "msrs", "labels/a.png")
    (true, without) = find_pairs(tmp_path, "msrs")
    assert true.labels == tmp_path / "msrs/labels/a.png" and true.label_set == "msrs"
    assert second_best_labels([true]) == []
    # the folder is there, so what it lacks has no label
    assert without.labels is None and without.label_set == "" and second_best_labels([without]) == []


def test_any_folder_with_two_subfolders(data_root: Path) -> None:
    assert [p.name for p in find_pairs(data_root / "roadscene", "folder")][:2] == [
        "folder/FLIR_00000",
        "folder/FLIR_00001",
    ]


def test_sequences_become_part_of_the_name(tmp_path: Path) -> None:
    for sequence in ("set00/V000", "set00/V001", "set01/V000"):
        touch(tmp_path / "KAIST", f"{sequence}/visible/I00000.jpg", f"{sequence}/lwir/I00000.jpg")
    names = [p.name for p in find_pairs(tmp_path, "kaist")]
    assert names == ["kaist/set00/V000/I00000", "kaist/set00/V001/I00000", "kaist/set01/V000/I00000"]


def test_prefixes_are_cut_off(tmp_path: Path) -> None:
    touch(tmp_path / "TNO", "VIS/VIS01.png", "IR/IR01.png", "VIS/VIS02.png")
    (pair,) = find_pairs(tmp_path, "tno")
    assert (pair.name, pair.infrared.name, pair.labels) == ("tno/01", "IR01.png", None)


def test_what_is_no_image_or_hidden_is_passed_over(tmp_path: Path) -> None:
    for folder in ("visible", "infrared"):
        touch(tmp_path / folder, "a.PNG", "Thumbs.db", "._a.png", "notes.txt")
    assert [p.name for p in find_pairs(tmp_path, "folder")] == ["folder/a"]


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "visible/a.png", "visible/a.jpg", "infrared/a.png")
    with pytest.raises(InputError, match=r"visible: both a\.jpg and a\.png"):
        find_pairs(tmp_path, "folder")


def test_a_split_decides_on_order_and_content(data_root: Path, tmp_path: Path) -> None:
    assert len(select_pairs(data_root, ["roadscene"], "splits/train.txt")) == 6
    assert [p.name[-1] for p in select_pairs(data_root, ["roadscene"], "splits/val.txt")] == ["6", "7"]
    assert len(select_pairs(data_root, ["roadscene"], "")) == 8
    assert [p.name[-1] for p in select_pairs(data_root, ["roadscene"], "splits/train.txt", limit=2)] == ["0", "1"]
    split = tmp_path / "mine.txt"
    split.write_text("roadscene/FLIR_00005\r\n\r\nmsrs/elsewhere\r\nroadscene/FLIR_00002\r\n")
    assert read_split(split) == ["roadscene/FLIR_00005", "msrs/elsewhere", "roadscene/FLIR_00002"]
    assert [p.name[-1] for p in select_pairs(data_root, ["roadscene"], str(split))] == ["5", "2"]


@pytest.mark.parametrize(
    ("datasets", "split", "expected"),
    [
        (["roadscne"], "", "unknown data set 'roadscne'; did you mean 'roadscene'"),
        (["msrs"], "", "no such folder"),
        (["roadscene"], "splits/none.txt", "no such split file"),
        ([], "splits/train.txt", "names no pair"),
    ],
)
def test_errors_name_what_is_missing(data_root: Path, datasets: list[str], split: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        select_pairs(data_root, datasets, split)


def test_a_missing_root_and_names_without_files(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.root is empty"):
        select_pairs("", ["roadscene"], "")
    with pytest.raises(InputError, match=r"nowhere: no such folder \(data\.root\)"):
        select_pairs(tmp_path / "nowhere", ["roadscene"], "")
    split = tmp_path / "split.txt"
    split.write_text("roadscene/FLIR_00001\nroadscene/lost\nroadscene/gone\n")
    with pytest.raises(InputError, match="2 pairs have no files, the first is 'roadscene/lost'"):
        select_pairs(data_root, ["roadscene"], str(split))
    (tmp_path / "visible").mkdir()
    with pytest.raises(InputError, match="no pair found"):
        find_pairs(tmp_path, "folder")


def test_rows_of_ones_own(tmp_path: Path) -> None:
    touch(tmp_path, "mine/colour/a.png", "mine/heat/a.png", "mine/heat/b.png")
    file = tmp_path / "own.yaml"
    file.write_text("mine: {root: mine, visible: colour, infrared: heat}\n")
    assert [pair.name for pair in find_pairs(tmp_path, "mine", file)] == ["mine/a"]
    assert [pair.name for pair in select_pairs(tmp_path, ["mine"], "", more=file)] == ["mine/a"]
    assert catalog().keys() < catalog(file).keys()
    with pytest.raises(InputError, match="unknown data set 'mine'"):
        find_pairs(tmp_path, "mine")
    for text, part in (
        ("mine: [1]", "give rows like"),
        ("mine: {root: mine, visible: colour}", "mine: 'infrared' is missing"),
        ("mine: {root: mine, visibel: colour, infrared: heat}", "unknown key 'visibel'; did you mean 'visible'"),
        ("mine: {", "cannot be read"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=part):
            catalog(file)
