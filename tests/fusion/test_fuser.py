from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ldfusion.diffusion.denoiser import build_denoiser
from ldfusion.diffusion.features import FeatureExtractor
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.fusion.fuser import WORKING_SIDE, Fuser
from ldfusion.fusion.grid import apply_grid
from ldfusion.io.color import to_stack


def build(plain: bool = False, text_dim: int = 6) -> Fuser:
    torch.manual_seed(0)
    extractor = FeatureExtractor(build_denoiser((8, 8, 8), groups=4), timesteps=() if plain else (5, 50))
    decoder = FusionDecoder((8, 8, 8), 1 if plain else 2, (8, 8, 8), nodes=3, text_dim=text_dim, hidden=8)
    return Fuser(extractor, decoder, train_extractor=plain)


def pair(fuser: Fuser, height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Visible, infrared, sentence feature and noise of the working copy; smooth images, as photographs are."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(batch, 4, height // 8 + 2, width // 8 + 2, generator=generator)
    images = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)
    text = torch.randn(batch, 6, generator=generator)
    noise = torch.randn(batch, 4, *fuser.working_shape(height, width), generator=generator)
    return images[:, :3], images[:, 3:], text, noise


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (50, 41), (300, 311), (32, 300)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int]) -> None:
    fuser = build().eval()
    fused = fuser.fuse(*pair(fuser, *size))
    assert fused.shape == (1, 3, *size)
    assert fused.min() >= 0 and fused.max() <= 1 and not fused.requires_grad


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((480, 640), (240, 320)),
        ((6000, 4000), (360, 240)),
        ((300, 4000), (240, 960)),  # at most 4:1, or memory would grow without bound
        ((32, 32), (32, 32)),
        ((100, 75), (100, 76)),  # multiples of 4, not enlarged otherwise
    ],
)
def test_the_networks_see_a_working_copy_of_one_size(size: tuple[int, int], shape: tuple[int, int]) -> None:
    assert build().working_shape(*size) == shape
    assert WORKING_SIDE == 240


def test_inference_is_the_training_pass_on_the_working_copy() -> None:
    fuser = build().eval()
    inputs = pair(fuser, 360, 480)
    with torch.no_grad():
        image, grid = fuser(*inputs)
        assert torch.allclose(fuser.fuse(*inputs), image.clamp(0, 1), atol=2e-6)
    assert grid.shape[-2:] == (60, 80)


def test_images_of_a_batch_do_not_meet() -> None:
    fuser = build().eval()
    visible, infrared, text, noise = pair(fuser, 36, 44, batch=3)
    whole = fuser.fuse(visible, infrared, text, noise)
    for k in range(3):
        one = slice(k, k + 1)
        alone = fuser.fuse(visible[one], infrared[one], text[one], noise[one])
        assert torch.allclose(whole[one], alone, atol=1e-5)


def test_the_cost_of_the_networks_does_not_depend_on_the_size() -> None:
    fuser = build().eval()
    seen: list[tuple[int, ...]] = []
    fuser.extractor.register_forward_pre_hook(lambda _module, args: seen.append(tuple(args[0].shape)))
    for size in ((240, 320), (480, 640), (960, 1280)):
        fuser.fuse(*pair(fuser, *size))
    assert set(seen) == {(1, 4, 240, 320)}


class Allocations(TorchDispatchMode):
    """Sizes in bytes of the storages that the operations inside of the block make."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {_address(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        made = [x for x in tree_leaves(result) if isinstance(x, Tensor) and _address(x) not in given]
        self.sizes += [tensor.untyped_storage().nbytes() for tensor in made]
        return result


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def test_no_tensor_beside_input_and_output_grows_with_the_picture() -> None:
    fuser = build().eval()
    largest = []
    for size in ((720, 960), (1440, 1920)):
        inputs = pair(fuser, *size)
        with Allocations() as made:
            fuser.fuse(*inputs)
        output = 3 * 4 * size[0] * size[1]
        assert made.sizes.count(output) == 1
        largest.append(max(bytes_ for bytes_ in made.sizes if bytes_ != output))
    assert largest[1] <= largest[0]  # a tile of a larger picture lies under fewer cells


def test_a_grid_can_be_held() -> None:
    fuser = build().eval()
    visible, infrared, text, noise = pair(fuser, 64, 64)
    kept: list[Tensor] = []

    def settle(grid: Tensor, stack: Tensor) -> Tensor:
        assert stack.shape == (1, 4, 64, 64)
        kept.append(grid)
        return kept[0]

    fuser.fuse(visible, infrared, text, noise, settle=settle)
    other = fuser.fuse(1 - visible, infrared, text, noise, settle=settle)
    assert torch.equal(other, apply_grid(kept[0], 1 - visible, infrared).clamp(0, 1))


def test_the_sentence_the_noise_and_the_tone_matter() -> None:
    fuser = build().eval()
    visible, infrared, text, noise = pair(fuser, 32, 32)
    first = fuser.fuse(visible, infrared, text, noise)
    assert torch.equal(first, fuser.fuse(visible, infrared, text, noise))
    assert not torch.equal(first, fuser.fuse(visible, infrared, -text, noise))
    assert not torch.equal(first, fuser.fuse(visible, infrared, text, -noise))
    assert not torch.equal(first, fuser.fuse(visible, infrared, text, noise, timesteps=(500, 1000)))
    assert not torch.equal(first, fuser.fuse(visible, infrared, text, noise, tone=torch.tensor([[1.0, 0.0]])))


def test_a_frozen_extractor_stays_frozen_and_in_evaluation_mode() -> None:
    fuser = build()
    assert fuser.train().decoder.training and not fuser.extractor.training
    visible, infrared, text, _ = pair(fuser, 16, 16)
    fuser(visible, infrared, text, torch.randn(1, 4, 16, 16))[0].mean().backward()
    assert all(p.grad is None and not p.requires_grad for p in fuser.extractor.parameters())
    assert all(p.grad is not None for p in fuser.decoder.parameters())


def test_a_plain_encoder_trains_along_without_a_dead_weight() -> None:
    fuser = build(plain=True, text_dim=0)
    assert fuser.train().extractor.training
    visible, infrared, *_ = pair(fuser, 16, 16)
    fuser(visible, infrared, None, None)[0].square().mean().backward()
    for name, parameter in fuser.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    frozen = {name for name, p in fuser.named_parameters() if not p.requires_grad}
    # what comes behind the last level of features
    assert frozen == {f"extractor.denoiser.{n}.{p}" for n in ("conv_norm_out", "conv_out") for p in ("weight", "bias")}


def test_a_copy_fuses_with_its_own_weights() -> None:
    fuser = build().eval()
    inputs = pair(fuser, 16, 24)
    twin = copy.deepcopy(fuser)
    assert torch.equal(twin.fuse(*inputs), fuser.fuse(*inputs))
    with torch.no_grad():
        for parameter in fuser.parameters():
            parameter.zero_()
    assert not torch.equal(twin.fuse(*inputs), fuser.fuse(*inputs))


def test_the_working_copy_is_a_low_pass_of_the_pair() -> None:
    """Stripes finer than the working copy's pixels are averaged, not sampled: no moire in the coefficients."""
    fuser = build().eval()
    seen: list[Tensor] = []
    fuser.extractor.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    stripes = (torch.arange(960) % 2).float().expand(1, 4, 960, 960)
    fuser.fuse(stripes[:, :3], stripes[:, 3:], torch.zeros(1, 6), torch.zeros(1, 4, 240, 240))
    inner = seen[0][..., 8:-8, 8:-8]  # the border pixels of a filter see fewer stripes
    assert (inner - to_stack(torch.full((1, 3, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.5))).abs().max() < 0.01
