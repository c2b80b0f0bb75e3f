from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from torch import Tensor

from ldfusion.diffusion.denoiser import build_denoiser
from ldfusion.diffusion.features import TIMESTEPS, FeatureExtractor, pipeline_noise
from ldfusion.errors import InputError

CHANNELS = (8, 12, 16)


@pytest.fixture
def extractor() -> FeatureExtractor:
    torch.manual_seed(0)
    return FeatureExtractor(build_denoiser(CHANNELS, groups=4).eval())


def inputs(batch: int = 2, size: tuple[int, int] = (16, 24)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    stack = torch.rand(batch, 4, *size, generator=generator) * 2 - 1
    return stack, torch.randn(batch, 4, *size, generator=generator)


def test_one_map_a_level_finest_first(extractor: FeatureExtractor) -> None:
    assert extractor.timesteps == TIMESTEPS == (5, 50, 100)
    assert extractor.channels == CHANNELS
    assert extractor.multiple == 4
    shapes = [tuple(f.shape) for f in extractor(*inputs())]
    assert shapes == [(2, 24, 16, 24), (2, 36, 8, 12), (2, 48, 4, 6)]


def test_one_batched_pass_equals_one_pass_a_timestep(extractor: FeatureExtractor) -> None:
    stack, noise = inputs()
    with torch.no_grad():
        together = extractor(stack, noise)
        for k, t in enumerate(TIMESTEPS):
            alone = FeatureExtractor(extractor.denoiser, timesteps=[t])(stack, noise)
            for f, g, c in zip(together, alone, CHANNELS, strict=True):
                assert torch.allclose(f[:, k * c : (k + 1) * c], g, atol=1e-5)


def test_timestep_t_is_index_t_minus_one(extractor: FeatureExtractor) -> None:
    stack, noise = inputs(1)
    seen: list[tuple[Tensor, Tensor]] = []
    handle = extractor.denoiser.register_forward_pre_hook(lambda _module, args: seen.append(args))
    with torch.no_grad():
        extractor(stack, noise)
    handle.remove()
    given, index = seen[0]
    assert index.tolist() == [4, 49, 99]
    a = extractor.schedule.alphas_cumprod[99]
    assert a.item() == pytest.approx(0.97544, abs=5e-6)
    assert torch.allclose(given[2:], a.sqrt() * stack + (1 - a).sqrt() * noise, atol=1e-6)


def test_the_activations_are_those_of_the_last_residual_blocks(extractor: FeatureExtractor) -> None:
    stack, noise = inputs(1)
    kept: list[Tensor] = []
    handles = [
        block.resnets[-1].register_forward_hook(lambda _m, _i, out: kept.append(out))
        for block in extractor.denoiser.up_blocks
    ]
    with torch.no_grad():
        features = FeatureExtractor(extractor.denoiser, timesteps=[7])(stack, noise)
    for handle in handles:
        handle.remove()
    assert all(torch.equal(f, k) for f, k in zip(features, kept[::-1], strict=True))


def test_without_timesteps_it_is_a_plain_encoder_of_the_clean_stack(extractor: FeatureExtractor) -> None:
    stack, noise = inputs()
    plain = FeatureExtractor(extractor.denoiser, timesteps=())
    with torch.no_grad():
        first, second = plain(stack, None), plain(stack, noise)
    assert [tuple(f.shape) for f in first] == [(2, 8, 16, 24), (2, 12, 8, 12), (2, 16, 4, 6)]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_other_timesteps_can_be_asked_for(extractor: FeatureExtractor) -> None:
    stack, noise = inputs(1)
    with torch.no_grad():
        usual, same, other = (extractor(stack, noise, t) for t in (None, (5, 50, 100), (500, 1000, 2000)))
    assert torch.equal(usual[0], same[0]) and not torch.allclose(usual[0], other[0])


def test_gradients_reach_the_image_and_the_network_when_asked_for(extractor: FeatureExtractor) -> None:
    stack, noise = inputs(1)
    stack.requires_grad_()
    sum(f.square().mean() for f in extractor(stack, noise)).backward()
    assert stack.grad is not None and stack.grad.abs().min() > 0
    assert extractor.denoiser.conv_in.weight.grad is not None
    with torch.no_grad():
        assert not any(f.requires_grad for f in extractor(stack, noise))


def test_no_hook_and_no_activation_outlives_a_pass(extractor: FeatureExtractor) -> None:
    stack, noise = inputs(1)
    hooks = [len(m._forward_hooks) for m in extractor.modules()]
    finest = weakref.ref(extractor(stack, noise)[0])
    gc.collect()
    assert finest() is None
    assert [len(m._forward_hooks) for m in extractor.modules()] == hooks
    with pytest.raises(RuntimeError):
        extractor(stack[..., :15, :23], noise[..., :15, :23])
    assert [len(m._forward_hooks) for m in extractor.modules()] == hooks


def test_a_copy_takes_its_own_activations(extractor: FeatureExtractor) -> None:
    stack, noise = inputs(1)
    twin = copy.deepcopy(extractor)
    with torch.no_grad():
        twin.denoiser.conv_in.weight.zero_()
        assert not torch.allclose(twin(stack, noise)[0], extractor(stack, noise)[0])


@pytest.mark.parametrize("t", [0, -1, 2001])
def test_timesteps_outside_the_schedule_are_refused(extractor: FeatureExtractor, t: int) -> None:
    with pytest.raises(InputError, match=rf"timesteps: {t} is outside 1\.\.2000"):
        FeatureExtractor(extractor.denoiser, timesteps=[5, t])
    with pytest.raises(InputError, match="outside"):
        extractor(*inputs(1), timesteps=[5, 50, t])


def test_noise_is_needed(extractor: FeatureExtractor) -> None:
    with pytest.raises(ValueError, match="noise is needed"):
        extractor(inputs()[0], None)


def test_every_image_of_a_batch_gets_the_noise_that_it_would_get_alone() -> None:
    cpu = torch.device("cpu")
    three, one = pipeline_noise((3, 8, 8), 5, None, cpu), pipeline_noise((1, 8, 8), 5, None, cpu)
    assert three.shape == (3, 4, 8, 8)
    assert all(torch.equal(three[k], one[0]) for k in range(3))
    assert torch.equal(pipeline_noise((1, 8, 8), None, None, cpu), pipeline_noise((1, 8, 8), 0, None, cpu))
    assert not torch.equal(pipeline_noise((1, 8, 8), 6, None, cpu), one)
    given = pipeline_noise((1, 8, 8), 0, torch.Generator().manual_seed(5), cpu)
    assert torch.equal(given, one)
