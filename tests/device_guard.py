"""A pretended accelerator: finds tensors left on the wrong device on a machine that has no accelerator at all.

A tensor of the pretended accelerator holds its values in a tensor of the CPU, so that every operation is computed and
everything that depends on values (``.item()``, masks, pictures) goes the way it goes on a GPU. What a GPU refuses is
refused: an operation on tensors of both devices, a generator of the CPU for numbers of the accelerator, NumPy arrays.

    with pretended_accelerator():
        network.to(ACCELERATOR)
        network(images)                 # MixedDevicesError: images are on the CPU

Its name is ``meta``, since that is the one device beside the CPU which every build of PyTorch knows and can
differentiate on. `torch._subclasses.FakeTensorMode` would say ``cuda``, but its tensors hold no values, and there is no
training step here without ``.item()`` or ``.tolist()``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ACCELERATOR = torch.device("meta")
CPU = torch.device("cpu")

_aten = torch.ops.aten
_COPIES = {_aten.copy_, _aten._to_copy, _aten._foreach_copy_}
_INDEXING = {_aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_, _aten._unsafe_index}
"""Positions on the CPU may index a tensor of a GPU (not the other way round)."""
_NO_SCALARS = {_aten.cat, _aten.stack}
"""Elsewhere a tensor of the CPU with no dimensions counts as a number."""
_IS_META = Tensor.is_meta.__get__  # type: ignore[attr-defined]


class MixedDevicesError(RuntimeError):
    """What a GPU would have refused."""


class AcceleratorTensor(Tensor):
    """A tensor that says it is on `ACCELERATOR`; ``held`` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor, requires_grad: bool = False) -> AcceleratorTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=ACCELERATOR,
            requires_grad=requires_grad,
        )
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"AcceleratorTensor({self.held!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.detach().__reduce_ex__(protocol)  # files hold values, wherever those were

    # with these two methods `nn.Module.to` swaps the contents of a parameter and keeps the object, as on a GPU, so that
    # an optimiser still holds it
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(parts: Mapping[str, Tensor], _context: None, _size: Any, _stride: Any) -> Tensor:
        return AcceleratorTensor(parts["held"])

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        if func in (Tensor.numpy, Tensor.__array__):
            raise MixedDevicesError("numpy: the tensor is on the accelerator; .cpu() first")
        if func == _IS_META:
            return False  # it holds values
        if func is Tensor.new_tensor:
            options = {"dtype": args[0].dtype, "device": ACCELERATOR, **(kwargs or {})}
            return torch.tensor(args[1], **options)
        if func in (Tensor.untyped_storage, Tensor.data_ptr):  # what is saved once is told by its place in memory
            return func(args[0].held)
        # not the one of `Tensor`, which would make every result a tensor of this class
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """One operation: checked, computed on the CPU, its results put where they belong."""
    wrappers: dict[int, AcceleratorTensor] = {}
    plain: list[Tensor] = []
    held_args = _bare(args, wrappers, plain)
    held_kwargs = {key: _bare(value, wrappers, plain) for key, value in kwargs.items()}
    wanted, packet = kwargs.get("device"), func.overloadpacket
    if wrappers and plain and packet not in _COPIES:
        _check(func, packet, args, plain)
    there = bool(wrappers) if wanted is None else torch.device(wanted) == ACCELERATOR
    if packet is _aten.copy_:
        there = isinstance(args[0], AcceleratorTensor)
    if there and kwargs.get("generator") is not None:
        raise MixedDevicesError(f"{func}: numbers on the accelerator are asked of a generator of the CPU")
    result = func(*held_args, **held_kwargs)
    return _placed(result, wrappers) if there else result


# Neither `tree_map`, which takes longer than most operations here, nor functions within `_compute`, which would live on
# with the tensors until the garbage is collected: `nn.Module.to` swaps no parameter that somebody else holds.
def _bare(value: Any, wrappers: dict[int, AcceleratorTensor], plain: list[Tensor]) -> Any:
    """An argument with the tensors that are held; takes down which they were, and the tensors of the CPU."""
    if isinstance(value, Tensor):
        if not isinstance(value, AcceleratorTensor):
            plain.append(value)
            return value
        wrappers[id(value.held)] = value
        return value.held
    if isinstance(value, list | tuple):
        return [_bare(x, wrappers, plain) for x in value]
    return CPU if isinstance(value, torch.device) and value == ACCELERATOR else value


def _placed(value: Any, wrappers: Mapping[int, AcceleratorTensor]) -> Any:
    """A result on the accelerator; a tensor that was changed in place is the argument that it came as."""
    if isinstance(value, list | tuple):
        return type(value)([_placed(x, wrappers) for x in value])
    if not isinstance(value, Tensor):
        return value
    return wrappers[id(value)] if id(value) in wrappers else AcceleratorTensor(value)


def _check(func: Any, packet: Any, args: Sequence[Any], plain: Sequence[Tensor]) -> None:
    """Raise `MixedDevicesError` unless the tensors of the CPU among the arguments, ``plain``, may stand there."""
    if packet in _INDEXING and isinstance(args[0], AcceleratorTensor):
        positions = {id(x) for x in args[1]}
        plain = [x for x in plain if id(x) not in positions]
    wrong = [x for x in plain if x.ndim > 0 or packet in _NO_SCALARS]
    if wrong:
        shapes = ", ".join(str(tuple(x.shape)) for x in wrong)
        raise MixedDevicesError(f"{func}: tensors of the CPU {shapes} beside tensors of the accelerator")


class _Operations(TorchDispatchMode):
    """Moves tensors to the accelerator and makes new ones there."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


def _moved(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``torch.tensor`` and its kind give a tensor of the device ``meta`` no values: it is made on the CPU and moved."""

    def made(*args: Any, device: Any = None, **options: Any) -> Tensor:
        tensor = make(*args, **options)
        return tensor if device is None else tensor.to(device)

    return made


class _Autocast(torch.autocast):
    """The accelerator has the automatic precision of the CPU."""

    def __init__(self, device_type: str, *args: Any, **options: Any) -> None:
        super().__init__(CPU.type if device_type == ACCELERATOR.type else device_type, *args, **options)


@contextlib.contextmanager
def pretended_accelerator() -> Iterator[torch.device]:
    """Inside the block `ACCELERATOR` is used like a GPU; what a GPU would refuse raises `MixedDevicesError`."""
    with contextlib.ExitStack() as stack:
        for name in ("tensor", "as_tensor", "asarray"):
            stack.enter_context(mock.patch.object(torch, name, _moved(getattr(torch, name))))
        stack.enter_context(mock.patch.object(torch, "autocast", _Autocast))
        # `accelerate` asks for CUDA and finds none
        stack.enter_context(mock.patch.object(Accelerator, "device", property(lambda _self: ACCELERATOR)))
        stack.enter_context(_Operations())
        yield ACCELERATOR
