from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from depth.align import standardise
from depth.metrics import spearman
from depth.network import DepthStudent
from ldfusion.config import Experiment
from ldfusion.data.pairs import build_dataset, collate, sample_seed, validation_loader
from ldfusion.errors import InputError
from ldfusion.fusion.classical import laplacian_fusion
from ldfusion.io.color import luma, rgb_to_ycbcr
from ldfusion.io.image import read_visible
from ldfusion.training.stages import build_stage
from ldfusion.training.stages.depth import DepthStage, blend_sensors, paste_objects

Tiny = Callable[..., Experiment]
MODALITIES = ("visible", "infrared")


def build(experiment: Experiment) -> DepthStage:
    torch.manual_seed(0)
    stage = build_stage(experiment)
    assert isinstance(stage, DepthStage)
    return stage


@pytest.mark.parametrize("modality", MODALITIES)
def test_each_student_reads_its_own_modality_and_label(tiny: Tiny, modality: str) -> None:
    experiment = tiny(f"depth-{modality}")
    stage = build(experiment)
    assert stage.network.config["in_channels"] == {"visible": 3, "infrared": 1}[modality]
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    batch = collate([dataset[k] for k in range(3)])
    loss = stage.training_step(stage.network, batch, 0)["loss"]
    loss.backward()
    assert all(p.grad is not None for p in stage.network.parameters())
    other = "infrared" if modality == "visible" else "visible"
    changed = {**batch, other: torch.zeros_like(batch[other])}
    changed[f"depth_{other}"] = torch.zeros_like(batch[f"depth_{other}"])
    assert stage.training_step(stage.network, changed, 0)["loss"].item() == loss.item()


def test_the_unit_of_the_labels_does_not_matter(tiny: Tiny) -> None:
    experiment = tiny("depth-visible")
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    batch = collate([dataset[k] for k in range(3)])
    with torch.no_grad():
        losses = stage.training_step(stage.network, batch, 0)
        assert losses.keys() == {"loss", "linear", "root", "rank"}
        loss = losses["loss"]
        batch["depth_visible"] = batch["depth_visible"] * 50 + 7
        assert stage.training_step(stage.network, batch, 0)["loss"].item() == pytest.approx(loss.item(), rel=1e-4)


def test_training_raises_the_correlation_with_the_teacher(tiny: Tiny, tmp_path: Path) -> None:
    experiment = tiny("depth-infrared")
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    loader = validation_loader(build_dataset(experiment.data, 0, False, **stage.dataset_options))
    optimizer = torch.optim.AdamW(stage.network.parameters(), lr=5e-3)
    for step in range(20):
        loss = stage.training_step(stage.network, collate([dataset[(step, k)] for k in range(6)]), step)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        figures = stage.validate(stage.network.eval(), loader, tmp_path)
    assert figures["spearman"] > 0.6  # measured 0.85
    assert figures["spearman_min"] <= figures["spearman"]
    picture, _ = read_visible(tmp_path / "depth.png")
    assert picture.shape == (3, 64, 3 * 96)  # image, teacher, student of the first pair


def test_the_export_loads(tiny: Tiny, tmp_path: Path) -> None:
    stage = build(tiny("depth-infrared"))
    stage.export(stage.network, tmp_path)
    again = DepthStudent.from_pretrained(tmp_path, use_safetensors=True)
    assert again.config["in_channels"] == 1 and list(again.config["widths"]) == [8, 8, 16, 16]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["data.labels="], r"data\.labels is empty"),
        (["data.labels=/nowhere"], "no depth label; 12 of 12 are missing"),
        (["data.crop=[64,80]"], "multiples of 32"),
        (["model.width=[8,8,8,8]"], "did you mean 'widths'"),
        (["loss.alhpa=1"], "did you mean 'alpha'"),
        (["loss.blend=1.5"], r"loss\.blend=1\.5: must be a share"),
        (["loss.fused=2"], r"loss\.fused=2: must be a share"),
        (["loss.paste=-1"], r"loss\.paste=-1: must be a share"),
    ],
)
def test_mistakes(tiny: Tiny, words: list[str], expected: str) -> None:
    experiment = tiny("depth-visible", *words)
    with pytest.raises(InputError, match=expected):
        build(experiment)
        build_dataset(experiment.data, 0, True, depth=True)


def test_objects_are_pasted_where_they_are_nearer() -> None:
    """Two flat scenes of four columns: a near one with an object in column 1, a far one with an object in column 2."""
    image = torch.stack([torch.full((3, 2, 4), 0.1), torch.full((3, 2, 4), 0.9)])
    depth = torch.tensor([0.3, 0.0]).view(2, 1, 1, 1).repeat(1, 1, 2, 4)
    mask = torch.zeros(2, 2, 4, dtype=torch.int64)
    mask[0, :, 1], mask[1, :, 2] = 2, 1
    nobody, objects = torch.tensor([999, 999]), torch.tensor([0, 0])
    same, same_depth = paste_objects(image, depth, mask, nobody, 0.5)
    assert torch.equal(same, image) and torch.equal(same_depth, depth)
    pasted, pasted_depth = paste_objects(image, depth, mask, objects, 0.5)
    # the second scene is farther everywhere, so nothing of it comes into the first
    assert torch.equal(pasted[0], image[0]) and torch.equal(pasted_depth[0], depth[0])
    assert pasted[1, 0, 0].tolist() == pytest.approx([0.9, 0.1, 0.9, 0.9])
    assert pasted_depth[1, 0, 0].tolist() == pytest.approx([0.0, 0.3, 0.0, 0.0])
    # with the surroundings along: only across a clear step in depth
    everything = torch.tensor([1000, 1000])
    assert torch.equal(paste_objects(image, depth, mask, everything, 0.5)[1], pasted_depth)
    _, deeper = paste_objects(image, depth * 2, mask, everything, 0.5)
    assert torch.equal(deeper[1], depth[0] * 2)


def test_both_sensors_are_blended_by_rules_between_mean_and_maximum() -> None:
    generator = torch.Generator().manual_seed(0)
    # grey enough for no new luma to push a colour out of [0, 1], which would be clamped
    visible = 0.4 + 0.05 * torch.rand(40, 3, 16, 24, generator=generator)
    infrared = 0.4 + 0.2 * torch.rand(40, 1, 16, 24, generator=generator)
    seeds = torch.arange(40)
    both = blend_sensors(visible, infrared, seeds)
    assert torch.equal(both[7:9], blend_sensors(visible[7:9], infrared[7:9], seeds[7:9]))  # a sample's own seed decides
    assert torch.allclose(rgb_to_ycbcr(both)[:, 1:], rgb_to_ycbcr(visible)[:, 1:], atol=1e-5)
    grey = luma(visible)
    rules = torch.stack([(grey + infrared) / 2, torch.maximum(grey, infrared), laplacian_fusion(grey, infrared)])
    found = torch.linalg.lstsq(rules.permute(1, 2, 3, 4, 0).reshape(40, -1, 3), luma(both).reshape(40, -1, 1)).solution
    assert torch.allclose(found.sum(dim=1), torch.ones(40, 1), atol=1e-3) and found.min() > -1e-3
    assert (found.amax(dim=0) > 0.7).all()  # each rule rules some samples
    same = blend_sensors(infrared.expand(-1, 3, -1, -1), infrared, seeds)
    assert torch.allclose(same, infrared.expand(-1, 3, -1, -1), atol=1e-5)  # two equal images stay what they are


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_blended_sample_is_labelled_by_both_maps(tiny: Tiny, modality: str) -> None:
    stage = build(tiny(f"depth-{modality}", "loss.blend=1", "loss.paste=0"))
    dataset = build_dataset(tiny(f"depth-{modality}").data, 0, True, **stage.dataset_options)
    batch = collate([dataset[k] for k in range(3)])
    loss = stage.training_step(stage.network, batch, 0)["loss"].item()
    both = blend_sensors(batch["visible"], batch["infrared"], batch["seed"])
    mean = sum(standardise(batch[f"depth_{sensor}"]) for sensor in MODALITIES) / 2
    stage.blend = 0.0
    by_hand = {**batch, modality: both if modality == "visible" else luma(both), f"depth_{modality}": mean}
    assert stage.training_step(stage.network, by_hand, 0)["loss"].item() == pytest.approx(loss, rel=1e-4)
    assert stage.training_step(stage.network, batch, 0)["loss"].item() != pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_share_of_the_blends_is_made_by_the_fusion_network(tiny: Tiny, modality: str) -> None:
    stage = build(tiny(f"depth-{modality}", "loss.blend=1", "loss.fused=0.5", "loss.paste=0"))
    dataset = build_dataset(tiny(f"depth-{modality}").data, 0, True, **stage.dataset_options)
    batch = collate([dataset[k] for k in range(3)]) | {"seed": torch.tensor([100_000, 700_000, 499_000])}
    shown: list[Tensor] = []

    def look(images: Tensor) -> Tensor:
        shown.append(images)
        return images.mean(dim=1, keepdim=True)

    stage.training_step(look, batch, 0)
    assert stage.fusion is not None
    blends = blend_sensors(batch["visible"], batch["infrared"], batch["seed"])
    own = stage.fusion.fuse(batch["visible"], batch["infrared"]).clamp(0, 1)
    for k, expected in enumerate((own, blends, own)):
        image = expected[k : k + 1] if modality == "visible" else luma(expected[k : k + 1])
        assert torch.allclose(shown[0][k : k + 1], image, atol=2e-3), k
    assert (own - blends).abs().mean() > 0.01
    assert build(tiny(f"depth-{modality}", "loss.fused=0.5")).fusion is None  # without blends nothing is fused


def test_validation_reads_fused_images_where_training_showed_them(tiny: Tiny, tmp_path: Path) -> None:
    stage = build(tiny("depth-infrared", "loss.blend=0.5"))
    loader = validation_loader(build_dataset(tiny("depth-infrared").data, 0, False, **stage.dataset_options))
    with torch.no_grad():
        figures = stage.validate(stage.network.eval(), loader, tmp_path)
        found = []
        for batch in loader:
            fused = laplacian_fusion(luma(batch["visible"]), batch["infrared"])
            mean = sum(standardise(batch[f"depth_{sensor}"]) for sensor in MODALITIES) / 2
            found.append(spearman(stage.network(fused), mean).item())
    assert figures.keys() == {"spearman", "spearman_min", "spearman_laplacian"}
    assert figures["spearman_laplacian"] == pytest.approx(sum(found) / len(found), abs=1e-3)


def test_the_share_of_blended_samples(tiny: Tiny) -> None:
    stage = build(tiny("depth-visible", "loss.blend=0.25", "loss.paste=0"))
    dataset = build_dataset(tiny("depth-visible").data, 0, True, **stage.dataset_options)
    seeds = [sample_seed(0, epoch, k) for epoch in range(60) for k in range(len(dataset))]
    assert seeds[len(dataset) + 1] == dataset[(1, 1)]["seed"]
    batch = collate([dataset[0]] * len(seeds)) | {"seed": torch.tensor(seeds)}
    shown: list[Tensor] = []

    def look(images: Tensor) -> Tensor:
        shown.append(images)
        return images.mean(dim=1, keepdim=True)

    for infrared in (batch["infrared"], 1 - batch["infrared"]):
        stage.training_step(look, {**batch, "infrared": infrared}, 0)
    changed = (shown[0] != shown[1]).flatten(1).any(dim=1).float().mean().item()
    assert 0.17 < changed < 0.33
