"""The noise schedule, one and the same in training and in feature extraction."""

from __future__ import annotations

from diffusers import DDPMScheduler

from ldfusion.config import nearest
from ldfusion.errors import InputError

STEPS = 2000
"""T of Dif-Fusion (Yue et al., IEEE TIP 2023, section III)."""
KINDS = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


def make_schedule(kind: str = "linear", steps: int = STEPS) -> DDPMScheduler:
    """The forward process x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps (Ho et al. 2020, eq. 4).

    Args:
        kind: ``linear`` (beta from 1e-6 to 1e-2) or ``cosine`` (Nichol and Dhariwal 2021, eq. 17).
        steps: number of timesteps T; timesteps are counted from 1, index ``t - 1`` of the returned schedule.

    Raises:
        InputError: unknown kind.
    """
    if kind not in KINDS:
        raise InputError(f"schedule: unknown noise schedule '{kind}'; {nearest(kind, KINDS)}")
    return DDPMScheduler(
        num_train_timesteps=steps, beta_schedule=KINDS[kind], beta_start=1e-6, beta_end=1e-2, clip_sample=False
    )
