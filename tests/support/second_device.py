"""A GPU that does not exist: tensors that count as its own, and errors where they meet tensors of the CPU.

The tensors are tensors of the CPU, so all values are right. Their storages are noted as memory of the GPU. One mode
sees every function call: it answers questions about devices, and carries out moves. The other sees every operation: it
checks where the arguments are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CPU, GPU = torch.device('cpu'), torch.device('cuda', 0)
_DEVICE, _IS_CUDA, _SET_DATA = Tensor.device.__get__, Tensor.is_cuda.__get__, Tensor.data.__set__
_MOVES = (Tensor.to, Tensor.cuda, Tensor.cpu, Tensor.type_as)
_TO_NUMPY = (Tensor.numpy, Tensor.__array__)
# Functions whose result is where the tensor is, though they do not compute with it.
_BESIDE = (Tensor.__deepcopy__, Tensor.new_tensor, Tensor.new_zeros, Tensor.new_ones, Tensor.new_full, Tensor.new_empty)
_COPIES = ('aten::copy_', 'aten::_to_copy', 'aten::set_')  # between any two devices
_INDEXED = ('aten::index', 'aten::index_put', 'aten::index_put_')  # take indices of the CPU on the GPU


class WrongDeviceError(RuntimeError):
    """An operation got tensors of both devices, or of the GPU where it takes those of the CPU only, or the reverse."""


class _Places:
    """The storages that count as memory of the GPU."""

    def __init__(self) -> None:
        self.storages: dict[int, StorageWeakRef] = {}

    def put(self, tensor: Tensor, on_gpu: bool) -> None:
        """Notes where a tensor is."""
        with torch._C.DisableTorchFunction():
            storage = tensor.untyped_storage()
        if on_gpu:
            self.storages[storage._cdata] = StorageWeakRef(storage)
        else:
            self.storages.pop(storage._cdata, None)

    def on_gpu(self, tensor: Tensor) -> bool:
        """Returns whether a tensor counts as one of the GPU."""
        with torch._C.DisableTorchFunction():
            if tensor.layout != torch.strided:
                return False
            reference = self.storages.get(tensor.untyped_storage()._cdata)
        return reference is not None and not reference.expired()


class _Operations(TorchDispatchMode):
    """Checks the arguments of every operation, and notes where its results are.

    Args:
        places: Storages of the GPU.
    """

    def __init__(self, places: _Places) -> None:
        super().__init__()
        self.places = places
        self.for_gpu = False  # whether the function that is running has tensors of the GPU, for results without sources

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = _tensors((args, kwargs))
        on_gpu = [self.places.on_gpu(tensor) for tensor in tensors]
        name = func._schema.name
        if wrong := _wrong(name, tensors, on_gpu):
            raise WrongDeviceError(f'{name}: {wrong}, shapes {[tuple(tensor.shape) for tensor in tensors]}')
        results = func(*args, **(kwargs or {}))
        follows_first = name in _COPIES or name in _INDEXED
        if (on_gpu[0] if follows_first else any(on_gpu)) if tensors else self.for_gpu:
            for result in _tensors(results):
                if all(result is not tensor for tensor in tensors):
                    self.places.put(result, True)
        return results


def _wrong(name: str, tensors: list[Tensor], on_gpu: list[bool]) -> str:
    """Returns what is wrong with the places of an operation's arguments; empty if nothing is."""
    if name.startswith('c10d::'):
        return '' if all(on_gpu) else 'NCCL takes no tensors of the CPU'
    if name in _COPIES or not any(on_gpu):
        return ''
    if name in _INDEXED:
        if not on_gpu[0]:
            return 'indices on cuda:0 for a tensor on cpu'
        tensors, on_gpu = ([], []) if name == 'aten::index' else (tensors[-1:], on_gpu[-1:])
    mixed = any(tensor.ndim and not here for tensor, here in zip(tensors, on_gpu))  # numbers may be on the CPU
    return 'tensors on cuda:0 and on cpu' if mixed else ''


class _Functions(TorchFunctionMode):
    """Answers questions about devices; carries out moves to the GPU, and makes new tensors for it, on the CPU.

    Args:
        places: Storages of the GPU.
        operations: Mode of the operations.
    """

    def __init__(self, places: _Places, operations: _Operations) -> None:
        super().__init__()
        self.places, self.operations = places, operations

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.device, torch._C._nn._parse_to, _SET_DATA):
            return func(*args, **kwargs)
        if func in (_DEVICE, _IS_CUDA, *_TO_NUMPY, Tensor.pin_memory):
            return self._answer(func, args, kwargs)
        asked = [leaf for leaf in (*args[1:], *args[:1], *kwargs.values()) if _names_device(leaf)]
        given = args, kwargs
        args, kwargs = tree_map(lambda leaf: CPU if _names_device(leaf) else leaf, given)
        if func in _MOVES:
            return self._move(func, args, kwargs, asked)
        if not asked:
            return self._call(func, args, kwargs)
        if _is_gpu(asked[0]) and kwargs.get('generator') is not None:
            raise WrongDeviceError(f'{func.__name__}: random numbers of the CPU for a tensor on cuda:0')
        results = func(*args, **kwargs)
        for result in _tensors(results):
            self.places.put(result, _is_gpu(asked[0]))
        return results

    def _answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        on_gpu = self.places.on_gpu(args[0])
        if func == _DEVICE:
            return GPU if on_gpu else CPU
        if func == _IS_CUDA:
            return on_gpu
        if on_gpu:
            raise WrongDeviceError(f'{func.__name__} takes tensors of the CPU only')
        return args[0].clone() if func == Tensor.pin_memory else func(*args, **kwargs)

    def _call(self, func: Any, args: Any, kwargs: Any) -> Any:
        before = self.operations.for_gpu
        self.operations.for_gpu = on_gpu = any(map(self.places.on_gpu, _tensors((args, kwargs))))
        try:
            if func is Tensor.backward:  # whose body, with the backward passes in Python, would run outside this mode
                assert not any(kwargs.values()), 'a plain backward pass'
                ones = torch.ones_like(args[0])
                with self:
                    return _engine_run_backward(args[:1], (ones,), False, False, (), True, accumulate_grad=True)
            result = func(*args, **kwargs)
        finally:
            self.operations.for_gpu = before
        if func in _BESIDE:
            self.places.put(result, on_gpu)
        return result

    def _move(self, func: Any, args: Any, kwargs: Any, asked: list) -> Tensor:
        tensor, like = args[0], _tensors((args[1:], kwargs))
        before = after = self.places.on_gpu(tensor)
        if func in (Tensor.cuda, Tensor.cpu):
            after = func == Tensor.cuda
        elif like:
            after = self.places.on_gpu(like[0])
        elif asked:
            after = _is_gpu(asked[0])
        result = tensor if func == Tensor.cuda else func(*args, **kwargs)
        if before != after:
            if result.untyped_storage()._cdata == tensor.untyped_storage()._cdata:
                result = tensor.clone()
            self.places.put(result, after)
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _names_device(value: Any) -> bool:
    return isinstance(value, torch.device) or isinstance(value, str) and value.partition(':')[0] in ('cuda', 'cpu')


def _is_gpu(value: Any) -> bool:
    return torch.device(value).type == 'cuda'


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Lets tensors be moved to a GPU that does not exist, and raises ``WrongDeviceError`` where devices meet.

    ``torch.cuda`` still has no GPU. What libraries in C++ do inside one operation is not seen.
    """
    places = _Places()
    operations = _Operations(places)
    with _Functions(places, operations), operations:
        yield
