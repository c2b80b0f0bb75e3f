"""The captioner, its heads and its scores on tiny real networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from captioning.encoder import INPUT_CHANNELS, stack_inputs, standardise
from captioning.evaluate import FrequentCaption, caption_scores, fact_scores, pad_tokens, sentence
from captioning.facts import write_report
from captioning.heads import FACT_COUNT, IGNORE, fact_losses, fact_targets, fact_vector
from captioning.lexicon import CLASSES
from captioning.network import DepthCaptioner
from captioning.scores import token_loss
from captioning.vocabulary import STYLES, Vocabulary

TINY = {"size": (32, 48), "widths": (4, 6, 8, 12), "blocks": (1, 1, 1), "width": 16, "layers": 2, "heads": 2}


def scene(light: str, name: str, position: str, distance: str) -> dict:
    thing = {"name": name, "position": position, "distance": distance, "visible_in": "both", "thermal": "warm"}
    return {
        "light": light,
        "objects": [thing],
        "captions": [f"A {name} at {light}.", f"The {name} is {distance}.", f"Infrared shows the {name}."],
    }


SCENES = [scene("night", "person", "left", "near"), scene("day", "car", "right", "far")]


def words() -> list[str]:
    vocabulary = Vocabulary.build([sentence(s, style) for s in SCENES for style in STYLES], min_count=1)
    return vocabulary.words[vocabulary.first_word :]


def images(batch: int = 2, size: tuple[int, int] = (40, 56)) -> list[torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    return [torch.rand(batch, channels, *size, generator=draws) for channels in (3, 1, 1, 1)]


def test_inputs_do_not_depend_on_the_scale_of_depth() -> None:
    visible, infrared, near_v, near_i = images()
    stacked = stack_inputs(visible, infrared, near_v, near_i, (32, 48))
    assert stacked.shape == (2, INPUT_CHANNELS, 32, 48)
    scaled = stack_inputs(visible, infrared, near_v * 50, near_i * 0.1, (32, 48))
    torch.testing.assert_close(stacked, scaled, atol=2e-2, rtol=1e-2)
    assert torch.equal(standardise(torch.full((1, 1, 4, 4), 3.0)), torch.zeros(1, 1, 4, 4))


def test_forward_shapes_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = DepthCaptioner(words(), **TINY)
    tokens = torch.randint(0, len(network.vocabulary), (2, 3, 7))
    out = network(*images(), tokens)
    assert out.logits.shape == (2, 3, 7, len(network.vocabulary))
    assert out.facts.grid.shape == (2, len(CLASSES), 3, 3)
    assert out.facts.light.shape == (2, 3)
    assert out.mask.shape == (2, 4, 4, 6)
    losses = fact_losses(out.facts, fact_targets(SCENES))
    (sum(losses.values()) + token_loss(out.logits, tokens, 0) + out.mask.square().mean()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        DepthCaptioner(["a"], **{**TINY, "size": (30, 48)})


def test_saved_network_says_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = DepthCaptioner(words(), **TINY).eval()
    network.save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    again = DepthCaptioner.from_pretrained(tmp_path).eval()
    assert again.vocabulary.words == network.vocabulary.words
    for style in STYLES:
        first, second = network.describe(*images(), style=style), again.describe(*images(), style=style)
        assert first == second
        assert [d["style"] for d in first] == [style, style]
        assert set(first[0]["facts"]) == {"light", "classes", "target"}


def test_fact_targets() -> None:
    unknown = {"light": "fog", "objects": [{"name": "unicorn", "position": "left", "distance": "far"}]}
    targets = fact_targets([*SCENES, unknown])
    assert targets["grid"].sum((1, 2, 3)).tolist() == [1, 1, 0]
    assert targets["grid"][0, CLASSES.index("person"), 0, 0] == 1
    assert targets["grid"][1, CLASSES.index("car"), 2, 2] == 1
    assert targets["light"].tolist() == [2, 0, IGNORE]
    assert targets["target_class"].tolist() == [0, 1, IGNORE]
    assert targets["target_position"].tolist() == [0, 2, 0]


def test_true_facts_can_be_shown_to_the_decoder() -> None:
    targets = fact_targets([*SCENES, {"light": "fog", "objects": []}])
    shown = fact_vector(targets)
    assert shown.shape == (3, FACT_COUNT)
    assert shown.sum(1).tolist() == [5, 5, 0]
    torch.manual_seed(0)
    network = DepthCaptioner(words(), **TINY).eval()
    free, facts, _ = network.encode(*images())
    torch.testing.assert_close(facts.probabilities().sum(1), facts.grid.sigmoid().sum((1, 2, 3)) + 4)
    partly = shown[:2].clone()
    partly[1] = torch.nan
    told, _, _ = network.encode(*images(), partly)
    assert not torch.allclose(told[0], free[0])
    torch.testing.assert_close(told[1], free[1])


def test_fact_losses_of_untold_facts_are_zero() -> None:
    network = DepthCaptioner(words(), **TINY).eval()
    _, facts, _ = network.encode(*images(1))
    losses = fact_losses(facts, fact_targets([{"light": "fog", "objects": []}]))
    assert [losses[key].item() for key in ("light", "target_class", "target_position", "target_distance")] == [0] * 4


def test_fact_scores_by_hand() -> None:
    said = [write_report(SCENES[0]), "At night, a person is near on the right."]
    scores = fact_scores(said, SCENES)
    assert scores == {"light": 0.5, "position": 1.0, "distance": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5}


def test_baseline_says_the_most_frequent_caption() -> None:
    records = [SCENES[0], SCENES[1], SCENES[1]]
    vocabulary = Vocabulary(words())
    baseline = FrequentCaption(records, vocabulary)
    assert baseline.captions["report"] == write_report(SCENES[1])
    assert baseline.captions["scene"] == "A car at day."
    seen, other = "A car at day.", "person person person"
    assert baseline.token_loss([seen], "scene") < baseline.token_loss([other], "scene")
    tied = FrequentCaption([SCENES[0], SCENES[1], scene("day", "car", "left", "far")], vocabulary)
    assert tied.captions["report"].startswith("By day, a warm car")  # the medoid: more of its words are shared


def test_an_overfitted_captioner_beats_the_baseline_on_everything() -> None:
    torch.manual_seed(0)
    network = DepthCaptioner(words(), **TINY, dropout=0.0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    vocabulary, inputs = network.vocabulary, images()
    encoded = [vocabulary.encode(sentence(s, style), style) for s in SCENES for style in STYLES]
    tokens = pad_tokens(encoded, vocabulary.pad).unflatten(0, (2, -1))
    for _ in range(80):
        out = network(*inputs, tokens[..., :-1])
        loss = token_loss(out.logits, tokens[..., 1:], vocabulary.pad)
        loss = loss + sum(fact_losses(out.facts, fact_targets(SCENES)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for module in network.modules():  # two images: their own statistics, not the running ones
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network(*inputs, tokens[..., :-1])
    keys = ("visible", "infrared", "depth_visible", "depth_infrared")
    batch = {**dict(zip(keys, inputs, strict=True)), "facts": SCENES, "captions": [s["captions"] for s in SCENES]}
    scores, said = caption_scores(network.eval(), [batch], FrequentCaption(SCENES, vocabulary), beams=2)
    assert [row["report"] for row in said] == [write_report(s) for s in SCENES]
    ours, theirs = scores["report"]["network"], scores["report"]["baseline"]
    assert ours["token_loss"] < 0.2 < theirs["token_loss"]
    assert ours["bleu4"] == pytest.approx(1.0)
    for name in ("bleu4", "cider", "light", "position", "distance", "f1"):
        assert ours[name] > theirs[name], name
