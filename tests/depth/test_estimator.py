from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from depth.estimator import HubEstimator, StudentEstimator, load_estimator, working_shape
from depth.network import DepthStudent

TINY = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 64}


def save_depth_anything(folder: Path, kind: str = "relative") -> None:
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=20 if kind == "metric" else 1,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)


def test_working_shape_keeps_the_aspect_and_the_multiple() -> None:
    assert working_shape(480, 640, 256, 32) == (256, 352)
    assert working_shape(640, 480, 256, 32) == (352, 256)
    assert working_shape(240, 320, 518, 14) == (518, 686)
    assert working_shape(32, 4000, 64, 32) == (64, 256)


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (130, 90)])
def test_student_estimator_gives_back_the_caller_size(tmp_path: Path, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    DepthStudent(in_channels=1, **TINY).save_pretrained(tmp_path)
    estimator = load_estimator(tmp_path)
    assert isinstance(estimator, StudentEstimator)
    assert (estimator.channels, estimator.metric, estimator.training) == (1, False, False)
    images = torch.rand(2, 1, *size, requires_grad=True)
    inverse = estimator(images)
    assert inverse.shape == (2, 1, *size) and (inverse >= 0).all()
    inverse.mean().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert all(not p.requires_grad for p in estimator.parameters())


@pytest.mark.parametrize("channels", [1, 3])
def test_hub_estimator_from_a_folder(tmp_path: Path, channels: int) -> None:
    save_depth_anything(tmp_path)
    estimator = load_estimator(tmp_path, short_side=56)
    assert isinstance(estimator, HubEstimator) and not estimator.metric
    images = torch.rand(2, channels, 61, 75, requires_grad=True)
    inverse = estimator(images)
    assert inverse.shape == (2, 1, 61, 75) and (inverse >= 0).all()
    inverse.sum().backward()
    assert images.grad is not None and images.grad.isfinite().all()


def test_metric_model_is_inverted(tmp_path: Path) -> None:
    save_depth_anything(tmp_path, "metric")
    estimator = load_estimator(tmp_path, short_side=56)
    assert estimator.metric
    images = torch.rand(1, 3, 56, 56)
    normalised = (images - estimator.mean) / estimator.std
    metres = estimator.model(pixel_values=normalised).predicted_depth
    torch.testing.assert_close(estimator(images)[:, 0], 1 / metres)


def test_missing_models_say_what_and_which_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FileNotFoundError, match=r"nobody/nothing .* --depth embedded") as caught:
        load_estimator("nobody/nothing", local_files_only=True, hint="pass --depth embedded")
    assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_estimator(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "DepthStudent"}))
    with pytest.raises(FileNotFoundError, match="weights") as caught:
        load_estimator(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_estimator(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match="no depth estimation model") as caught:
        load_estimator(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_teacher_orders_near_and_far() -> None:
    folder = os.environ.get("LDFUSION_TEACHER")
    if not folder:
        pytest.skip("set LDFUSION_TEACHER to a folder with Depth Anything V2 Small")
    estimator = load_estimator(folder, short_side=252)
    assert isinstance(estimator, HubEstimator) and not estimator.metric
    inverse = estimator(torch.rand(1, 1, 120, 161))
    assert inverse.shape == (1, 1, 120, 161) and inverse.isfinite().all() and inverse.max() > 0
