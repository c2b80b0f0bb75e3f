from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion.config import DataConfig
from ldfusion.data.pairs import build_dataset
from ldfusion.errors import InputError
from ldfusion.segmentation import SegmentationNetwork, load_segmenter
from ldfusion.segmentation import network as module
from ldfusion.segmentation.metrics import SegmentationScore

SMALL = {"options": {"channels": [8, 8, 16, 16]}, "width": 16, "auxiliary": 8}


@pytest.fixture(scope="module")
def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return SegmentationNetwork(**SMALL).eval()


@pytest.mark.parametrize("size", [(32, 32), (37, 45), (64, 97)])
def test_scores_have_the_size_of_the_image(network: SegmentationNetwork, size: tuple[int, int]):
    with torch.no_grad():
        logits = network(torch.rand(2, 3, *size))
    assert logits.main.shape == logits.auxiliary.shape == (2, 4, *size)
    assert network(torch.rand(1, 1, *size), auxiliary=False).auxiliary is None


def test_the_published_sizes():
    """ResNet-18 (11,176,512 without its classifier) and 128 channels; the class count changes only the last layers."""
    nine = SegmentationNetwork(labels="msrs")
    assert nine.features.feature_info.channels() == [128, 256, 512]
    assert nine.features.feature_info.reduction() == [8, 16, 32]
    assert nine.head[0][0].weight.shape == (128, 128, 3, 3) and nine.head[1].weight.shape == (9, 128, 1, 1)
    assert nine.auxiliary_head[0][0].weight.shape == (64, 128, 3, 3)
    assert nine.auxiliary_head[1].weight.shape == (9, 64, 1, 1)
    count = {
        labels: sum(p.numel() for p in SegmentationNetwork(labels=labels).parameters())
        for labels in ("msrs", "objects")
    }
    assert count["msrs"] - count["objects"] == 5 * (128 + 1 + 64 + 1)
    refine = sum(9 * c * 128 + 256 + 128 * 128 + 256 for c in (128, 256, 512))
    merge = 2 * (9 * 128 * 128 + 256 + 256 * 128 + 256)
    gates, join = 2 * (128 * 128 + 256), 128 * 128 + 256
    heads = 9 * 128 * 128 + 256 + 129 * 9 + 9 * 128 * 64 + 128 + 65 * 9
    assert count["msrs"] == 11_176_512 + refine + merge + gates + join + heads


def test_every_weight_learns():
    torch.manual_seed(0)
    network = SegmentationNetwork(**SMALL)
    logits = network(torch.rand(4, 3, 64, 64))
    (logits.main.square().mean() + logits.auxiliary.square().mean()).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    # timm's residual branches start at zero, so that their inner layers learn from the second step on
    assert not [name for name in idle if not name.startswith("features.layer")]


def test_labels_are_the_most_probable_classes(network: SegmentationNetwork):
    image = torch.rand(2, 3, 40, 48)
    probabilities, labels = network.probabilities(image), network.segment(image)
    assert torch.allclose(probabilities.sum(1), torch.ones(2, 40, 48), atol=1e-5)
    assert labels.dtype == torch.int64 and torch.equal(labels, probabilities.argmax(1))
    assert torch.equal(network.segment(image[:, :1]), network.segment(image[:, :1].expand(-1, 3, -1, -1)))


def test_a_large_image_is_read_at_a_bounded_size(network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, ...]] = []
    handle = network.features.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[-2:])))
    monkeypatch.setattr(module, "LARGEST_SIDE", 80)
    labels = network.segment(torch.rand(1, 3, 96, 160))
    handle.remove()
    assert labels.shape == (1, 96, 160) and seen == [(48, 80)]


def test_a_network_reads_images_at_the_size_it_has_learned(tmp_path: Path):
    """A larger one at its working side, a smaller one as it is, and so is every crop in training."""
    network = SegmentationNetwork(**SMALL, working_side=48).eval()
    seen: list[tuple[int, ...]] = []
    network.features.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[-2:])))
    image = torch.rand(1, 3, 96, 160)
    assert network.segment(image).shape == (1, 96, 160)
    network.segment(image[..., :40, :64])
    network(image)
    assert seen == [(48, 80), (40, 64), (96, 160)]
    network.save_pretrained(tmp_path)
    assert load_segmenter(tmp_path).working_side == 48
    with pytest.raises(InputError, match=r"model\.working_side=20: must be 32 pixels or more, or 0"):
        SegmentationNetwork(**SMALL, working_side=20)


def test_save_and_load(network: SegmentationNetwork, tmp_path: Path):
    network.save_pretrained(tmp_path)
    again = load_segmenter(tmp_path)
    image = torch.rand(1, 3, 40, 48)
    assert not again.training and again.classes.names == ("background", "car", "person", "bike")
    assert torch.allclose(again.probabilities(image), network.probabilities(image), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"backbone": "resnet81"}, "timm has no 'resnet81'; did you mean 'resnet"),
        ({"options": {"chanels": [8]}}, r"model\.backbone=resnet18 with .*chanels"),
        ({"backbone": "vit_tiny_patch16_224"}, r"no features at strides \(8, 16, 32\)"),
        ({"labels": "mrss"}, "label set: unknown 'mrss'"),
    ],
)
def test_what_cannot_be_built(arguments, expected):
    with pytest.raises(InputError, match=expected) as caught:
        SegmentationNetwork(**arguments)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read(network: SegmentationNetwork, tmp_path: Path):
    with pytest.raises(InputError, match="40x31 pixels; both sides must be 32 or more"):
        network(torch.rand(1, 3, 31, 40))
    with pytest.raises(InputError, match=r"raise train\.batch"):
        SegmentationNetwork(**SMALL)(torch.rand(1, 3, 40, 40))
    with pytest.raises(InputError, match=r"no config\.json there; give the folder of a trained segmentation network"):
        load_segmenter(tmp_path)


def test_the_embedded_network_is_small_and_names_what_the_masks_hold():
    network = load_segmenter()
    assert network.classes.names[:4] == ("background", "car", "person", "bike") and len(network.classes) == 9
    assert sum(p.numel() for p in network.parameters()) * 2 < 4e6
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_the_embedded_network_on_real_pairs(real_pairs: Path):
    """On validation pairs it finds cars where the detector's masks show them: an answer without any has an IoU of 0."""
    dataset = build_dataset(DataConfig(root=str(real_pairs), limit=12), 0, False, masks=True, native=True)
    network = load_segmenter()
    score = SegmentationScore(network.classes)
    for item in (dataset[k] for k in range(len(dataset))):
        score.add(network.segment(item["visible"][None])[0], item["mask"])
    iou = score.iou()
    assert iou["background"] > 0.92 and iou["car"] > 0.3
