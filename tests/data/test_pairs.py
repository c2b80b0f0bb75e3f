from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ldfusion.config import DataConfig
from ldfusion.data.catalog import PairFiles
from ldfusion.data.pairs import (
    PairDataset,
    StepSampler,
    build_dataset,
    collate,
    sample_seed,
    to_device,
    validation_loader,
)
from ldfusion.errors import InputError

LABELS = {"depth": True, "masks": True, "captions": True}


@pytest.fixture
def data(data_root: Path) -> DataConfig:
    return DataConfig(
        root=str(data_root), datasets=["roadscene"], val_datasets=["roadscene"], labels=str(data_root / "labels"),
        crop=[48, 64], scale=[0.8, 1.6],
    )  # fmt: skip


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[key]) if isinstance(value, torch.Tensor) else value == second[key]
        for key, value in first.items()
    )


def test_what_an_item_holds(data: DataConfig) -> None:
    item = build_dataset(data, 0, True, **LABELS)[0]
    assert item["visible"].shape == (3, 48, 64) and item["infrared"].shape == (1, 48, 64)
    for key in ("visible", "infrared"):
        assert item[key].dtype == torch.float32 and 0 <= item[key].min() and item[key].max() <= 1
    assert item["depth_visible"].shape == item["depth_infrared"].shape == (1, 48, 64)
    assert item["mask"].shape == (48, 64) and item["mask"].dtype == torch.int64
    assert set(item["mask"].unique().tolist()) <= {0, 2}
    assert item["name"] == "roadscene/FLIR_00000"
    assert item["caption"] in item["captions"] and len(item["captions"]) == 3
    assert item["facts"].keys() == {"light", "scene", "objects"}
    assert item["mask_classes"] == 4
    assert build_dataset(data, 0, True)[0].keys() == {"visible", "infrared", "name", "seed"}


def test_the_same_key_gives_the_same_sample_whoever_asks(data: DataConfig) -> None:
    first, second = (build_dataset(data, 3, True, **LABELS) for _ in range(2))
    second[0]  # an earlier read must not matter
    second[(4, 5)]
    assert same(first[(7, 2)], second[(7, 2)])
    assert same(first[(0, 2)], second[2])
    uncached = PairDataset(first.files, dataclasses.replace(data, cache=False), 3, True, **LABELS)
    assert same(first[(7, 2)], uncached[(7, 2)])
    assert not uncached._cache


def test_epochs_and_seeds_change_the_sample(data: DataConfig) -> None:
    dataset = build_dataset(data, 3, True)
    items = [dataset[(0, 2)], dataset[(1, 2)], build_dataset(data, 4, True)[(0, 2)]]
    assert len({item["seed"] for item in items}) == 3
    assert not torch.equal(items[0]["visible"], items[1]["visible"])
    assert not torch.equal(items[0]["visible"], items[2]["visible"])


def test_a_mirror_image_mirrors_words_positions_mask_and_depth_together(data: DataConfig) -> None:
    plain_settings = {"scale": [1.0, 1.0], "full_frame": True, "jitter": 0.0, "crop": [80, 96]}
    plain, mirrored = (
        build_dataset(dataclasses.replace(data, flip=flip, **plain_settings), 0, True, **LABELS)[1]
        for flip in (0.0, 1.0)
    )
    for key in ("visible", "infrared", "mask", "depth_visible", "depth_infrared"):
        assert torch.equal(mirrored[key], plain[key].flip(-1)), key
    middle = plain["mask"].shape[-1] // 2
    assert (plain["mask"][:, :middle] == 2).sum() == 0 < (plain["mask"][:, middle:] == 2).sum()
    assert [thing["position"] for thing in plain["facts"]["objects"]] == ["right", "center"]
    assert [thing["position"] for thing in mirrored["facts"]["objects"]] == ["left", "center"]
    for text, other in zip(
        [*plain["captions"], plain["caption"], plain["facts"]["scene"]],
        [*mirrored["captions"], mirrored["caption"], mirrored["facts"]["scene"]],
        strict=True,
    ):
        assert "right" in text and "left" not in text and other == text.replace("right", "left")


def test_the_window_of_the_depth_labels_is_that_of_the_image(tmp_path: Path) -> None:
    """Image and label hold the same ramps, the label at another resolution: they must agree in every window."""
    x = (np.arange(200) + 0.5) / 200
    y = (np.arange(150) + 0.5) / 150
    ramps = {"visible": np.broadcast_to(x[None], (150, 200)), "infrared": np.broadcast_to(y[:, None], (150, 200))}
    for modality, image in ramps.items():
        (tmp_path / modality).mkdir()
        cv2.imwrite(str(tmp_path / modality / "a.png"), (image * 255).round().astype(np.uint8))
        (tmp_path / "labels" / "folder" / f"depth_{modality}").mkdir(parents=True)
        label = cv2.resize(image, (134, 112), interpolation=cv2.INTER_LINEAR)
        np.save(tmp_path / "labels" / "folder" / f"depth_{modality}" / "a.npy", label.astype(np.float32))
    data = DataConfig(
        root=str(tmp_path), datasets=["folder"], train_split="", labels=str(tmp_path / "labels"),
        crop=[64, 64], scale=[0.6, 2.0], jitter=0.0,
    )  # fmt: skip
    dataset = build_dataset(data, 0, True, depth=True)
    for epoch in range(20):
        item = dataset[(epoch, 0)]
        # 1/255 for the image's grey levels, 1/200 (a pixel) for the two resizes of the label
        for image, label in (
            (item["visible"][0], item["depth_visible"][0]),
            (item["infrared"][0], item["depth_infrared"][0]),
        ):
            assert (image - label)[3:-3, 3:-3].abs().max() < 1 / 255 + 1 / 200


def test_the_other_pair_is_another_one_and_drawn_by_the_seed(data: DataConfig) -> None:
    dataset = build_dataset(dataclasses.replace(data, flip=0.0), 0, True, captions=True)
    seen = set()
    for epoch in range(12):
        item = dataset[(epoch, 2)]
        assert item["other"]["captions"] != item["captions"]
        seen.add(item["other"]["captions"][0])
    assert len(seen) > 2
    alone = build_dataset(dataclasses.replace(data, limit=1, flip=0.0), 0, True, captions=True)[0]
    assert alone["other"]["captions"] == alone["captions"]


def test_validation_takes_whole_frames_without_chance(data: DataConfig, data_root: Path) -> None:
    dataset = build_dataset(data, 0, False)
    assert len(dataset) == 2
    assert torch.equal(dataset[(0, 1)]["visible"], dataset[(9, 1)]["visible"])
    assert dataset[0]["visible"].shape == (3, 48, 64)
    native = build_dataset(data, 0, False, native=True, masks=True, depth=True)[0]
    image = cv2.imread(str(data_root / "roadscene" / "visible" / "FLIR_00006.png"))[..., ::-1]
    assert torch.equal((native["visible"] * 255).round().byte(), torch.from_numpy(image.copy()).permute(2, 0, 1))
    assert native["mask"].shape == native["depth_visible"].shape[1:] == (80, 96)


def test_a_pair_without_a_mask_is_unknown_everywhere(data: DataConfig) -> None:
    files = [PairFiles(f.name, f.visible, f.infrared) for f in build_dataset(data, 0, True).files]
    assert (PairDataset(files, data, masks=True)[0]["mask"] == 255).all()


def test_an_infrared_image_of_another_size_is_resized_along(data: DataConfig, tmp_path: Path) -> None:
    files = build_dataset(data, 0, False).files[0]
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), cv2.resize(cv2.imread(str(files.infrared), 0), (48, 40), interpolation=cv2.INTER_AREA))
    other = dataclasses.replace(files, infrared=small)
    first, second = (PairDataset([f], data, train=False, native=True)[0]["infrared"] for f in (files, other))
    assert first.shape == second.shape == (1, 80, 96)
    assert (first - second).abs().mean() < 0.03


def test_missing_labels_stop_before_the_first_step(data: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.labels is empty"):
        build_dataset(dataclasses.replace(data, labels=""), 0, True, depth=True)
    with pytest.raises(InputError, match=r"FLIR_00000\.npy: no depth label; 12 of 12 are missing; make them with"):
        build_dataset(dataclasses.replace(data, labels=str(tmp_path)), 0, True, depth=True)
    (tmp_path / "some.jsonl").write_text("")
    with pytest.raises(InputError, match="no captions for 6 pairs, the first is 'roadscene/FLIR_00000'"):
        build_dataset(dataclasses.replace(data, captions=os.fspath(tmp_path / "some.jsonl")), 0, True, captions=True)


def test_rendered_scenes_join_the_training_pairs(data: DataConfig) -> None:
    mixed = dataclasses.replace(data, synthetic=2, limit=1)
    dataset = build_dataset(mixed, 0, True, **LABELS)
    assert len(dataset) == 3 and len(build_dataset(mixed, 0, False)) == 1
    item, again = dataset[(1, 2)], build_dataset(mixed, 0, True, **LABELS)[(1, 2)]
    assert same(item, again)
    assert item.keys() == dataset[0].keys() and item["name"] == "synthetic/00001"
    assert item["visible"].shape == (3, 48, 64) and item["depth_infrared"].shape == (1, 48, 64)
    assert item["caption"] in item["captions"] and {"light", "objects"} <= item["facts"].keys()
    assert all({"name", "position", "distance"} <= thing.keys() for thing in item["facts"]["objects"])


def test_the_light_of_rendered_scenes(data: DataConfig) -> None:
    night = dataclasses.replace(data, synthetic=4, limit=1, lights=["unlit", "night"])
    dataset = build_dataset(night, 5, True, **LABELS)
    assert [dataset[k]["facts"]["light"] for k in range(1, 5)] == ["night"] * 4  # words know no unlit nights
    assert dataset.rendered is not None
    names = [dataset.rendered[k]["name"] for k in range(4)]
    assert [name.split("-")[1] for name in names] == ["unlit", "night", "unlit", "night"]
    assert names[0].startswith("synthetic/street") and names[2].startswith("synthetic/street")
    with pytest.raises(InputError, match="unknown light 'noon'"):
        build_dataset(dataclasses.replace(night, lights=["day", "noon"]), 0, True)


def test_batches(data: DataConfig) -> None:
    dataset = build_dataset(data, 0, True, **LABELS)
    batch = collate([dataset[k] for k in range(3)])
    assert batch["visible"].shape == (3, 3, 48, 64) and batch["mask"].shape == (3, 48, 64)
    assert batch["seed"].dtype == torch.int64 and batch["seed"].tolist() == [dataset[k]["seed"] for k in range(3)]
    assert len(batch["name"]) == len(batch["captions"]) == len(batch["facts"]) == 3
    moved = to_device(batch, torch.device("meta"))
    assert moved["visible"].is_meta and moved["seed"].is_meta and moved["captions"] is batch["captions"]
    names = [name for batch in validation_loader(build_dataset(data, 0, False)) for name in batch["name"]]
    assert names == ["roadscene/FLIR_00006", "roadscene/FLIR_00007"]


def test_seeds_are_63_bits_and_differ() -> None:
    seeds = {sample_seed(a, b, c) for a in range(5) for b in range(5) for c in range(5)}
    assert len(seeds) == 125
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert sample_seed(1, 2) != sample_seed(2, 1)


def test_every_pair_comes_once_an_epoch_in_a_new_order() -> None:
    keys = [key for step in StepSampler(6, 4, seed=0, start=0, stop=6) for key in step]
    assert [epoch for epoch, _ in keys] == [k // 6 for k in range(24)]
    orders = [[index for epoch, index in keys if epoch == e] for e in range(4)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len(set(map(tuple, orders))) > 1
    assert keys != [key for step in StepSampler(6, 4, seed=1, start=0, stop=6) for key in step]


def test_a_resumed_sampler_reads_on_where_it_stopped() -> None:
    whole = list(StepSampler(5, 4, seed=2, start=0, stop=9))
    for start in (0, 3, 8, 9):
        tail = StepSampler(5, 4, seed=2, start=start, stop=9)
        assert list(tail) == whole[start:]
        assert len(tail) == 9 - start


@pytest.mark.parametrize("world", [2, 3, 6])
def test_processes_together_see_what_one_would_see(world: int) -> None:
    whole = list(StepSampler(7, 6, seed=2, start=1, stop=5))
    parts = [list(StepSampler(7, 6, seed=2, start=1, stop=5, rank=rank, world=world)) for rank in range(world)]
    assert [[key for share in shares for key in share] for shares in zip(*parts, strict=True)] == whole


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(InputError, match=r"5 samples .* cannot be shared by 2 processes"):
        StepSampler(7, 5, seed=0, start=0, stop=1, world=2)


def test_a_damaged_mask_is_no_unknown_one(data: DataConfig, tmp_path: Path) -> None:
    """One line that names the file; only a pair without any mask is unknown everywhere."""
    dataset = build_dataset(data, 0, True, masks=True)
    pair = dataset.files[0]
    broken = tmp_path / "broken.png"
    broken.write_bytes(pair.labels.read_bytes()[:60])
    dataset.files[0] = dataclasses.replace(pair, labels=broken)
    with pytest.raises(InputError, match=r"broken\.png: not a readable label image"):
        dataset[0]
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((10, 12), np.uint8))
    dataset.files[0] = dataclasses.replace(pair, labels=small)
    with pytest.raises(InputError, match=r"small\.png: 12x10, its image 96x80; labels have the image's size"):
        dataset[0]
    dataset.files[0] = dataclasses.replace(pair, labels=None, label_set="")
    assert set(dataset[0]["mask"].unique().tolist()) == {255}


def test_true_masks_are_read_and_their_absence_is_told(
    data: DataConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("visible", "infrared", "object_mask", "labels"):
        shutil.copytree(
            Path(data.root) / "roadscene" / ("object_mask" if folder == "labels" else folder),
            tmp_path / "msrs" / folder,
        )
    for file in (tmp_path / "msrs" / "labels").iterdir():
        cv2.imwrite(str(file), np.full((80, 96), 8, np.uint8))
    own = dataclasses.replace(data, root=str(tmp_path), datasets=["msrs"], train_split="")
    batch = collate([build_dataset(own, 0, True, masks=True)[k] for k in range(2)])
    assert batch["mask_classes"].tolist() == [9, 9] and set(batch["mask"].unique().tolist()) == {8}
    assert not caplog.records
    shutil.rmtree(tmp_path / "msrs" / "labels")
    assert build_dataset(own, 0, True, masks=True)[0]["mask_classes"] == 4
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/msrs/labels: no such folder; masks of 'msrs' are those of object_mask"
    ]
