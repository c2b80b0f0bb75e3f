from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ldfusion.evaluation.metrics import DEFAULT, METRICS, PANEL, RANKED, compute_metrics

Pairs = Callable[[str], tuple[Tensor, Tensor, Tensor]]

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
        "Qcb": 0.445116,
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
        "Qcb": 0.385713,
    },
}
# piq computes in float32, which moves SSIM by up to 2.3e-5; in float64 it gives our digits.
GOLDEN_SSIM = {"arithmetic": (1.108669, 1.108672), "smooth": (1.210271, 1.210294)}


@pytest.mark.parametrize(("pair", "name"), [(pair, name) for pair in GOLDEN for name in GOLDEN[pair]])
def test_golden_value(triple: Pairs, pair: str, name: str) -> None:
    assert METRICS[name](*triple(pair)).item() == pytest.approx(GOLDEN[pair][name], abs=5.1e-7)


@pytest.mark.parametrize("pair", list(GOLDEN_SSIM))
def test_golden_ssim(triple: Pairs, pair: str) -> None:
    single, double = GOLDEN_SSIM[pair]
    value = METRICS["SSIM"](*triple(pair)).item()
    assert value == pytest.approx(double, abs=5.1e-7)
    assert value == pytest.approx(single, abs=3e-5)


def test_golden_values_of_fewer_digits(triple: Pairs) -> None:
    values = compute_metrics(*triple("arithmetic"), ["MS-SSIM", "Qcv"])
    assert values["MS-SSIM"].item() == pytest.approx(1.243919, abs=3e-5)  # of a program in float32
    assert values["Qcv"].item() == pytest.approx(1564.70, abs=0.005)
    assert METRICS["Qcv"](*triple("smooth")).item() == pytest.approx(998.44, abs=0.005)
    assert METRICS["Nabf"](*triple("smooth")).item() == pytest.approx(0, abs=1e-6)


def test_fmi_against_a_direct_reading() -> None:
    """Window by window in plain Python, the joint distribution from cumulative sums (Nelsen, 1987)."""
    generator = torch.Generator().manual_seed(3)
    fused, visible, infrared = (torch.randint(0, 6, (1, 1, 5, 6), generator=generator).float() for _ in range(3))
    fused[..., :3, :3] = 7  # a flat window
    visible[..., 2:, 3:] = fused[..., 2:, 3:]  # one that is copied

    def bits(p: list[float]) -> float:
        return -sum(abs(q) * math.log2(abs(q)) for q in p if q != 0)

    def density(window: Tensor) -> list[float]:
        values = window.T.flatten().tolist()
        low, high = min(values), max(values)
        scaled = [1.0 if low == high else (v - low) / (high - low) for v in values]
        return [v / sum(scaled) for v in scaled]

    def shared(p: list[float], q: list[float]) -> float:
        places = range(9)
        a, b = [x - 1 / 9 for x in p], [x - 1 / 9 for x in q]
        norm = math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
        c = sum(x * y for x, y in zip(a, b, strict=True)) / norm if norm else 0.0
        spread = [
            math.sqrt(abs(sum(d[k] * (k + 1) ** 2 for k in places) - sum(d[k] * (k + 1) for k in places) ** 2))
            for d in (p, q)
        ]
        cp, cq = ([sum(d[: k + 1]) for k in places] for d in (p, q))

        def bound(i: int, j: int) -> float:
            if i < 0 or j < 0:
                return 0.0
            return min(cp[i], cq[j]) if c >= 0 else max(cp[i] + cq[j] - 1, 0.0)

        covariance = sum(bound(i, j) - cp[i] * cq[j] for i in places for j in places)
        wanted = c * spread[0] * spread[1]
        share = wanted / covariance if wanted and covariance else 0.0
        joint = [
            share * (bound(i, j) - bound(i - 1, j) - bound(i, j - 1) + bound(i - 1, j - 1)) + (1 - share) * p[i] * q[j]
            for i in places
            for j in places
        ]
        total = bits(p) + bits(q)
        return 1.0 if p == q else 2 * (total - bits(joint)) / total

    windows = [(slice(i, i + 3), slice(j, j + 3)) for i in range(3) for j in range(4)]
    expected = sum(
        shared(density(fused[0, 0][w]), density(source[0, 0][w])) for source in (visible, infrared) for w in windows
    ) / (2 * len(windows))
    assert METRICS["FMI"](fused, visible, infrared).item() == pytest.approx(expected, abs=1e-9)
    assert METRICS["FMI"](fused, fused, fused).item() == pytest.approx(1)


def test_nabf_counts_what_no_source_has() -> None:
    flat = torch.full((1, 1, 32, 32), 100.0)
    edge = flat.clone()
    edge[..., 16:] = 180
    stronger = edge.clone()
    stronger[..., 16:] = 250
    assert METRICS["Nabf"](edge, edge, flat).item() == pytest.approx(0)
    assert METRICS["Nabf"](stronger, edge, flat).item() > 0.1
    assert METRICS["Nabf"](stronger, stronger, edge).item() < METRICS["Nabf"](stronger, edge, edge).item()


def test_clipped_pixels_beyond_those_of_the_sources() -> None:
    visible, infrared, fused = (torch.full((1, 1, 4, 5), 100.0) for _ in range(3))
    visible[..., 0, :2] = 255  # 10 %
    infrared[..., 1, :1] = 0  # 5 %
    fused[..., 0, :4], fused[..., 3, :3] = 255, 0.4  # 35 %
    assert METRICS["clipped"](fused, visible, infrared).item() == pytest.approx(25)
    assert METRICS["clipped"](fused, infrared, visible).item() == pytest.approx(25)
    assert METRICS["clipped"](infrared, visible, infrared).item() == 0
    shared = METRICS["clipped"](torch.cat([fused, visible]), visible, infrared)
    assert shared.tolist() == pytest.approx([25, 0]) and not METRICS["clipped"].higher_is_better


def test_the_columns_of_the_published_table() -> None:
    assert PANEL == ("EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD", "CC", "Nabf", "colour", "clipped")
    assert RANKED == PANEL[:8] and set(PANEL) <= set(DEFAULT)
    assert [name for name in PANEL if not METRICS[name].higher_is_better] == ["Nabf", "colour", "clipped"]


def test_methods_share_their_sources(triple: Pairs) -> None:
    first, second = triple("arithmetic"), triple("smooth")
    fused = torch.cat([first[0], second[0]])
    together = compute_metrics(fused, *first[1:])
    for name, values in together.items():
        apart = [METRICS[name](image[None], *first[1:]).item() for image in fused]
        assert values.tolist() == pytest.approx(apart, rel=1e-12, nan_ok=True), name


def test_batch_equals_single_images(triple: Pairs) -> None:
    first, second = triple("arithmetic"), triple("smooth")
    together = compute_metrics(*(torch.cat(images) for images in zip(first, second, strict=True)))
    for name, values in together.items():
        assert values.shape == (2,) and values.dtype == torch.float64
        apart = torch.cat([METRICS[name](*first), METRICS[name](*second)])
        torch.testing.assert_close(values, apart, rtol=1e-12, atol=1e-15, equal_nan=True)


@pytest.mark.parametrize("name", ["MI", "VIF", "Qabf", "SCD", "CC", "SSIM", "PSNR"])
def test_sources_are_interchangeable(triple: Pairs, name: str) -> None:
    fused, visible, infrared = triple("smooth")
    torch.testing.assert_close(METRICS[name](fused, visible, infrared), METRICS[name](fused, infrared, visible))


def test_values_of_a_copied_source(triple: Pairs) -> None:
    visible = triple("smooth")[1]
    copied = compute_metrics(visible, visible, visible, ["VIF", "CC", "SSIM", "MI", "EN", "PSNR"])
    assert copied["VIF"].item() == pytest.approx(2, abs=1e-6)
    assert copied["SSIM"].item() == pytest.approx(2)
    assert copied["CC"].item() == pytest.approx(1)
    assert copied["MI"].item() == pytest.approx(2 * copied["EN"].item())
    assert copied["PSNR"].isinf().all()


def test_why_there_is_no_value() -> None:
    assert METRICS["VIF"].reason(32, 500) == "needs 41 pixels a side, the image has 500x32"
    assert METRICS["VIF"].reason(64, 64) == "a source has no detail"
    assert METRICS["MS-SSIM"].reason(160, 400).startswith("needs 161")
    small = torch.rand(1, 1, 160, 200) * 255
    assert METRICS["MS-SSIM"](small, small, small).isnan().all()


def test_undefined_values_are_nan_and_the_others_finite() -> None:
    flat = torch.zeros(1, 1, 32, 35)
    values = compute_metrics(flat, flat, flat)
    assert {name for name, value in values.items() if value.isnan()} == {
        "VIF",
        "Qabf",
        "SCD",
        "CC",
        "MS-SSIM",
        "Qcb",
        "Qcv",
        "colour",  # of luma
    }
    assert values["EN"].item() == 0 and values["SF"].item() == 0


def test_wrong_shapes_are_named() -> None:
    image = torch.zeros(1, 1, 48, 48)
    with pytest.raises(ValueError, match=r"\(1, 3, 48, 48\)"):
        METRICS["EN"](torch.zeros(1, 3, 48, 48), image, image)
    with pytest.raises(ValueError, match="sizes differ"):
        METRICS["MI"](image, image, torch.zeros(1, 1, 48, 50))
