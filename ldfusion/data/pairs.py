"""`PairDataset`: the one data set class, and the loaders that make a run a function of its seed and step alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from captioning.facts import mirror_facts
from ldfusion.config import DataConfig
from ldfusion.data.augment import Augmentation, draw, whole
from ldfusion.data.boxes import LabelBox, read_boxes, to_array
from ldfusion.data.catalog import PairFiles, second_best_labels, select_pairs
from ldfusion.data.label_sets import LABEL_SETS
from ldfusion.data.labels import depth_label_path, read_captions, read_depth_label, read_mask
from ldfusion.errors import InputError
from ldfusion.io.notices import notice

if TYPE_CHECKING:
    from ldfusion.rendering import SyntheticPairs

Key = int | tuple[int, int]


def sample_seed(*parts: int) -> int:
    """A 63-bit seed that is a function of the given whole numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


class PairDataset(Dataset[dict[str, Any]]):
    """Registered pairs of any row of ``datasets.yaml``, and rendered scenes where ``data.synthetic`` asks for them.

    An item holds ``visible`` (3, h, w) and ``infrared`` (1, h, w) float32 in [0, 1], ``name`` and ``seed``; on request
    also ``depth_visible`` and ``depth_infrared`` (1, h, w), the teacher's relative inverse depth; ``mask`` (h, w)
    int64, MSRS ids, 255 where there is no mask, with ``mask_classes``, how many ids it tells apart (9, or 4 of a
    pseudo-mask, whose background may be any other class; see `LabelSet.read`); ``boxes``, an array (n, 6), see
    `ldfusion.data.boxes`; ``captions`` (list of sentences), ``caption`` (one of them, drawn by the seed) and ``facts``,
    and as ``other`` the ``captions`` and ``facts`` of another pair, drawn by the seed.

    The key of an item is an index or ``(epoch, index)``: the same key gives the same sample, whichever process or
    loader worker asks.

    Args:
        files: what to read, from `ldfusion.data.catalog.select_pairs`.
        data: augmentation settings and label locations.
        seed: seed of the augmentation.
        train: augment; otherwise the frame is resized to ``data.crop``, or kept as it is when ``native`` is set.
        depth, masks, captions, boxes: which labels to deliver.
        native: (validation) keep the file's resolution.
    """

    def __init__(
        self,
        files: Sequence[PairFiles],
        data: DataConfig,
        seed: int = 0,
        train: bool = True,
        depth: bool = False,
        masks: bool = False,
        captions: bool = False,
        boxes: bool = False,
        native: bool = False,
    ) -> None:
        self.files = list(files)
        self.data, self.seed, self.train, self.native = data, seed, train, native
        self.depth, self.masks = depth, masks
        if masks:
            for remark in second_best_labels(self.files):
                notice(remark)
        self.records: dict[str, dict[str, Any]] = {}
        if depth:
            self._check_depth_labels()
        if captions:
            self.records = read_captions(Path(data.root) / data.captions)
            missing = [f.name for f in self.files if f.name not in self.records]
            if missing:
                raise InputError(f"{data.captions}: no captions for {len(missing)} pairs, the first is '{missing[0]}'")
        self.boxes: dict[str, list[LabelBox]] | None = None
        if boxes:
            if train and data.synthetic:
                raise InputError("data.synthetic: rendered scenes bring no boxes; set it to 0 for this stage")
            self.boxes = read_boxes(Path(data.root) / data.boxes)
            missing = [f.name for f in self.files if f.name not in self.boxes]
            if missing:
                raise InputError(f"{data.boxes}: no boxes for {len(missing)} pairs, the first is '{missing[0]}'")
        self.rendered: SyntheticPairs | None = None
        if train and data.synthetic:
            from ldfusion.rendering import SyntheticPairs

            self.rendered = SyntheticPairs(data.synthetic, seed=seed, lights=data.lights)
        scenes = len(self.rendered) if self.rendered is not None else 0
        self.names = [f.name for f in self.files] + [f"synthetic/{k:05d}" for k in range(scenes)]
        self._cache: dict[int, dict[str, np.ndarray[Any, Any]]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def _check_depth_labels(self) -> None:
        make = "make them with 'python scripts/prepare_data.py depth' (data.labels)"
        if not self.data.labels:
            raise InputError(f"data.labels is empty: this stage needs depth labels; {make}")
        labels = [
            depth_label_path(self.data.labels, files.name, modality)
            for files in self.files
            for modality in ("visible", "infrared")
        ]
        missing = [file for file in labels if not file.is_file()]
        if missing:
            raise InputError(f"{missing[0]}: no depth label; {len(missing)} of {len(labels)} are missing; {make}")

    def _read(self, index: int) -> dict[str, np.ndarray[Any, Any]]:
        if index in self._cache:
            return self._cache[index]
        item = self._render(index) if index >= len(self.files) else self._read_files(self.files[index])
        if self.data.cache:
            self._cache[index] = item
        return item

    def _render(self, index: int) -> dict[str, np.ndarray[Any, Any]]:
        assert self.rendered is not None
        scene = self.rendered[index - len(self.files)]
        if self.records:
            self.records[self.names[index]] = {**scene["facts"], "captions": scene["captions"]}
        return {
            "visible": (scene["visible"].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy(),
            "infrared": (scene["infrared"][0] * 255).round().to(torch.uint8).numpy(),
            "mask": scene["mask"].to(torch.uint8).numpy(),
            "depth_visible": scene["depth_visible"][0].float().numpy(),
            "depth_infrared": scene["depth_infrared"][0].float().numpy(),
        }

    def _read_files(self, files: PairFiles) -> dict[str, np.ndarray[Any, Any]]:
        from ldfusion.io.image import read_infrared, read_visible

        visible, _ = read_visible(files.visible)
        infrared = read_infrared(files.infrared)
        item: dict[str, np.ndarray[Any, Any]] = {
            "visible": (visible.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy(),
            "infrared": (infrared[0] * 255).round().to(torch.uint8).numpy(),
        }
        if self.masks:
            shape = (item["visible"].shape[0], item["visible"].shape[1])
            item["mask"] = read_mask(files.labels, shape)
        if self.depth:
            for modality in ("visible", "infrared"):
                label = read_depth_label(self.data.labels, files.name, modality)
                half = (max(1, label.shape[1] // 2), max(1, label.shape[0] // 2))
                item[f"depth_{modality}"] = cv2.resize(label, half, interpolation=cv2.INTER_AREA)
        return item

    def _mask_classes(self, index: int) -> int:
        known = self.files[index].label_set if index < len(self.files) else ""  # rendered: objects alone
        return len(LABEL_SETS[known or "objects"])

    def _augmentation(self, frame: tuple[int, int], seed: int) -> Augmentation:
        if self.train:
            return draw(np.random.default_rng(seed), frame, self.data)
        return whole(frame if self.native else (self.data.crop[0], self.data.crop[1]))

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        seed = sample_seed(self.seed, epoch, index)
        raw = self._read(index)
        aug = self._augmentation(raw["visible"].shape[:2], seed)
        scale = np.float32(1 / 255)
        visible = aug.photometric_visible(aug.geometry(raw["visible"]) * scale)
        infrared = aug.photometric_infrared(aug.geometry(raw["infrared"]) * scale)
        item: dict[str, Any] = {
            "visible": torch.from_numpy(visible).permute(2, 0, 1).contiguous(),
            "infrared": torch.from_numpy(infrared)[None],
            "name": self.names[index],
            "seed": seed,
        }
        if self.masks:
            item["mask_classes"] = self._mask_classes(index)
            item["mask"] = torch.from_numpy(aug.geometry(raw["mask"], cv2.INTER_NEAREST).astype(np.int64))
        if self.depth:
            for key_ in ("depth_visible", "depth_infrared"):
                item[key_] = torch.from_numpy(aug.geometry(raw[key_], cv2.INTER_LINEAR))[None]
        if self.boxes is not None:
            item["boxes"] = aug.boxes(to_array(self.boxes[self.names[index]]), raw["visible"].shape[:2])
        if self.records:
            own = self._words(index, aug.flip)
            item |= {**own, "caption": own["captions"][seed % len(own["captions"])]}
            # the step from this pair to the other one: any but 0, unless this pair is the only one
            step = 1 + seed % max(1, len(self) - 1)
            item["other"] = self._words((index + step) % len(self), aug.flip)
        return item

    def _words(self, index: int, flip: bool) -> dict[str, Any]:
        if self.names[index] not in self.records:
            self._read(index)  # a rendered scene brings its words along
        record = self.records[self.names[index]]
        if flip:
            record = mirror_facts(record)
        facts = {k: record[k] for k in ("light", "scene", "objects") if k in record}
        return {"captions": record["captions"], "facts": facts}


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack tensors, gather the rest in lists; ``seed`` becomes int64 (B,)."""
    batch: dict[str, Any] = {}
    for key, value in items[0].items():
        values = [item[key] for item in items]
        if isinstance(value, Tensor):
            batch[key] = torch.stack(values)
        elif isinstance(value, int):
            batch[key] = torch.tensor(values, dtype=torch.int64)
        else:
            batch[key] = values
    return batch


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch with its tensors on ``device``."""
    return {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Endless shuffled epochs cut into steps, as keys ``(epoch, index)``.

    Step ``k`` is a function of ``(seed, k)``: a resumed run reads on exactly where it stopped, and processes share a
    step out between them (process ``r`` of ``n`` takes samples ``r*B/n .. (r+1)*B/n``), so that their union is what a
    single process would have seen.
    """

    def __init__(
        self, length: int, batch: int, seed: int, start: int, stop: int, rank: int = 0, world: int = 1
    ) -> None:
        if batch % world:
            raise InputError(
                f"{batch} samples (train.batch / train.accumulate) cannot be shared by {world} processes: "
                f"give a multiple of {world}"
            )
        self.length, self.batch, self.seed = length, batch, seed
        self.start, self.stop, self.rank, self.world = start, stop, rank, world
        self._order: tuple[int, np.ndarray[Any, Any]] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return self.stop - self.start

    def _at(self, position: int) -> tuple[int, int]:
        epoch, place = divmod(position, self.length)
        if self._order[0] != epoch:
            rng = np.random.default_rng(sample_seed(self.seed, epoch))
            self._order = (epoch, rng.permutation(self.length))
        return epoch, int(self._order[1][place])

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        share = self.batch // self.world
        for step in range(self.start, self.stop):
            first = step * self.batch + self.rank * share
            yield [self._at(first + i) for i in range(share)]


def build_dataset(data: DataConfig, seed: int, train: bool, **options: bool) -> PairDataset:
    """The training or validation set that a configuration names."""
    datasets, split = (data.datasets, data.train_split) if train else (data.val_datasets, data.val_split)
    return PairDataset(select_pairs(data.root, datasets, split, data.limit, data.catalog), data, seed, train, **options)


def validation_loader(dataset: PairDataset, batch: int = 1) -> DataLoader[dict[str, Any]]:
    """Pairs in order; a batch above one needs equal sizes (``native=False``)."""
    return DataLoader(dataset, batch_size=batch, shuffle=False, collate_fn=collate)
