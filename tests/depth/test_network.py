from __future__ import annotations

from pathlib import Path

import pytest
import torch

from depth.losses import ssi_loss
from depth.network import DepthStudent

TINY = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 64}


@pytest.mark.parametrize("channels", [1, 3])
def test_output_is_one_non_negative_map_of_the_input_size(channels: int) -> None:
    torch.manual_seed(0)
    student = DepthStudent(in_channels=channels, **TINY).eval()
    inverse = student(torch.rand(2, channels, 64, 96))
    assert inverse.shape == (2, 1, 64, 96)
    assert inverse.dtype == torch.float32 and (inverse >= 0).all()


def test_gain_and_offset_of_the_image_do_not_matter() -> None:
    torch.manual_seed(0)
    student = DepthStudent(**TINY).eval()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(student(image), student(0.6 * image + 0.3), rtol=5e-3, atol=5e-3)
    assert student(torch.full_like(image, 0.5)).isfinite().all()


def test_every_parameter_and_the_image_get_a_gradient() -> None:
    torch.manual_seed(0)
    student = DepthStudent(**TINY).train()
    for name, parameter in student.named_parameters():  # a zero-started BatchNorm hides its block in the first step
        if name.endswith("norm.weight"):
            torch.nn.init.ones_(parameter)
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    ssi_loss(student(image), torch.rand(2, 1, 64, 64)).mean().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    without = [n for n, p in student.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert without == []


def test_learns_a_ramp() -> None:
    torch.manual_seed(0)
    student = DepthStudent(**TINY).train()
    image = torch.rand(4, 3, 64, 64)
    target = torch.linspace(0, 1, 64)[:, None].expand(4, 1, 64, 64)
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    first = ssi_loss(student(image), target).mean().item()
    for _ in range(25):
        optimizer.zero_grad()
        loss = ssi_loss(student(image), target).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7 * first


def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = DepthStudent(in_channels=1, **TINY).eval()
    student.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    again = DepthStudent.from_pretrained(tmp_path, low_cpu_mem_usage=False).eval()
    image = torch.rand(1, 1, 64, 64)
    assert torch.equal(student(image), again(image))


def test_default_size_is_within_its_budget() -> None:
    parameters = sum(p.numel() for p in DepthStudent().parameters())
    assert 1.5e6 < parameters < 2.7e6


def test_wrong_inputs_say_what_is_right() -> None:
    student = DepthStudent(**TINY).eval()
    with pytest.raises(ValueError, match="multiples of 32"):
        student(torch.rand(1, 3, 60, 64))
    with pytest.raises(ValueError, match="3 channels"):
        student(torch.rand(1, 1, 64, 64))
    with pytest.raises(ValueError, match="four stages"):
        DepthStudent(widths=(8, 8))
    with pytest.raises(ValueError, match="multiple of 32"):
        DepthStudent(working_size=100)
