"""Numbers of other evaluation programs, against the values measured with them on two pairs that a formula defines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ldfusion.commands import evaluate
from ldfusion.errors import InputError
from ldfusion.evaluation.conventions import CONVENTIONS, get_convention
from ldfusion.evaluation.metrics import compute_metrics
from ldfusion.evaluation.toolboxes import exchanged_nabf

Pairs = Callable[[str], tuple[Tensor, Tensor, Tensor]]

GOLDEN = {
    ("tang", "arithmetic"): {"MI": 2.807806, "PSNR": 60.966703, "VIF": 0.224328, "SD": 54.397386, "SF": 67.943151},
    ("tang", "smooth"): {"VIF": 0.355878, "AG": 4.134262},
    ("tang-published", "arithmetic"): {"EN": 7.721682, "MI": 2.807806, "SD": 11.051965, "SF": 67.943151 / 255},
    ("tang-published", "smooth"): {"SD": 10.375693, "CC": 0.664806, "SCD": 1.459071, "SF": 6.458309 / 255},
    ("zoo", "arithmetic"): {"AG": 21.623312, "Nabf": 0.000067, "Qcb": 0.453272, "PSNR": 60.966703},
    ("zoo", "smooth"): {"AG": 4.092957, "Nabf": 0.0, "Qcb": 0.411718},
    ("vifb", "arithmetic"): {"Qcb": 0.445116, "Qcv": 1564.70, "SD": 54.397386, "AG": 21.841531},
    ("vifb", "smooth"): {"Qcb": 0.385713, "Qcv": 998.44, "EN": 7.286098},
}


@pytest.mark.parametrize(("convention", "pair"), list(GOLDEN))
def test_golden_values(triple: Pairs, convention: str, pair: str) -> None:
    expected = GOLDEN[convention, pair]
    values = compute_metrics(*triple(pair), list(expected), get_convention(convention).measures)
    for name, value in values.items():
        assert value.item() == pytest.approx(expected[name], abs=0.005 if name == "Qcv" else 5.1e-7), name


def test_published_vif_saturates_at_the_first_scale_only(triple: Pairs) -> None:
    """Against a direct reading: 2-D windows, products cut at 255 where the images are still 8-bit."""
    signal = pytest.importorskip("scipy.signal")

    def vifp(ref: np.ndarray, dist: np.ndarray) -> float:
        num = den = 0.0
        for scale, n in enumerate((17, 9, 5, 3)):
            x = np.arange(n) - n // 2
            window = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * (n / 5) ** 2))
            window /= window.sum()

            def mean(image: np.ndarray, window: np.ndarray = window) -> np.ndarray:
                return signal.convolve2d(image, window, mode="valid")

            if scale:
                ref, dist = mean(ref)[::2, ::2], mean(dist)[::2, ::2]
            cut = 255 if scale == 0 else np.inf
            a, b = mean(ref), mean(dist)
            va = np.maximum(mean(np.minimum(ref * ref, cut)) - a * a, 0)
            vb = np.maximum(mean(np.minimum(dist * dist, cut)) - b * b, 0)
            cab = mean(np.minimum(ref * dist, cut)) - a * b
            ok = (va >= 1e-10) & (vb >= 1e-10) & (cab > 0)
            g = np.where(ok, cab / (va + 1e-10), 0)
            sv = np.maximum(np.where(ok, vb - g * cab, vb), 1e-10)
            num += np.log10(1 + g * g * va / (sv + 2)).sum()
            den += np.log10(1 + va / 2).sum()
        return num / den

    for pair in ("arithmetic", "smooth"):
        fused, visible, infrared = (image[0, 0].double().numpy() for image in triple(pair))
        expected = vifp(visible, fused) + vifp(infrared, fused)
        measured = CONVENTIONS["tang-published"].measures["VIF"](*triple(pair)).item()
        assert measured == pytest.approx(expected, rel=1e-6)
        assert abs(measured - CONVENTIONS["tang"].measures["VIF"](*triple(pair)).item()) > 0.005


def test_zoo_vif_is_padded_and_off_centre(triple: Pairs) -> None:
    signal = pytest.importorskip("scipy.signal")
    fused, visible, infrared = (image[0, 0, :50, :60].double().numpy() for image in triple("smooth"))

    def vifp(ref: np.ndarray, dist: np.ndarray) -> float:
        num = den = 0.0
        for scale, n in enumerate((17, 9, 5, 3)):
            x = np.linspace(-(n + 1) // 2, n // 2, n)
            window = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * (n / 5) ** 2))
            window /= window.sum()

            def mean(image: np.ndarray, window: np.ndarray = window) -> np.ndarray:
                return signal.correlate2d(image, window, mode="same")

            if scale:
                ref, dist = mean(ref)[::2, ::2], mean(dist)[::2, ::2]
            a, b = mean(ref), mean(dist)
            va, vb = np.maximum(mean(ref * ref) - a * a, 0), np.maximum(mean(dist * dist) - b * b, 0)
            cab = mean(ref * dist) - a * b
            ok = (va >= 1e-10) & (vb >= 1e-10) & (cab > 0)
            g = np.where(ok, cab / (va + 1e-10), 0)
            sv = np.maximum(vb - g * cab, 1e-10)
            num += np.log10(1 + g * g * va / (sv + 2)).sum()
            den += np.log10(1 + va / 2).sum()
        return num / den

    images = (torch.from_numpy(image)[None, None] for image in (fused, visible, infrared))
    measured = CONVENTIONS["zoo"].measures["VIF"](*images).item()
    assert measured == pytest.approx(vifp(visible, fused) + vifp(infrared, fused), rel=1e-6)


def test_how_the_conventions_relate(triple: Pairs) -> None:
    images = triple("arithmetic")
    plain, tang, zoo, vifb = (
        {name: value.item() for name, value in compute_metrics(*images, c.default, c.measures).items()}
        for c in (CONVENTIONS[name] for name in ("plain", "tang", "zoo", "vifb"))
    )
    assert tang["PSNR"] == pytest.approx(plain["PSNR"] + 48.1308, abs=1e-4)
    assert tang["SSIM"] == pytest.approx(plain["SSIM"] / 2)
    assert zoo["EN"] < plain["EN"] and zoo["EN"] == pytest.approx(plain["EN"], abs=1e-3)
    assert zoo["NMI"] == pytest.approx(2 * plain["MI"] / (8 + 8), rel=0.02)
    assert zoo["SSIM"] < plain["SSIM"]
    assert vifb["SF"] == pytest.approx(plain["SF"], rel=0.01) and vifb["SF"] < plain["SF"]
    # the images already span 0..255: only the unit differs
    assert vifb["MI"] == pytest.approx(plain["MI"] * np.log(2), rel=0.02)
    assert vifb["PSNR"] > 40
    fused, visible, infrared = images
    assert tang["Nabf"] == pytest.approx(exchanged_nabf(fused, visible, infrared).item())
    assert tang["Nabf"] != pytest.approx(plain["Nabf"])


def test_the_command_knows_every_convention() -> None:
    assert evaluate.CONVENTIONS == tuple(CONVENTIONS)


def test_names_are_checked() -> None:
    with pytest.raises(InputError, match="unknown convention 'tango'; did you mean 'tang'"):
        get_convention("tango")
    vifb = get_convention("vifb")
    assert vifb.select(None) == vifb.default and vifb.select(["Qcv"]) == ("Qcv",)
    assert "FMI" in get_convention("plain").select(["all"]) and "FMI" not in get_convention("plain").default
    with pytest.raises(InputError, match=r"'VIF' in the convention 'vifb'.*EN, MI"):
        vifb.select(["VIF"])
