"""Reading of JAX and TensorFlow checkpoints as tensors with their official names."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from mmssl.checkpoints.files import UnreadableCheckpointError, is_address, load_checkpoint_file
from mmssl.datasets.restricted_pickle import ARRAYS
from mmssl.utils.errors import UserError

_NETWORKS = ('online', 'target')
_NAMES_ALONE = '.ATTRIBUTES'  # part of every name in a checkpoint of TensorFlow 2, whose names do not identify layers


class _StandIn:
    """Replaces a class that a pickle names: it keeps the arguments of the constructor and runs no code."""

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
        """Ignores the value, because lists contain no weights."""


class _ArraysAndStandIns(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in ARRAYS else type(name, (_StandIn,), {})


def load_official_file(path: str | Path) -> Any:
    """Reads a file of an official code without executing code from it.

    Args:
        path: File or address that ``load_checkpoint_file`` reads; a ``.pkl`` of BYOL's official code; an ``.npz``
            of variables by name; or, if the package ``tensorflow`` is installed, the ``.index`` file of a TensorFlow 1
            checkpoint or the folder of a SavedModel.

    Returns:
        The saved object; for JAX and TensorFlow the tensors by name, in the layout of the official code.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file is damaged or has another content, or ``tensorflow`` is needed.
    """
    if is_address(path):
        return load_checkpoint_file(path)
    path = Path(path).expanduser()
    if path.suffix == '.npz' and path.is_file():
        return _npz_tensors(path)
    if path.suffix == '.index' or (path / 'saved_model.pb').is_file():
        return _tensorflow_variables(path)
    if path.suffix == '.pkl' and path.is_file() and path.open('rb').read(2) != b'PK':  # the beginning of torch's files
        return dict(_haiku_tensors(path))
    return load_checkpoint_file(path)


def _npz_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (AttributeError, BadZipFile, EOFError, OSError, TypeError, ValueError, zlib.error) as error:
        raise UnreadableCheckpointError(f'{path} is damaged, or not an .npz of numbers by name: {error}') from error


def _haiku_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yields the tensors of BYOL's two networks, named ``online/<module>/<parameter>`` or ``target/...``."""
    try:
        with path.open('rb') as file:
            saved = _ArraysAndStandIns(file).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError) as error:
        raise UnreadableCheckpointError(f'{path} is damaged, or not a pickled checkpoint: {error}') from error
    state = saved.get('experiment_state') if isinstance(saved, Mapping) else None
    trees = [_mapping(tree) for tree in getattr(state, 'args', ())[:4]]  # parameters, then states, of both networks
    if len(trees) != 4:
        raise UserError(
            f"{path} is not a checkpoint of BYOL's official code: it has no experiment_state of two networks"
        )
    for network, tree in zip(_NETWORKS * 2, trees):
        for module, parameters in tree.items():
            for name, value in _mapping(parameters).items():
                if isinstance(value, np.ndarray):
                    yield f'{network}/{module}/{name}', torch.from_numpy(np.ascontiguousarray(value))


def _mapping(tree: Any) -> Mapping[str, Any]:
    """Returns ``tree`` if it is a dict, or the argument of the constructor of haiku's immutable mapping."""
    if isinstance(tree, _StandIn):
        tree = tree.args[0] if tree.args else tree.items
    return tree if isinstance(tree, Mapping) else {}


def _tensorflow_variables(path: Path) -> dict[str, Tensor]:
    try:
        import tensorflow
    except ImportError as error:
        raise UserError(
            f'reading {path} needs the package tensorflow: install it, or write an .npz of the variables by name on a '
            'machine with tensorflow, numpy.savez(file, **{name: reader.get_tensor(name) for name in '
            'reader.get_variable_to_shape_map()}) with reader = tensorflow.train.load_checkpoint(prefix)'
        ) from error
    if path.is_dir():
        arrays = {variable.name: variable.numpy() for variable in tensorflow.saved_model.load(str(path)).variables}
    else:
        reader = tensorflow.train.load_checkpoint(str(path.with_suffix('')))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    if any(_NAMES_ALONE in name for name in arrays):
        raise UserError(f'{path} does not contain the names of layers: give the folder of the SavedModel beside it')
    return {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
