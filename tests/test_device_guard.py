"""The pretended accelerator refuses what a GPU refuses, and computes what the CPU computes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.fixture
def device(device_guard: ModuleType) -> Iterator[torch.device]:
    with device_guard.pretended_accelerator() as device:
        yield device


def test_values_move_there_and_back(device: torch.device, device_guard: ModuleType) -> None:
    values = torch.rand(2, 3, 4)
    there = values.to(device)
    assert there.device == device and isinstance(there, device_guard.AcceleratorTensor)
    assert torch.equal(there.cpu(), values) and there.tolist() == values.tolist()
    assert there[1, 2, 3].item() == values[1, 2, 3].item()
    assert not isinstance(there.cpu(), device_guard.AcceleratorTensor) and there.to(device) is there


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.zeros(3, device=x.device),
        lambda x: torch.tensor([1, 2], device=x.device),
        lambda x: torch.as_tensor([1, 2], device=x.device),
        lambda x: torch.arange(3, device=x.device),
        lambda x: torch.randn(2, device=x.device),
        lambda x: x.new_zeros(2),
        lambda x: x.new_tensor([1.0, 2.0]),
        torch.ones_like,
        lambda x: torch.rand(2, 3).to(x),
        lambda x: x[x > 0.5],
        lambda x: x.max(dim=1).indices,
        lambda x: x + torch.tensor(1.0),
        lambda x: x[torch.tensor([1, 0])],
        lambda x: torch.where(x > 0.5, x, 0.0).flatten(1).T,
        lambda x: x.clone().fill_(3).mul_(2),
    ],
)
def test_what_a_gpu_computes(device: torch.device, device_guard: ModuleType, make: Callable[[Tensor], Tensor]) -> None:
    values = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    expected = make(values)
    torch.manual_seed(0)
    found = make(values.to(device))
    assert isinstance(found, device_guard.AcceleratorTensor)
    assert torch.equal(found.cpu(), expected) and found.dtype == expected.dtype


@pytest.mark.parametrize(
    ("mistake", "operation"),
    [
        (lambda x: x + torch.rand(2, 3), "aten.add.Tensor"),
        (lambda x: x * torch.rand(3), "aten.mul.Tensor"),
        (lambda x: torch.where(x.cpu() > 0.5, x, x), "aten.where"),
        (lambda x: torch.cat([x, torch.rand(1, 3)]), "aten.cat"),
        (lambda x: torch.stack([x.mean(), torch.tensor(1.0)]), "aten.stack"),
        (lambda x: F.linear(x, torch.rand(4, 3)), "aten.mm|aten.addmm|aten.linear"),
        (lambda x: torch.rand(2, 3)[torch.tensor([0], device=x.device)], "aten.index.Tensor"),
        (lambda x: x.index_put_((torch.tensor([0]),), torch.rand(1, 3)), "aten.index_put_"),
        (lambda x: x.gather(1, torch.tensor([[0], [1]])), "aten.gather"),
        (lambda x: torch.rand(3, device=x.device, generator=torch.Generator()), "generator of the CPU"),
        (lambda x: x.numpy(), "numpy"),
    ],
)
def test_what_a_gpu_refuses(
    device: torch.device, device_guard: ModuleType, mistake: Callable[[Tensor], object], operation: str
) -> None:
    with pytest.raises(device_guard.MixedDevicesError, match=operation):
        mistake(torch.rand(2, 3).to(device))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))


def test_a_network_learns_there_what_it_learns_on_the_cpu(device: torch.device, tmp_path: Path) -> None:
    images = torch.rand(2, 3, 8, 8)
    ends = []
    for place in (torch.device("cpu"), device):
        net = network()
        optimiser = torch.optim.AdamW(net.parameters(), 0.1)  # holds the parameters before they move, as in a run
        net.to(place)
        for _ in range(2):
            optimiser.zero_grad()
            net(images.to(place)).square().mean().backward()
            optimiser.step()
        torch.save({"network": net.state_dict(), "optimiser": optimiser.state_dict()}, tmp_path / "state.pt")
        saved = torch.load(tmp_path / "state.pt", map_location="cpu")
        again = copy.deepcopy(net)
        again.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        assert {p.device for p in again.parameters()} == {place}
        ends.append([p.detach().cpu() for p in again.half().parameters()])
    assert all(torch.equal(here, there) for here, there in zip(*ends, strict=True))


def test_a_network_that_was_left_behind_is_found(device: torch.device, device_guard: ModuleType) -> None:
    with pytest.raises(device_guard.MixedDevicesError, match=r"aten\.convolution.*\(4, 3, 3, 3\), \(4,\)"):
        network()(torch.rand(1, 3, 8, 8).to(device))
