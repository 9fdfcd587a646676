"""Reading checkpoints of JAX and TensorFlow as tensors by their official names."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmssl.checkpoints.files import UnreadableCheckpointError, load_checkpoint_file
from mmssl.utils.errors import UserError

_ARRAYS = {('numpy', 'ndarray'), ('numpy', 'dtype'), ('_codecs', 'encode')} | {
    (module, '_reconstruct') for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
}
_NETWORKS = ('online', 'target')
_NAMES_ALONE = '.ATTRIBUTES'  # part of every name in a checkpoint of TensorFlow 2, which does not tell layers apart


class _StandIn:
    """Takes the place of a class that a pickle names: keeps the arguments of its constructor and runs nothing."""

    args: tuple[Any, ...]

    def __new__(cls, *args: Any, **kwargs: Any) -> _StandIn:
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.items: dict[Any, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        """Keeps nothing: no weights are in lists."""


class _ArraysAndStandIns(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in _ARRAYS else type(name, (_StandIn,), {})


def load_official_file(path: str | Path) -> Any:
    """Reads a file of an official code without executing code from it.

    Args:
        path: What ``load_checkpoint_file`` reads; a ``.pkl`` of BYOL's official code; an ``.npz`` of variables by their
            names; with the package ``tensorflow`` installed a checkpoint of TensorFlow 1, by the name of its ``.index``
            file, or the folder of a SavedModel.

    Returns:
        What was saved; for JAX and TensorFlow the tensors by name, in the layout of the official code.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is damaged or holds something else, or ``tensorflow`` is needed.
    """
    path = Path(path)
    if path.suffix == '.npz' and path.is_file():
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    if path.suffix == '.index' or (path / 'saved_model.pb').is_file():
        return _tensorflow_variables(path)
    if path.suffix == '.pkl' and path.is_file() and path.open('rb').read(2) != b'PK':  # which are torch's
        return dict(_haiku_tensors(path))
    return load_checkpoint_file(path)


def _haiku_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yields the tensors of BYOL's two networks, named ``online/<module>/<parameter>`` or ``target/...``."""
    try:
        with path.open('rb') as file:
            saved = _ArraysAndStandIns(file).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError) as error:
        raise UnreadableCheckpointError(f'{path} is no pickle of a checkpoint, or it is damaged: {error}') from error
    state = saved.get('experiment_state') if isinstance(saved, Mapping) else None
    trees = [_mapping(tree) for tree in getattr(state, 'args', ())[:4]]  # parameters, then states, of both networks
    if len(trees) != 4:
        raise UserError(f"{path} is no checkpoint of BYOL's official code: it has no experiment_state of two networks")
    for network, tree in zip(_NETWORKS * 2, trees):
        for module, parameters in tree.items():
            for name, value in _mapping(parameters).items():
                if isinstance(value, np.ndarray):
                    yield f'{network}/{module}/{name}', torch.from_numpy(np.ascontiguousarray(value))


def _mapping(tree: Any) -> Mapping[str, Any]:
    """Returns a dict, or the mapping that the constructor of one of haiku's immutable mappings receives."""
    if isinstance(tree, _StandIn):
        tree = tree.args[0] if tree.args else tree.items
    return tree if isinstance(tree, Mapping) else {}


def _tensorflow_variables(path: Path) -> dict[str, Tensor]:
    try:
        import tensorflow
    except ImportError as error:
        raise UserError(
            f'reading {path} needs the package tensorflow: install it, or write an .npz of the variables by name where '
            'it is installed, numpy.savez(file, **{name: reader.get_tensor(name) for name in '
            'reader.get_variable_to_shape_map()}) with reader = tensorflow.train.load_checkpoint(prefix)'
        ) from error
    if path.is_dir():
        arrays = {variable.name: variable.numpy() for variable in tensorflow.saved_model.load(str(path)).variables}
    else:
        reader = tensorflow.train.load_checkpoint(str(path.with_suffix('')))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    if any(_NAMES_ALONE in name for name in arrays):
        raise UserError(f'{path} does not hold the names of layers: give the folder of the SavedModel beside it')
    return {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
