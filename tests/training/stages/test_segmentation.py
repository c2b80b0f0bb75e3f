from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ldfusion.config import Experiment
from ldfusion.data.pairs import build_dataset, collate
from ldfusion.errors import InputError
from ldfusion.fusion.methods import load_method
from ldfusion.segmentation import load_segmenter
from ldfusion.training.loop import Trainer, train
from ldfusion.training.stages import build_stage
from ldfusion.training.stages.segmentation import SegmentationStage, draw_sources, labels_of, segmentation_groups

Tiny = Callable[..., Experiment]


def build(experiment: Experiment) -> SegmentationStage:
    torch.manual_seed(0)
    stage = build_stage(experiment)
    assert isinstance(stage, SegmentationStage)
    return stage


def test_it_learns_the_warm_person_of_the_tiny_pairs(tiny: Tiny, tmp_path: Path) -> None:
    words = ("optim.name=adamw", "optim.lr=5e-3", "train.steps=60", "loss.head_rate=1", "data.jitter=0")
    figures = train(tiny("segmentation", *words, "loss.sources=[infrared]", "train.checkpoint_every=0"))
    assert figures["iou/person"] > 0.5 and figures["iou/background"] > 0.9
    assert figures["mIoU"] == pytest.approx((figures["iou/person"] + figures["iou/background"]) / 2, abs=0.01)
    network = load_segmenter(tmp_path / "run" / "weights")
    assert network.segment(torch.rand(1, 3, 40, 50)).shape == (1, 40, 50)
    assert list((tmp_path / "run" / "pictures").glob("*/infrared-000.png"))


def test_each_sample_draws_its_source(tiny: Tiny) -> None:
    experiment = tiny("segmentation")
    dataset = build_dataset(experiment.data, 0, True, masks=True)
    batch = collate([dataset[epoch, k] for epoch in range(4) for k in range(6)])
    methods = {"mean": load_method("mean")}
    images = draw_sources(batch, ("visible", "infrared", "mean"), methods)
    kinds = {
        "visible": batch["visible"],
        "infrared": batch["infrared"].expand(-1, 3, -1, -1),
        "mean": methods["mean"].fuse(batch["visible"], batch["infrared"]),
    }
    drawn = []
    for k, image in enumerate(images):
        (name,) = [name for name, every in kinds.items() if torch.equal(every[k], image)]
        drawn.append(name)
    assert set(drawn) == set(kinds)
    assert torch.equal(images[3:5], draw_sources({k: v[3:5] for k, v in batch.items()}, tuple(kinds), methods))


def test_groups_of_the_published_recipe(tiny: Tiny) -> None:
    stage = build(tiny("segmentation"))
    groups = segmentation_groups(stage.network, 10.0)
    every = [id(p) for group in groups for p in group.parameters]
    assert sorted(every) == sorted(id(p) for p in stage.network.parameters())
    assert [(g.rate, g.decay) for g in groups] == [(1.0, True), (1.0, False), (10.0, True), (10.0, False)]
    assert all(p.ndim == 4 for g in groups if g.decay for p in g.parameters)
    assert all(p.ndim == 1 for g in groups if not g.decay for p in g.parameters)
    assert any(p is stage.network.head[1].weight for p in groups[2].parameters)


def test_labels_outside_of_the_set_are_named(tiny: Tiny, data_root: Path, tmp_path: Path) -> None:
    stage = build(tiny("segmentation", "loss.sources=[visible]"))
    mask = torch.zeros(2, 48, 64, dtype=torch.int64)
    mask[1, 0, 0] = 7
    batch = {"visible": torch.rand(2, 3, 48, 64), "mask": mask, "name": ["x/a", "x/b"], "seed": torch.tensor([1, 2])}
    with pytest.raises(InputError, match="x/a / x/b: label id 7 is not one of the 4 classes"):
        stage.training_step(stage.network, batch, 0)


def test_a_pair_without_labels_adds_nothing(tiny: Tiny) -> None:
    stage = build(tiny("segmentation", "loss.sources=[visible]"))
    batch = {
        "visible": torch.rand(2, 3, 48, 64),
        "infrared": torch.rand(2, 1, 48, 64),
        "mask": torch.full((2, 48, 64), 255),
        "name": ["x/a", "x/b"],
        "seed": torch.tensor([1, 2]),
    }
    assert stage.training_step(stage.network, batch, 0)["loss"].item() == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["loss.sources=[visibl]"], "unknown source 'visibl'; did you mean 'visible'"),
        (["loss.sources=[]"], r"loss\.sources is empty"),
        (["loss.kind=focal"], r"loss\.kind: unknown 'focal'"),
        (["loss.share=2"], r"loss\.share=2"),
        (["model.widht=8"], "model: unknown key 'widht'; did you mean 'width'"),
        (["loss.class_weights=[1,2]", "loss.kind=plain"], r"loss\.class_weights: 2 for 4 classes \(background, car"),
        (["loss.class_weights=[1,2,0,1]", "loss.kind=plain"], r"loss\.class_weights=.*above 0"),
        (["loss.class_weights=[1,2,3,1]"], r"loss\.class_weights: hard pixels are not weighed"),
        (["model.labels=cityscapes"], "label set: unknown 'cityscapes'"),
    ],
)
def test_mistakes_are_one_line(tiny: Tiny, words: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        build(tiny("segmentation", *words))
    assert "\n" not in str(caught.value)


def test_an_own_label_set_trains(tiny: Tiny, data_root: Path) -> None:
    experiment = tiny("segmentation", "model.labels=[nothing,thing,human]", "train.steps=2")
    assert np.unique(cv2.imread(str(data_root / "roadscene/object_mask/FLIR_00000.png"), 0)).tolist() == [0, 2]
    figures = train(experiment)
    assert {"visible/mIoU", "infrared/mIoU", "visible/iou/nothing"} <= figures.keys()
    assert load_segmenter(Path(experiment.output) / "weights").classes.names == ("nothing", "thing", "human")


def test_nine_classes_from_pseudo_masks(tiny: Tiny) -> None:
    """Their background says nothing about the classes that they do not know."""
    stage = build(tiny("segmentation", "model.labels=msrs", "loss.sources=[visible]", "loss.kind=plain"))
    image = torch.rand(2, 3, 48, 64)
    mask = torch.zeros(2, 48, 64, dtype=torch.int64)
    batch = {"visible": image, "infrared": image[:, :1], "name": ["x/a", "x/b"], "seed": torch.tensor([1, 2])}
    losses = [
        stage.training_step(stage.network, batch | {"mask": mask, "mask_classes": torch.tensor(counts)}, 0)["loss"]
        for counts in ([9, 9], [4, 4])
    ]
    assert losses[1] < losses[0]
    weighed = build(tiny("segmentation", "loss.sources=[visible]", "loss.kind=plain", "loss.class_weights=[1,1,1,9]"))
    mask[:, 10:20] = 3
    step = {"mask": mask, "mask_classes": torch.tensor([4, 4])}
    plain = build(tiny("segmentation", "loss.sources=[visible]", "loss.kind=plain"))
    assert (
        weighed.training_step(weighed.network, batch | step, 0)["loss"]
        != plain.training_step(plain.network, batch | step, 0)["loss"]
    )


def test_the_classes_of_a_network_of_objects_take_true_masks_too(tiny: Tiny) -> None:
    stage = build(tiny("segmentation", "loss.sources=[visible]"))
    mask = torch.full((2, 48, 64), 7)
    batch = {"visible": torch.rand(2, 3, 48, 64), "mask": mask, "name": ["x/a", "x/b"]}
    labels, known = labels_of(batch | {"mask_classes": torch.tensor([9, 9])}, stage.classes)
    assert not labels.any() and known.tolist() == [4, 4]


def test_it_starts_from_a_network_of_fewer_classes(tiny: Tiny, tmp_path: Path) -> None:
    four = build(tiny("segmentation")).network
    four.save_pretrained(tmp_path / "four")
    words = (f"train.init={tmp_path / 'four'}", "model.labels=msrs")
    with pytest.raises(InputError, match=r"train\.init: .*: the weights of another network"):
        Trainer(tiny("segmentation", *words))
    nine = Trainer(tiny("segmentation", *words, "train.init_fewer=true")).stage.network
    for name, value in four.state_dict().items():
        own = nine.state_dict()[name]
        assert torch.equal(own[: len(value)] if value.ndim else own, value), name
    assert nine.head[1].weight.shape[0] == 9 and nine.head[1].weight[4:].abs().sum() > 0
    wider = tiny("segmentation", f"train.init={tmp_path / 'four'}", "model.width=24", "train.init_fewer=true")
    with pytest.raises(InputError, match=r"train\.init: .*: the weights of another network"):
        Trainer(wider)
