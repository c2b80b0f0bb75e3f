"""The conventions by name: which columns a table has and how each is computed.

``plain`` is what this project reports. The others reproduce the numbers of common evaluation programs, slips included,
so that a published table can be compared with; see `ldfusion.evaluation.toolboxes` for what each does differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from ldfusion.config import nearest
from ldfusion.errors import InputError
from ldfusion.evaluation import toolboxes
from ldfusion.evaluation.metrics import CONVENTION, DEFAULT, METRICS, FusionMeasure
from ldfusion.evaluation.structural import mean_squared_error


@dataclass(frozen=True)
class Convention:
    """One way to compute the columns of a table."""

    name: str
    description: str
    """one line that goes on top of every table"""
    measures: dict[str, FusionMeasure]
    default: tuple[str, ...]
    """columns unless asked for otherwise"""

    def select(self, names: Iterable[str] | None) -> tuple[str, ...]:
        """The named columns (None: the default ones; ``all``: every one), whichever way they are capitalised.

        Raises:
            InputError: a name that this convention does not have.
        """
        chosen = self.default if names is None else tuple(names)
        if chosen == ("all",):
            return tuple(self.measures)
        known = {name.lower(): name for name in self.measures}
        for name in chosen:
            if name.lower() not in known:
                raise InputError(
                    f"unknown metric {name!r} in the convention '{self.name}'; {nearest(name, self.measures)}; "
                    f"there are {', '.join(self.measures)}"
                )
        return tuple(known[name.lower()] for name in chosen)


def _changed(*kept: str, **changed: Callable[..., Tensor]) -> dict[str, FusionMeasure]:
    """Columns of METRICS, some with another function; ``MS_SSIM`` stands for MS-SSIM."""
    functions = {name.replace("_", "-"): function for name, function in changed.items()}
    return {
        name: replace(METRICS[name], function=functions[name]) if name in functions else METRICS[name] for name in kept
    }


_MSE = FusionMeasure("MSE", "mean squared error (0-1 scale)", mean_squared_error, higher_is_better=False, digits=4)
_TANG = _changed(
    *("EN", "MI", "VIF", "SF", "SD", "Qabf", "AG", "SCD", "CC", "SSIM", "PSNR", "Nabf"),
    MI=toolboxes.saturated_mutual_information,
    SSIM=toolboxes.mean_ssim,
    PSNR=toolboxes.inflated_psnr,
    Nabf=toolboxes.exchanged_nabf,
)
_PUBLISHED = {
    **_TANG,
    "VIF": replace(METRICS["VIF"], function=toolboxes.saturated_vif),
    "SF": replace(METRICS["SF"], function=toolboxes.spatial_frequency_unit, digits=4),
    "SD": replace(METRICS["SD"], function=toolboxes.saturated_standard_deviation, digits=3),
}
_ZOO = _changed(
    *("EN", "MI", "VIF", "SF", "SD", "Qabf", "AG", "SCD", "CC", "SSIM", "PSNR", "MS-SSIM", "Nabf", "Qcb"),
    EN=toolboxes.guarded_entropy,
    VIF=toolboxes.padded_vif,
    AG=toolboxes.average_gradient_per_pixel,
    SSIM=toolboxes.small_constants_ssim,
    PSNR=toolboxes.inflated_psnr,
    MS_SSIM=toolboxes.small_constants_ms_ssim,
    Nabf=toolboxes.nabf_of_strong_edges,
    Qcb=toolboxes.half_band_qcb,
)
_ZOO["Nabf"] = replace(_ZOO["Nabf"], undefined="neither source has a strong edge")
_ZOO["NMI"] = FusionMeasure("NMI", "normalised mutual information", toolboxes.normalised_mutual_information)
_ZOO["EI"] = FusionMeasure("EI", "edge intensity", toolboxes.edge_intensity, needs_sources=False, digits=2)
_VIFB = _changed(
    *("EN", "MI", "SF", "SD", "Qabf", "AG", "SSIM", "PSNR", "Qcb", "Qcv"),
    MI=toolboxes.stretched_mutual_information,
    SF=toolboxes.spatial_frequency_per_pixel,
    PSNR=toolboxes.rooted_psnr,
)
_VIFB["MI"] = replace(_VIFB["MI"], title="mutual information [nat]")
_VIFB["EI"] = FusionMeasure("EI", "edge intensity", toolboxes.edge_intensity_replicated, needs_sources=False, digits=2)

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention("plain", CONVENTION, METRICS, DEFAULT),
        Convention(
            "tang",
            "Tang's MATLAB program: MI with 254 and 255 as one value, SSIM a mean, PSNR 48.13 dB too high, Nabf with "
            "exchanged arguments; its MS-SSIM (really MEF-SSIM) and its FMI on edge maps are left out",
            {**_TANG, "MSE": _MSE},
            tuple(_TANG),
        ),
        Convention(
            "tang-published",
            "tables published with Tang's program: as 'tang', and SD, VIF in saturating 8-bit arithmetic, SF over 255; "
            "Qabf is the plain one, which those tables do not reproduce exactly",
            {**_PUBLISHED, "MSE": _MSE},
            tuple(_PUBLISHED),
        ),
        Convention(
            "zoo",
            "IVIF_ZOO's Python program: VIF zero-padded with off-centre windows, AG per pixel, EN with 1e-7 inside, "
            "SSIM with constants of the 0-1 scale, PSNR 48.13 dB too high, Qcb on half the band",
            {**_ZOO, "MSE": _MSE},
            tuple(_ZOO),
        ),
        Convention(
            "vifb",
            "VIFB's MATLAB benchmark: MI in nats of stretched images, SF per pixel, PSNR of a rooted sum",
            _VIFB,
            tuple(_VIFB),
        ),
    )
}


def get_convention(name: str) -> Convention:
    """The convention of that name.

    Raises:
        InputError: there is none.
    """
    if name not in CONVENTIONS:
        raise InputError(f"unknown convention '{name}'; {nearest(name, CONVENTIONS)}")
    return CONVENTIONS[name]
