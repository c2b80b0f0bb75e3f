from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ldfusion.evaluation.metrics import METRICS, compute_metrics

Triple = tuple[Tensor, Tensor, Tensor]

# Two pairs that a formula defines; the values were obtained with independent programs (MATLAB definitions, piq).
GOLDEN = {
    "arithmetic": {
        "EN": 7.721682,
        "MI": 2.793248,
        "SF": 67.943151,
        "SD": 54.397386,
        "AG": 21.841531,
        "CC": 0.679765,
        "SCD": 1.361423,
        "PSNR": 12.835899,
        "VIF": 0.224328,
        "Qabf": 0.321731,
    },
    "smooth": {
        "EN": 7.286098,
        "MI": 2.662823,
        "SF": 6.458309,
        "SD": 38.903348,
        "AG": 4.134262,
        "CC": 0.664806,
        "SCD": 1.459071,
        "PSNR": 15.362401,
        "VIF": 0.355878,
        "Qabf": 0.308008,
    },
}
# piq computes in float32, which moves SSIM by up to 2.3e-5; in float64 it gives our digits.
GOLDEN_SSIM = {"arithmetic": (1.108669, 1.108672), "smooth": (1.210271, 1.210294)}


def triple(name: str) -> Triple:
    """(fused, visible, infrared), each (1, 1, 192, 208)."""
    i, j = torch.arange(192).view(-1, 1), torch.arange(208).view(1, -1)
    if name == "arithmetic":
        infrared, visible = (7 * i + 13 * j) % 256, (i * i + 3 * j) % 256
        fused = (infrared + visible + 2 * torch.maximum(infrared, visible)) // 4
    else:
        i, j = i.double(), j.double()
        infrared = (127.5 + 100 * torch.sin(i / 9) * torch.cos(j / 7)).round()
        visible = (120 + 90 * torch.sin((i + 2 * j) / 15)).round()
        fused = (0.6 * torch.maximum(infrared, visible) + 0.4 * torch.minimum(infrared, visible)).round()
    return fused.float()[None, None], visible.float()[None, None], infrared.float()[None, None]


@pytest.mark.parametrize(("pair", "name"), [(pair, name) for pair in GOLDEN for name in GOLDEN[pair]])
def test_golden_value(pair: str, name: str) -> None:
    assert METRICS[name](*triple(pair)).item() == pytest.approx(GOLDEN[pair][name], abs=5.1e-7)


@pytest.mark.parametrize("pair", list(GOLDEN_SSIM))
def test_golden_ssim(pair: str) -> None:
    single, double = GOLDEN_SSIM[pair]
    value = METRICS["SSIM"](*triple(pair)).item()
    assert value == pytest.approx(double, abs=5.1e-7)
    assert value == pytest.approx(single, abs=3e-5)


def test_batch_equals_single_images() -> None:
    first, second = triple("arithmetic"), triple("smooth")
    together = compute_metrics(*(torch.cat(images) for images in zip(first, second, strict=True)))
    for name, values in together.items():
        assert values.shape == (2,) and values.dtype == torch.float64
        apart = torch.cat([METRICS[name](*first), METRICS[name](*second)])
        torch.testing.assert_close(values, apart, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["MI", "VIF", "Qabf", "SCD", "CC", "SSIM", "PSNR"])
def test_sources_are_interchangeable(name: str) -> None:
    fused, visible, infrared = triple("smooth")
    torch.testing.assert_close(METRICS[name](fused, visible, infrared), METRICS[name](fused, infrared, visible))


def test_values_of_a_copied_source() -> None:
    visible = triple("smooth")[1]
    copied = compute_metrics(visible, visible, visible, ["VIF", "CC", "SSIM", "MI", "EN", "PSNR"])
    assert copied["VIF"].item() == pytest.approx(2, abs=1e-6)
    assert copied["SSIM"].item() == pytest.approx(2)
    assert copied["CC"].item() == pytest.approx(1)
    assert copied["MI"].item() == pytest.approx(2 * copied["EN"].item())
    assert copied["PSNR"].isinf().all()


def test_undefined_values_are_nan_and_the_others_finite() -> None:
    flat = torch.zeros(1, 1, 32, 35)
    values = compute_metrics(flat, flat, flat)
    assert {name for name, value in values.items() if value.isnan()} == {"VIF", "Qabf", "SCD", "CC"}
    assert values["EN"].item() == 0 and values["SF"].item() == 0


def test_wrong_shapes_are_named() -> None:
    image = torch.zeros(1, 1, 48, 48)
    with pytest.raises(ValueError, match=r"\(1, 3, 48, 48\)"):
        METRICS["EN"](torch.zeros(1, 3, 48, 48), image, image)
    with pytest.raises(ValueError, match="sizes differ"):
        METRICS["MI"](image, image, torch.zeros(1, 1, 48, 50))
