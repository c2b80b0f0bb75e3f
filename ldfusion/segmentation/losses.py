"""Losses of segmentation: cross entropy, plain or on hard pixels, of a main and an auxiliary head."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.config import nearest
from ldfusion.data.label_sets import IGNORED
from ldfusion.errors import InputError
from ldfusion.segmentation.network import Logits

KINDS = ("ohem", "plain")


def plain_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the labelled pixels, 0 without any. logits (B, K, H, W); labels (B, H, W), 255 ignored."""
    total = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum().clamp_min(1)


def ohem_cross_entropy(logits: Tensor, labels: Tensor, threshold: float = 0.7, share: float = 1 / 8) -> Tensor:
    """Cross entropy of the hard pixels (online hard example mining, Shrivastava et al. 2016; as in SeAFusion's code).

    A pixel is hard when its true class has a probability below ``threshold``. When fewer than ``share`` of all pixels
    are, the hardest ``share`` counts instead.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W), 255 ignored; such pixels are never hard.
        threshold: probability, (0, 1).
        share: of the pixels of the batch, (0, 1).
    """
    every = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="none").flatten()
    labelled = int((labels != IGNORED).sum())
    if labelled == 0:
        return every.sum() * 0.0
    least = min(labelled, max(1, int(share * every.numel())))
    hard = every > -math.log(threshold)
    if int(hard.sum()) >= least:
        return every[hard].mean()
    return every.topk(least).values.mean()


def semantic_loss(
    logits: Logits,
    labels: Tensor,
    kind: str = "ohem",
    auxiliary: float = 0.1,
    threshold: float = 0.7,
    share: float = 1 / 8,
) -> Tensor:
    """L = L_main + auxiliary L_aux (SeAFusion, eq. 10).

    The paper writes plain cross entropy with 0.1; its code takes hard pixels, 0.1 while the fusion network is trained
    and 0.75 while the segmentation network is.

    Args:
        logits: of both heads.
        labels: class ids (B, H, W), 255 ignored.
        kind: ``ohem`` or ``plain``.
        auxiliary: weight of the auxiliary head.
        threshold, share: see `ohem_cross_entropy`.
    """
    check_kind(kind)
    heads = [(logits.main, 1.0)]
    if logits.auxiliary is not None and auxiliary > 0:
        heads.append((logits.auxiliary, auxiliary))
    losses = [
        weight
        * (ohem_cross_entropy(head, labels, threshold, share) if kind == "ohem" else plain_cross_entropy(head, labels))
        for head, weight in heads
    ]
    return torch.stack(losses).sum()


def check_kind(kind: str) -> None:
    """Raise `InputError` for an unknown kind of cross entropy."""
    if kind not in KINDS:
        raise InputError(f"loss.kind: unknown '{kind}'; {nearest(kind, KINDS)}")
