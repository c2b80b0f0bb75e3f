from __future__ import annotations

import pytest
import torch

from ldfusion.diffusion.schedule import make_schedule
from ldfusion.errors import InputError


@pytest.mark.parametrize(
    ("kind", "expected"), [("linear", (0.0074, 0.0785, 0.1567)), ("cosine", (0.0106, 0.0499, 0.0894))]
)
def test_noise_at_the_timesteps_of_dif_fusion(kind: str, expected: tuple[float, ...]) -> None:
    schedule = make_schedule(kind)
    levels = [(1 - schedule.alphas_cumprod[t - 1]).sqrt().item() for t in (5, 50, 100)]
    assert levels == pytest.approx(expected, abs=6e-5)


def test_the_hundredth_level_is_the_published_one() -> None:
    assert make_schedule("linear").alphas_cumprod[99].item() == pytest.approx(0.97544, abs=5e-6)
    assert make_schedule("cosine").alphas_cumprod[99].item() == pytest.approx(0.992007, abs=1e-6)


def test_noising_keeps_the_variance_of_a_standardised_image() -> None:
    generator = torch.Generator().manual_seed(0)
    schedule = make_schedule()
    image, noise = (torch.randn(1, 4, 64, 64, generator=generator) for _ in range(2))
    noisy = schedule.add_noise(image, noise, torch.tensor([999]))
    assert noisy.var().item() == pytest.approx(1, abs=0.03)
    a = schedule.alphas_cumprod[999]
    assert torch.allclose(noisy, a.sqrt() * image + (1 - a).sqrt() * noise, atol=1e-6)


def test_an_unknown_kind_names_the_nearest_known_one() -> None:
    with pytest.raises(InputError, match="unknown noise schedule 'cosin'; did you mean 'cosine'"):
        make_schedule("cosin")
