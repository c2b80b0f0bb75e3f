"""What computes without training, on an accelerator: a pretended one if there is none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from depth.estimator import wrap_network
from depth.twin import TwinDepth
from ldfusion.detection.load import load_detector
from ldfusion.evaluation.conventions import CONVENTIONS
from ldfusion.fusion.methods import load_method
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration.methods import load_registrar
from ldfusion.registry import FUSION
from ldfusion.registry import REGISTRATION as REGISTRARS
from ldfusion.segmentation.network import load_segmenter

Scene = tuple[Tensor, Tensor]


@pytest.fixture
def pairs() -> Scene:
    """Two pairs on the CPU: (2, 3, 64, 80) and (2, 1, 64, 80)."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 64, 80, generator=generator), torch.rand(2, 1, 64, 80, generator=generator)


def hub_depth_model() -> torch.nn.Module:
    """An untrained depth model of transformers."""
    from transformers import DepthAnythingConfig, Dinov2Config
    from transformers.models.depth_anything import DepthAnythingForDepthEstimation

    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, out_indices=[1, 2],
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, patch_size=14, neck_hidden_sizes=[8, 8],
        reassemble_factors=[2, 1], fusion_hidden_size=8, head_hidden_size=4,
    )  # fmt: skip
    return DepthAnythingForDepthEstimation(config)


def test_the_pipeline(weights: str, pairs: Scene, accelerator: torch.device) -> None:
    pipe = LDFusionPipeline.from_pretrained(weights)
    expected = pipe(*pairs, prompt="a person near")
    out = pipe.to(accelerator)(*pairs, prompt="a person near")
    assert {x.device.type for x in (out.fused, out.depth, out.depth_visible, out.depth_infrared)} == {accelerator.type}
    torch.testing.assert_close(out.fused.cpu(), expected.fused, atol=2e-3, rtol=0)
    first, second = (x[:1] for x in pairs)
    assert pipe(first, second, tone="bright", output_type="np").fused.shape == (1, 64, 80, 3)
    assert len(pipe(first, second, generator=torch.Generator().manual_seed(0), output_type="pil").depth) == 1


def test_the_pipeline_with_a_depth_model_of_transformers(weights: str, pairs: Scene, accelerator: torch.device) -> None:
    parts = LDFusionPipeline.from_pretrained(weights).components
    pipe = LDFusionPipeline(**{**parts, "depth_visible": hub_depth_model()}).to(accelerator)
    assert pipe(pairs[0][:1], pairs[1][:1], prompt="a person").depth.device.type == accelerator.type


@pytest.mark.parametrize("name", FUSION)
def test_a_fusion_method(name: str, weights: str, pairs: Scene, accelerator: torch.device) -> None:
    options = {"weights": weights} if name == "ldfusion" else {}
    fused = load_method(name, accelerator, **options).fuse(*(x.to(accelerator) for x in pairs))
    assert fused.device.type == accelerator.type
    torch.testing.assert_close(fused.cpu(), load_method(name, **options).fuse(*pairs), atol=2e-3, rtol=0)


def test_fusion_by_a_sentence_that_is_held(weights: str, pairs: Scene, accelerator: torch.device) -> None:
    method = LDFusionPipeline.from_pretrained(weights).to(accelerator)
    visible, infrared = (x[:1].to(accelerator) for x in pairs)
    text, feature = method.sentence(visible, infrared)
    frames, held = method.guide(), []
    for time in (0.0, 0.1):
        frames.follow(feature, time)
        held.append(frames.fuse(visible, infrared))
    assert text
    for fused in held:
        torch.testing.assert_close(fused, method.fuse(visible, infrared), atol=2e-3, rtol=0)


def test_fusion_by_a_sentence_moves_after_use(weights: str, pairs: Scene, accelerator: torch.device) -> None:
    method = LDFusionPipeline.from_pretrained(weights)
    method.fuse(*pairs)
    there = tuple(x.to(accelerator) for x in pairs)
    assert method.to(accelerator).fuse(*there).device.type == accelerator.type
    frames = method.guide("a person near")
    assert frames.fuse(*(x[:1] for x in there)).device.type == accelerator.type


def test_twin_depth_and_its_gradient(weights: str, pairs: Scene, accelerator: torch.device) -> None:
    pipe = LDFusionPipeline.from_pretrained(weights)
    twin = TwinDepth(wrap_network(hub_depth_model()), wrap_network(pipe.depth_infrared)).to(accelerator)
    visible, infrared = (x.to(accelerator).requires_grad_() for x in pairs)
    for inverse in (twin.visible(visible), twin.infrared(infrared), twin.fused(visible)):
        assert inverse.shape == (2, 1, 64, 80) and inverse.device.type == accelerator.type
        inverse.sum().backward()
    assert visible.grad is not None and visible.grad.device == visible.device


def test_segmentation_and_detection(pairs: Scene, accelerator: torch.device) -> None:
    visible = pairs[0].to(accelerator)
    assert load_segmenter(device=accelerator).segment(visible).device.type == accelerator.type
    detector = load_detector()
    assert isinstance(detector, torch.nn.Module)
    assert len(detector.to(accelerator)(visible)) == 2


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_metrics(convention: str, accelerator: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    images = [(255 * torch.rand(1, 1, 192, 208, generator=generator)).round() for _ in range(3)]
    moved = [image.to(accelerator) for image in images]
    for name, measure in CONVENTIONS[convention].measures.items():
        value = measure(*moved)
        assert value.device.type == accelerator.type, name
        torch.testing.assert_close(value.cpu(), measure(*images), rtol=1e-3, atol=1e-3, equal_nan=True, msg=name)


@pytest.mark.slow  # the pretended accelerator looks at each of the many small operations: five to ten seconds each
@pytest.mark.parametrize("name", sorted(set(REGISTRARS) - {"auto"}))
def test_a_registrar(name: str, drawn_scene: Scene, accelerator: torch.device) -> None:
    options = {} if name == "identity" else {"device": accelerator}
    found = load_registrar(name, **options)(*drawn_scene)
    expected = load_registrar(name)(*drawn_scene)
    assert found.score == pytest.approx(expected.score, abs=0.05)
