from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from ldfusion.diffusion.denoiser import build_denoiser
from ldfusion.diffusion.features import FeatureExtractor
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.fusion.fuser import OVERLAP, TILE, Fuser


def build(plain: bool = False, text_dim: int = 6) -> Fuser:
    torch.manual_seed(0)
    extractor = FeatureExtractor(build_denoiser((8, 8, 8), groups=4), timesteps=() if plain else (5, 50))
    decoder = FusionDecoder((8, 8, 8), 1 if plain else 2, (8, 8, 8), text_dim, hidden=8)
    return Fuser(extractor, decoder, train_extractor=plain)


def pair(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Visible, infrared, sentence feature and noise; smooth images, as photographs are."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(batch, 4, height // 8 + 2, width // 8 + 2, generator=generator)
    images = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)
    text = torch.randn(batch, 6, generator=generator)
    return images[:, :3], images[:, 3:], text, torch.randn(batch, 4, height, width, generator=generator)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (50, 41), (35, 64)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int]) -> None:
    fused = build().eval().fuse(*pair(*size))
    assert fused.shape == (1, 3, *size)
    assert fused.min() >= 0 and fused.max() <= 1 and not fused.requires_grad


def test_a_size_that_fits_is_not_touched() -> None:
    fuser, inputs = build().eval(), pair(32, 48)
    with torch.no_grad():
        assert torch.equal(fuser.fuse(*inputs), fuser(*inputs))


def test_images_of_a_batch_do_not_meet() -> None:
    fuser, (visible, infrared, text, noise) = build().eval(), pair(36, 44, batch=3)
    whole = fuser.fuse(visible, infrared, text, noise)
    for k in range(3):
        one = slice(k, k + 1)
        alone = fuser.fuse(visible[one], infrared[one], text[one], noise[one])
        assert torch.allclose(whole[one], alone, atol=1e-5)


@pytest.mark.parametrize(("tile", "bound"), [(40, 4.0), (64, 3.0), (112, 0.6)])
def test_tiles_differ_little_from_the_whole(tile: int, bound: float) -> None:
    """Only the statistics of the group normalisation are a tile's own. Measured: 2.5, 1.8 and 0.35 grey levels."""
    fuser, inputs = build().eval(), pair(86, 122)
    whole, tiled = fuser.fuse(*inputs), fuser.fuse(*inputs, tile=tile, whole=tile)
    assert tiled.shape == whole.shape
    assert 255 * (tiled - whole).abs().max() < bound
    assert 255 * (tiled - whole).abs().mean() < 0.3


def test_the_default_overlap_fits_the_default_tile() -> None:
    assert 0 < 2 * OVERLAP <= TILE
    assert TILE % build().extractor.multiple == 0


def test_the_sentence_and_the_noise_matter() -> None:
    fuser, (visible, infrared, text, noise) = build().eval(), pair(32, 32)
    first = fuser.fuse(visible, infrared, text, noise)
    assert torch.equal(first, fuser.fuse(visible, infrared, text, noise))
    assert not torch.equal(first, fuser.fuse(visible, infrared, -text, noise))
    assert not torch.equal(first, fuser.fuse(visible, infrared, text, -noise))
    assert not torch.equal(first, fuser.fuse(visible, infrared, text, noise, timesteps=(500, 1000)))


def test_a_frozen_extractor_stays_frozen_and_in_evaluation_mode() -> None:
    fuser = build()
    assert fuser.train().decoder.training and not fuser.extractor.training
    fuser(*pair(16, 16)).mean().backward()
    assert all(p.grad is None and not p.requires_grad for p in fuser.extractor.parameters())
    assert all(p.grad is not None for p in fuser.decoder.parameters())


def test_a_plain_encoder_trains_along_without_a_dead_weight() -> None:
    fuser = build(plain=True, text_dim=0)
    assert fuser.train().extractor.training
    visible, infrared, *_ = pair(16, 16)
    fuser(visible, infrared, None, None).square().mean().backward()
    for name, parameter in fuser.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    frozen = {name for name, p in fuser.named_parameters() if not p.requires_grad}
    # what comes behind the last level of features
    assert frozen == {f"extractor.denoiser.{n}.{p}" for n in ("conv_norm_out", "conv_out") for p in ("weight", "bias")}


def test_a_copy_fuses_with_its_own_weights() -> None:
    fuser, inputs = build().eval(), pair(16, 24)
    twin = copy.deepcopy(fuser)
    assert torch.equal(twin.fuse(*inputs), fuser.fuse(*inputs))
    with torch.no_grad():
        for parameter in fuser.parameters():
            parameter.zero_()
    assert not torch.equal(twin.fuse(*inputs), fuser.fuse(*inputs))


def test_a_fresh_network_still_in_training_mode_gives_an_image() -> None:
    fuser = build()
    with torch.no_grad():
        fuser.decoder.head.bias[-3:] = torch.tensor([3.0, -3.0, 0.0])  # the colour residual
    fused = fuser.train().fuse(*pair(33, 33))
    assert fused.min() == 0 and fused.max() == 1
