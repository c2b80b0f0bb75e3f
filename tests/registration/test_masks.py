from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ldfusion.errors import InputError
from ldfusion.registration.inputs import KINDS, check_kinds, show
from ldfusion.registration.masks import (
    MaskSource,
    TorchvisionSegmenter,
    infrared_mask,
    load_segmenter,
    otsu_threshold,
    parse_threshold,
    published_polarity,
    sequence_threshold,
)


def warm_person(background: float, person: float) -> torch.Tensor:
    """Infrared image (1, 1, 40, 60): a bright block of 10x20 pixels on a dim ground, with noise."""
    image = torch.full((1, 1, 40, 60), background)
    image[..., 10:20, 20:40] = person
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    return (image + 0.04 * noise).clamp(0, 1)


def test_infrared_thresholds() -> None:
    image = warm_person(0.3, 0.7)
    person = torch.zeros(1, 1, 40, 60)
    person[..., 10:20, 20:40] = 1
    assert torch.equal(infrared_mask(image, 0.5), person)
    assert torch.equal(infrared_mask(image), person)  # Otsu
    assert infrared_mask(image, 0.8).sum() == 0 and infrared_mask(image, 0.1).mean() == 1
    two = torch.cat([image, warm_person(0.55, 0.9)])
    assert torch.equal(infrared_mask(two), person.expand(2, -1, -1, -1))  # each image has its own threshold
    assert torch.equal(published_polarity(person), 1 - person)


def test_one_threshold_for_a_sequence() -> None:
    frames = [warm_person(0.3, 0.7)] * 4
    empty = torch.full((1, 1, 40, 60), 0.3) + 0.02 * torch.rand(
        1, 1, 40, 60, generator=torch.Generator().manual_seed(1)
    )
    together = sequence_threshold([*frames, empty])
    assert 0.32 < together < 0.68
    assert infrared_mask(empty, together).sum() == 0
    assert infrared_mask(empty).mean() > 0.2  # alone it would be cut in two anyhow
    codes = np.repeat(np.array([60, 190], np.uint8), [900, 100])
    assert 60 / 255 < otsu_threshold(codes) < 190 / 255
    with pytest.raises(InputError, match="no infrared frame"):
        sequence_threshold([])


def test_thresholds_from_a_command_line() -> None:
    assert parse_threshold("160") == pytest.approx(160 / 255)
    assert (parse_threshold("otsu"), parse_threshold("sequence")) == ("otsu", "sequence")
    for text in ("256", "-1", "warm", "nan"):
        with pytest.raises(InputError, match="otsu, sequence, or a grey value"):
            parse_threshold(text)


def test_a_mask_source_takes_any_callable() -> None:
    source = MaskSource(lambda image: image[:, :1], threshold=0.5, level=0.6)
    visible = torch.linspace(0, 1, 50).expand(2, 3, 40, 50)
    assert torch.equal(source.visible(visible), (visible[:, :1] >= 0.6).float())
    assert source.infrared(warm_person(0.3, 0.7)).sum() == 200


class Detector(nn.Module):
    """Answers like torchvision's Mask R-CNN: two persons, one of them doubtful, and a car."""

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        masks = torch.zeros(3, 1, *images[0].shape[-2:])
        masks[0, :, :5], masks[1, :, 5:10], masks[2, :, 10:15] = 0.9, 0.9, 0.9
        found = {"labels": torch.tensor([1, 1, 3]), "scores": torch.tensor([0.8, 0.3, 0.9]), "masks": masks}
        nobody = {key: value[2:] for key, value in found.items()}
        return [found, nobody]


def test_mask_rcnn_instances_of_persons_are_joined() -> None:
    mask = TorchvisionSegmenter("maskrcnn", Detector())(torch.rand(2, 3, 32, 40))
    assert mask.shape == (2, 1, 32, 40)
    assert mask[0, 0, :5].min() == pytest.approx(0.9) and mask[0, 0, 5:].max() == 0 and mask[1].max() == 0


class Scores(nn.Module):
    """Answers like torchvision's DeepLabV3: 21 class scores; the person's is the normalised red channel."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = torch.zeros(len(image), 21, *image.shape[-2:])
        scores[:, 15] = image[:, 0] * 3
        return {"out": scores}


def test_deeplab_gives_the_probability_of_class_15() -> None:
    image = torch.zeros(1, 3, 32, 40)
    image[..., 20:] = 1
    mask = TorchvisionSegmenter("deeplabv3", Scores())(image)
    high = torch.tensor(3 * (1 - 0.485) / 0.229).exp()
    assert mask.shape == (1, 1, 32, 40)
    assert mask[0, 0, 0, 30].item() == pytest.approx((high / (high + 20)).item(), rel=1e-5)
    assert mask[0, 0, 0, 3] < 0.01


def test_missing_weights_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"checkpoints/maskrcnn_.*\.pth: the weights of 'maskrcnn' are not there"):
        load_segmenter("maskrcnn")
    with pytest.raises(InputError, match=r"deeplabv3_.*\.pth: the weights of 'deeplabv3' are not there"):
        load_segmenter("deeplabv3")
    with pytest.raises(InputError, match="did you mean 'maskrcnn'"):
        load_segmenter("maskrcn")
    with pytest.raises(InputError, match=r"config\.json"):
        load_segmenter("auto", tmp_path)  # no torchvision weights: our own, and those are not in this folder


def test_our_own_network_gives_the_class_person(tmp_path: Path) -> None:
    from ldfusion.segmentation.network import SegmentationNetwork

    torch.manual_seed(0)
    network = SegmentationNetwork(labels=["nothing", "tree", "person"], width=8, auxiliary=8).eval()
    network.save_pretrained(tmp_path / "own")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = load_segmenter("own", tmp_path / "own")(image)
    assert torch.allclose(found, network.probabilities(image)[:, 2:3], atol=1e-5)
    SegmentationNetwork(labels=["nothing", "tree"], width=8, auxiliary=8).save_pretrained(tmp_path / "trees")
    with pytest.raises(InputError, match="know nothing, tree, but no 'person'"):
        load_segmenter("own", tmp_path / "trees")


def test_what_a_network_is_shown() -> None:
    visible, mask = torch.rand(2, 3, 48, 64), torch.zeros(2, 1, 48, 64)
    mask[:, :, :5] = 1
    kinds = ("grey", "edges", "masks", "masks-published")
    shown = show(visible, kinds, mask)
    assert shown.shape == (2, 4, 48, 64)
    assert torch.allclose(shown[:, :1], 0.299 * visible[:, :1] + 0.587 * visible[:, 1:2] + 0.114 * visible[:, 2:])
    assert torch.equal(shown[:, 2:3], mask) and torch.equal(shown[:, 3:], 1 - mask)
    infrared = visible[:, :1]
    assert torch.equal(show(infrared, ["grey"]), infrared)
    assert show(infrared, [k for k in KINDS if not k.startswith("masks")]).shape == (2, 6, 48, 64)
    with pytest.raises(ValueError, match="needs a mask"):
        show(visible, ["masks"])


def test_kinds_are_checked() -> None:
    with pytest.raises(InputError, match="did you mean 'contours'"):
        check_kinds(["contour"])
    for wrong in ("grey", []):
        with pytest.raises(InputError, match="give a list"):
            check_kinds(wrong)
