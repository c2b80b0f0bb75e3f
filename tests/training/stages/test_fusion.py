from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from captioning.facts import write_report
from depth.network import DepthStudent
from ldfusion.config import Experiment
from ldfusion.data.pairs import build_dataset, collate, validation_loader
from ldfusion.diffusion.denoiser import build_denoiser
from ldfusion.errors import InputError
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.io.image import read_visible
from ldfusion.language.text import TextEncoder
from ldfusion.segmentation.losses import semantic_loss
from ldfusion.segmentation.network import SegmentationNetwork, load_segmenter
from ldfusion.training.loop import train
from ldfusion.training.stages.fusion import FusionStage
from ldfusion.training.stages.fusion_text import COMMANDS, draw_sentences, named_targets

LOSSES = (
    *("laplacian", "gradient", "maximum", "novelty", "outside", "clipping", "glare", "pale", "colour", "region"),
    "smooth",
    *("EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD", "floor_vif", "floor_mi", "depth", "language"),
)
Fusion = Callable[..., Experiment]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of untrained components of the real classes."""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    size = {"widths": (8, 8, 8, 8), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 32}
    build_denoiser((8, 8), groups=4).save_pretrained(folder / "denoiser")
    DepthStudent(3, **size).save_pretrained(folder / "depth_visible")
    DepthStudent(1, **size).save_pretrained(folder / "depth_infrared")
    TextEncoder(dim=16, width=16, heads=2, layers=1, merges="0-99").save_pretrained(folder / "text")
    return folder


@pytest.fixture
def fusion(tiny: Callable[..., Experiment], parts: Path) -> Fusion:
    """The tiny fusion recipe on the untrained components."""
    folders = [f"model.{name}={parts / name}" for name in ("denoiser", "depth_visible", "depth_infrared", "text")]

    def load_fusion(*overrides: str, output: str = "run") -> Experiment:
        words = [*folders, "model.decoder.widths=[8,8]", "data.crop=[64,64]", *overrides]
        return tiny("fusion", *words, output=output)

    return load_fusion


def build(experiment: Experiment) -> FusionStage:
    torch.manual_seed(0)
    return FusionStage(experiment)


def a_batch(stage: FusionStage, experiment: Experiment, count: int = 4, epoch: int = 0) -> dict[str, Any]:
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    return collate([dataset[(epoch, k)] for k in range(count)])


@pytest.mark.parametrize(
    "words", [(), ("model.guided=false",), ("model.features=plain",), ("model.features=none",), ("model.timesteps=[]",)]
)
def test_a_step_trains_every_weight_that_is_not_frozen(fusion: Fusion, words: tuple[str, ...]) -> None:
    experiment = fusion(*words)
    stage = build(experiment)
    stage.network.train()
    losses = stage.training_step(stage.network, a_batch(stage, experiment), 0)
    terms = [name for name in LOSSES if name != "language" or "model.guided=false" not in words]
    assert losses.keys() == {"loss", *terms}
    total = sum(getattr(stage.weights, name) * losses[name].item() for name in terms)
    # it is computed at every third step only
    total += (stage.weights.depth_every - 1) * stage.weights.depth * losses["depth"].item()
    assert losses["loss"].item() == pytest.approx(total, rel=1e-5)
    losses["loss"].backward()
    for name, parameter in stage.network.named_parameters():
        assert parameter.requires_grad is (parameter.grad is not None), name
    trained = {name.split(".")[0] for name, p in stage.network.named_parameters() if p.requires_grad}
    assert trained == ({"decoder", "extractor"} if "model.features=plain" in words else {"decoder"})
    frozen = [*stage.twins, *([stage.text] if stage.text is not None else [])]
    assert len(frozen) == (2 if "model.guided=false" in words else 3)
    assert all(not p.requires_grad and p.grad is None for module in frozen for p in module.parameters())


def test_a_step_is_a_function_of_the_batch(fusion: Fusion) -> None:
    experiment = fusion()
    stage = build(experiment)
    batch = a_batch(stage, experiment)
    first, second = (stage.training_step(stage.network, batch, 0)["loss"].item() for _ in range(2))
    assert first == second


def test_the_loss_of_a_batch_is_the_mean_of_its_samples(fusion: Fusion) -> None:
    """Wrong sentences too come with the sample: sharing a batch out over processes must not change them."""
    experiment = fusion("sample.wrong=0.6", "sample.command=0.2")
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    items = [dataset[(3, k)] for k in range(4)]
    with torch.no_grad():
        whole = stage.training_step(stage.network, collate(items), 0)
        parts = [stage.training_step(stage.network, collate([item]), 0) for item in items]
    for name, value in whole.items():
        assert value.item() == pytest.approx(sum(p[name].item() for p in parts) / 4, rel=1e-4), name


def test_sentences_are_right_wrong_or_commands_as_often_as_asked(fusion: Fusion) -> None:
    experiment = fusion("sample.wrong=0.25", "sample.command=0.25")
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    kinds = {"right": 0, "wrong": 0, "command": 0}
    for epoch in range(20):
        batch = collate([dataset[(epoch, k)] for k in range(6)])
        for k, text in enumerate(draw_sentences(batch, stage.settings)[0]):
            own = [*batch["captions"][k], write_report(batch["facts"][k])]
            other = [*batch["other"][k]["captions"], write_report(batch["other"][k]["facts"])]
            # pairs of the same side and light share some sentences
            kinds["right" if text in own else "wrong" if text in other else "command"] += 1
    assert 45 <= kinds["right"] <= 85 and 15 <= kinds["wrong"] and 15 <= kinds["command"] <= 45
    always = build(fusion("sample.wrong=0", "sample.command=0", "sample.compared=1"))
    batch = a_batch(always, experiment, 6)
    for k, text in enumerate(draw_sentences(batch, always.settings)[0]):
        assert text in [*batch["captions"][k], write_report(batch["facts"][k])]
    compared = 0
    for epoch in range(10):
        batch = a_batch(always, experiment, 6, epoch)
        assert draw_sentences(batch, always.settings)[1] == {}  # all pairs here name the same
        for words in batch["other"]:
            words["captions"] = ["A bicycle leans on a wall."]
        compared += list(draw_sentences(batch, always.settings)[1].values()).count("A bicycle leans on a wall.")
    assert compared > 10
    only = build(fusion("sample.wrong=0", "sample.command=1"))
    starts = {command.split("{}")[0] for command in COMMANDS}
    assert all(any(text.startswith(start) for start in starts) for text in draw_sentences(batch, only.settings)[0])


def test_commands_name_what_is_there_and_are_compared_with_another_target(fusion: Fusion) -> None:
    experiment = fusion("sample.command=1")
    stage = build(experiment)
    batch = a_batch(stage, experiment, 6)
    texts, others = draw_sentences(batch, stage.settings)
    assert list(others) == list(range(6))
    for k, other in others.items():
        first, second = named_targets([texts[k], other]).tolist()
        assert sum(first) == sum(second) == 1 and first != second
        there = [bool((batch["mask"][k] == c).any()) for c in (1, 2, 3)]
        assert not any(there) or there[first.index(1)]


def test_a_decoder_deaf_to_the_sentence_pays_the_language_loss(fusion: Fusion) -> None:
    experiment = fusion("sample.command=1", "loss.language=2")
    stage = build(experiment)
    batch = a_batch(stage, experiment)
    for level in stage.network.decoder.modulation.levels:
        level[-1].weight.data.zero_()
    out = stage.training_step(stage.network, batch, 1)
    silent = build(fusion("sample.command=1", "loss.language=0")).training_step(stage.network, batch, 1)
    assert "language" not in silent
    assert out["language"].item() > 0.02  # the margin, where the batch has a target
    out["language"].backward()
    assert all(level[-1].weight.grad.abs().sum() > 0 for level in stage.network.decoder.modulation.levels)


def test_named_targets_of_sentences() -> None:
    texts = ["Two people walk behind a bus.", "A bicycle leans on a wall.", "No car is seen.", "highlight the person"]
    assert named_targets(texts).tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_naming_a_target_lifts_its_intensity_and_nothing_else(fusion: Fusion) -> None:
    experiment = fusion("loss.depth=0", "loss.glare=0")
    stage = build(experiment)
    batch = a_batch(stage, experiment)
    fused = torch.maximum(
        (batch["visible"] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, True), batch["infrared"]
    )
    silent, person, car = (
        stage.losses(fused.expand(-1, 3, -1, -1), batch, torch.tensor([row] * 4))["maximum"].item()
        for row in ([0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0])
    )
    assert silent == pytest.approx(0, abs=1e-6) and car == pytest.approx(0, abs=1e-6)
    assert person > 1e-3


def test_the_depth_loss_is_computed_at_every_nth_step(fusion: Fusion) -> None:
    experiment = fusion("loss.depth_every=2")
    stage = build(experiment)
    batch = a_batch(stage, experiment, 2)
    with torch.no_grad():
        steps = [stage.training_step(stage.network, batch, step) for step in range(4)]
    assert ["depth" in losses for losses in steps] == [True, False, True, False]


def test_a_tone_asks_for_other_sources(fusion: Fusion) -> None:
    experiment = fusion("loss.depth=0")
    stage = build(experiment)
    batch = a_batch(stage, experiment, 2)
    fused = torch.maximum(batch["visible"], batch["infrared"])
    named, tone = torch.zeros(2, 3), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    with torch.no_grad():
        plain = stage.losses(fused, batch, named, depth=0)
        natural = stage.losses(fused, batch, named, torch.zeros(2, 2), depth=0)
        toned = stage.losses(fused, batch, named, tone, depth=0)
    for name, value in plain.items():
        assert natural[name].item() == pytest.approx(value.item(), abs=1e-4), name
    for name in ("laplacian", "gradient", "maximum", "SD"):
        assert abs(toned[name] - plain[name]) > 1e-4, name
    assert toned["colour"].item() == pytest.approx(plain["colour"].item())


def test_tones_are_drawn_by_the_seed_of_each_sample(fusion: Fusion) -> None:
    experiment = fusion("sample.toned=0.5")
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    batches = [collate([dataset[(epoch, k)] for k in range(6)]) for epoch in range(8)]
    tones = torch.cat([stage._tones(batch) for batch in batches])
    assert torch.equal(tones[:6], stage._tones(batches[0])) and tones.abs().max() <= 1
    assert 12 <= (tones.abs().sum(dim=1) > 0).sum() <= 36
    assert build(fusion("sample.toned=0"))._tones(batches[0]).abs().max() == 0


def test_working_copies_are_of_many_sizes_and_the_same_for_all_processes(fusion: Fusion) -> None:
    stage = build(fusion())
    visible = torch.zeros(1, 3, 192, 256)
    shapes = [stage._working(visible, step) for step in range(40)]
    assert shapes == [stage._working(visible, step) for step in range(40)]
    heights = [height for height, _ in shapes]
    assert min(heights) < 105 and max(heights) > 170 and len(set(heights)) > 15
    assert all(side % stage.multiple == 0 for shape in shapes for side in shape)


def test_the_semantic_loss_is_that_of_the_frozen_network(fusion: Fusion, tmp_path: Path) -> None:
    torch.manual_seed(0)
    SegmentationNetwork("msrs", options={"channels": [8, 8, 16, 16]}, width=16, auxiliary=8).save_pretrained(tmp_path)
    experiment = fusion("loss.semantic=2", f"model.segmentation={tmp_path}", "loss.depth=0")
    stage = build(experiment)
    batch = a_batch(stage, experiment, 2)
    fused = torch.maximum(batch["visible"], batch["infrared"]).requires_grad_()
    found = stage.losses(fused, batch, torch.zeros(2, 3), depth=0)
    network = load_segmenter(tmp_path)
    labels, known = network.classes.read(batch["mask"], batch["mask_classes"])
    expected = semantic_loss(network(fused, auxiliary=False), labels, known=known)
    assert found["semantic"].item() == pytest.approx(expected.item(), rel=1e-5)
    without = build(fusion("loss.depth=0")).losses(fused, batch, torch.zeros(2, 3), depth=0)
    assert "semantic" not in without
    assert (found["loss"] - without["loss"]).item() == pytest.approx(2 * expected.item(), rel=1e-3)
    found["semantic"].backward()
    assert fused.grad is not None and fused.grad.abs().max() > 0
    frozen = stage.losses.segmenter
    assert frozen is not None and not frozen.training and not any(p.requires_grad for p in frozen.parameters())


def test_without_its_weight_the_depth_loss_is_not_computed_in_training(fusion: Fusion) -> None:
    experiment = fusion("loss.depth=0")
    stage = build(experiment)
    batch = a_batch(stage, experiment, 2)
    assert "depth" not in stage.training_step(stage.network, batch, 0)


def test_a_run_with_its_average_validation_and_export(fusion: Fusion, parts: Path) -> None:
    experiment = fusion("train.steps=3", "sample.wrong=0.5")
    figures = train(experiment)
    output = Path(experiment.output)
    assert {"EN", "MI", "VIF", "SF", "SD", "Qabf", "right/loss", "right/depth"} <= figures.keys()
    assert all(value == value for value in figures.values())
    picture, _ = read_visible(output / "pictures" / "step-00000003" / "00.png")
    assert picture.shape == (3, 80, 3 * 96)  # visible, infrared, fused, at the file's own size
    decoder = FusionDecoder.from_pretrained(output / "weights" / "decoder", use_safetensors=True)
    assert decoder.config["feature_channels"] == [8, 8] and decoder.config["text_dim"] == 16
    # the denoiser comes along unchanged
    name = "diffusion_pytorch_model.safetensors"
    before, after = (load_file(path / "denoiser" / name) for path in (parts, output / "weights"))
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)


def test_a_run_goes_on_exactly_where_it_stopped(fusion: Fusion) -> None:
    whole, broken = (fusion("train.steps=4", output=name) for name in ("whole", "broken"))
    train(whole)
    shutil.copytree(whole.output, broken.output)
    for lost in ("weights", "checkpoints/step-00000004"):
        shutil.rmtree(Path(broken.output) / lost)
    train(broken)
    file = Path("weights") / "decoder" / "diffusion_pytorch_model.safetensors"
    first, second = (load_file(Path(e.output) / file) for e in (whole, broken))
    assert all(torch.equal(first[name], second[name]) for name in first)
    lines = [(Path(e.output) / "metrics.jsonl").read_text() for e in (whole, broken)]
    assert lines[0] == lines[1] and len([json.loads(line) for line in lines[0].splitlines()]) == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model.features=plian"], "unknown features 'plian'; did you mean 'plain'"),
        (["model.decoder.width=[8,8]"], "model.decoder: unknown key 'width'; did you mean 'widths'"),
        (["model.decoder.text_dim=4"], "model.decoder: unknown key 'text_dim'"),
        (["model.decoder.widths=[8,8,8]"], "model.decoder: 3 widths for 2 feature levels"),
        (["model.timesteps=[0,5]"], "timesteps: 0 is outside"),
        (["model.denoiser=/nowhere"], "no config.json there"),
        (["loss.maximim=1"], "did you mean 'maximum'"),
        (["loss.depth=much"], r"loss\.depth: Value 'much' of type 'str' could not be converted to Float"),
        (["loss.goals.VFI=1"], "loss.goals: unknown key 'VFI'; did you mean 'VIF'"),
        (["loss.goals.VIF=much"], r"loss\.goals.*could not be converted to Float"),
        (["loss.command=0.2"], "loss: unknown key 'command'"),
        (["sample.commands=0.2"], "sample: unknown key 'commands'; did you mean 'command'"),
        (["data.crop=[32,48]"], "both sides must be at least 41"),
    ],
)
def test_mistakes(fusion: Fusion, words: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        build(fusion(*words))


def test_validation_tells_right_from_wrong_captions_where_they_name_other_targets(
    fusion: Fusion, tmp_path: Path
) -> None:
    experiment = fusion()
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, False, **stage.dataset_options)
    # make the second pair one without a person
    name = dataset.files[1].name
    record = dataset.records[name]
    dataset.records[name] = {**record, "objects": record["objects"][1:]}
    with torch.no_grad():
        figures = stage.validate(stage.network.eval(), validation_loader(dataset), tmp_path)
    assert {"right/maximum", "wrong/maximum", "wrong/loss", "lift_of_named"} <= figures.keys()
