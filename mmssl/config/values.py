"""Check of values in a config against the annotations of arguments."""

from __future__ import annotations

import collections.abc
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator
from multiprocessing import get_all_start_methods
from typing import Any, Literal, Union

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmssl.utils.errors import did_you_mean

# Classes whose instances a config describes by a dict.
_BUILT = (Tensor, nn.Module, Dataset, DataLoader, Hook, OptimWrapper, Visualizer)
# Packages whose annotations are reliable; those of other libraries often are not.
_TRUSTED = ('mmssl', 'torch', 'mmengine')
_PLAIN = (bool, int, float, str, list, tuple)
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_DICTS = (dict, collections.abc.Mapping)
_WORDS = {bool: 'True or False', int: 'a whole number', float: 'a number', str: 'text', type(None): 'None'}
_EXAMPLES = {bool: 'True', int: '8', float: '0.05 (with a point)', str: 'WORD'}
_TOP_LEVEL = {
    'max_epochs': int, 'sync_bn': bool | str, 'checkpoint_blocks': bool, 'model_wrapper_cfg': dict | None,
    'runner_type': str, 'find_unused_parameters': bool,
}  # fmt: skip

# Key -> smallest value, for top-level keys and for keys of loaders, loops, optimizer wrappers and randomness.
_SMALLEST = {
    'max_epochs': 1, 'max_iters': 1, 'val_interval': 1, 'batch_size': 1, 'num_workers': 0, 'accumulative_counts': 1,
    'seed': 0, 'prefetch_factor': 1,
}  # fmt: skip
_LARGEST_SEED = 2**32 - 1  # of numpy's generator
# Allowed keys of dicts that are not arguments of a class.
_TAKEN = {
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'mp_cfg': {'mp_start_method', 'opencv_num_threads', 'omp_num_threads', 'mkl_num_threads'},
    'auto_scale_lr': {'base_batch_size', 'enable', 'rule'},
    'clip_grad': {
        'type',
        'max_norm',
        'norm_type',
        'error_if_nonfinite',
        'foreach',
        'per_tensor',
        'parts',
        'clip_value',
    },
    'continued': {'lr_factor', 'layer_decay', 'head_epochs', 'frozen_blocks', 'low_rank', 'val_interval'},
    'trainable': {'frozen_blocks', 'low_rank'},
}
_RANGED = ('dataloader', 'train_cfg', 'optim_wrapper', 'randomness')


def wrong_values(node: dict, place: str, target: Callable) -> Iterator[str]:
    """Yields one message for each value of ``node`` that does not fit the annotation in ``target``.

    Args:
        node: Arguments of ``target``.
        place: Dotted key of ``node``.
        target: Class or function that is built; not checked if its library has unreliable annotations.
    """
    if str(getattr(target, '__module__', '')).split('.')[0] not in _TRUSTED:
        return
    hints = argument_hints(target)
    for key, value in node.items():
        if key in hints and not fits(value, *hints[key]):
            yield wrong_type(f'{place}.{key}' if place else key, hints[key][0], value)


def wrong_top_level_values(cfg: Any) -> Iterator[str]:
    """Yields one message for each top-level value of a wrong type or out of range."""
    hints = argument_hints(Runner) | {key: (hint, None) for key, hint in _TOP_LEVEL.items()}
    for key, value in cfg.items():
        if value is not None and key in hints and not fits(value, *hints[key]):
            yield wrong_type(key, hints[key][0], value)
    yield from _out_of_range(cfg, '', ('max_epochs',))
    level, levels = cfg.get('log_level'), ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
    if isinstance(level, str) and level not in levels:
        yield f'log_level must be one of {", ".join(levels)}, got {level!r}{did_you_mean(level, levels)}'


def wrong_numbers(node: dict, place: str) -> Iterator[str]:
    """Yields one message for each number of a loader, loop, optimizer, temperature or seed that is out of range."""
    if place.endswith(_RANGED):
        yield from _out_of_range(node, f'{place}.', _SMALLEST)
    if place.endswith('randomness') and not isinstance(node.get('seed'), (int, type(None))):
        yield wrong_type(f'{place}.seed', int, node['seed'])
    if place.endswith('randomness') and isinstance(node.get('seed'), int) and node['seed'] > _LARGEST_SEED:
        yield f'{place}.seed must be at most {_LARGEST_SEED}, got {node["seed"]}'
    for key, value in node.items() if place.endswith('optimizer') else ():
        if isinstance(value, float) and not math.isfinite(value):
            yield f'{place}.{key} must be a finite number, got {value}'
    if place.endswith('dataloader'):
        if node and node.get('dataset') is None:
            yield f"{place}.dataset is missing: give a dict such as dict(type='ImageFolder', data_root='FOLDER', ...)"
        if node.get('collate_fn', '') is None:
            yield f"{place}.collate_fn takes a dict, got None: write dict(type='collate_views'), or omit the key"
    if place == 'env_cfg' and not isinstance(node.get('mp_cfg'), (dict, type(None))):
        yield wrong_type('env_cfg.mp_cfg', dict, node['mp_cfg'])
    if place == 'env_cfg.mp_cfg' and node.get('mp_start_method') not in (None, *get_all_start_methods()):
        known = ', '.join(get_all_start_methods())
        yield f'{place}.mp_start_method must be one of {known}, got {node["mp_start_method"]!r}'
    if place.endswith('optimizer') and node.get('lr') == 0:
        yield f'{place}.lr must be above 0, got {node["lr"]}, with which nothing learns'
    for key, value in node.items() if place.startswith('model') else ():
        if str(key).endswith('temperature') and isinstance(value, (int, float)) and not value > 0:
            yield f'{place}.{key} must be above 0, got {value}'
    if 'hooks' in place and node.get('interval') == 0:
        yield f'{place}.interval must be 1 or more, got 0; to switch a default hook off: {place}=None'
    for key in node.keys() - _TAKEN.get(place.rpartition('.')[2], node.keys()):
        taken = _TAKEN[place.rpartition('.')[2]]
        yield f'{place} has no key {key!r}{did_you_mean(key, taken) or "; it has " + ", ".join(sorted(taken))}'
    clip = node.get('clip_grad') if place.endswith('optim_wrapper') else None
    if isinstance(clip, dict) and isinstance(clip.get('max_norm'), (int, float)) and clip['max_norm'] <= 0:
        yield (
            f'{place}.clip_grad.max_norm must be above 0, got {clip["max_norm"]}, which would set all gradients to 0; '
            f'to switch clipping off: {place}.clip_grad=None'
        )


def _out_of_range(node: Any, prefix: str, keys: Any) -> Iterator[str]:
    for key in keys:
        value = node.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value < _SMALLEST[key]:
            yield f'{prefix}{key} must be at least {_SMALLEST[key]}, got {value}'


def wrong_type(place: str, hint: Any, value: Any) -> str:
    """Returns a message with the allowed values of a key and examples for the command line."""
    examples = [_EXAMPLES[part] for part in _parts(hint) if part in _EXAMPLES]
    examples += [_list_example(part) for part in _parts(hint) if _origin(part) in _LISTS][:1]
    if any(_origin(part) in _DICTS for part in _parts(hint)):
        examples.append('"dict(key=1)"')
    written = f'; on a command line: {" or ".join(f"{place}={example}" for example in examples)}' if examples else ''
    return f'{place} takes {describe(hint)}, got {value!r}{written}'


def _list_example(hint: Any) -> str:
    """Returns a list that fits the annotation of a list, as it is written on a command line."""
    elements = {_origin(part) for argument in typing.get_args(hint) for part in _parts(argument)} - {Ellipsis}
    if elements & {*_DICTS, *_BUILT}:
        return '"[dict(type=\'NAME\')]"'
    return '[WORD,WORD]' if elements == {str} else '[0.2,1.0]'


def describe(hint: Any) -> str:
    """Returns the values that an annotation allows, in words."""
    words, parts = [], _parts(hint)
    plain = [part for part in parts if not inspect.isclass(part) or part in _WORDS or _origin(part) in _LISTS + _DICTS]
    for part in plain or parts:
        if typing.get_origin(part) is Literal:
            words += [repr(option) for option in typing.get_args(part)]
        elif _origin(part) in _LISTS:
            words.append('a list')
        elif _origin(part) in _DICTS:
            words.append('a dict')
        else:
            words.append(_WORDS.get(part, getattr(part, '__name__', str(part))))
    return ' or '.join(dict.fromkeys(words))


def argument_hints(target: Callable) -> dict[str, tuple[Any, Any]]:
    """Returns name -> (annotation, default) of the arguments of a class or function."""
    functions = [target]
    if inspect.isclass(target):
        functions = [vars(base)['__init__'] for base in reversed(target.__mro__) if '__init__' in vars(base)]
    found: dict[str, tuple[Any, Any]] = {}
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            continue
        for name, parameter in parameters.items():
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                hint = _resolved(parameter.annotation, getattr(function, '__globals__', {}))
                found[name] = (hint, parameter.default)
    return found


def fits(value: Any, hint: Any, default: Any = inspect.Parameter.empty) -> bool:
    """Returns whether ``value`` fits an argument with this annotation and default; True in case of doubt."""
    if value is None and default is None or type(value) is type(default) and value == default:
        return True
    return any(_fits(value, part) for part in _parts(hint))


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    origin, arguments = _origin(hint), typing.get_args(hint)
    if origin in _LISTS:
        if not isinstance(value, _PLAIN + (dict, type(None))):
            return True
        elements = [argument for argument in arguments if argument is not Ellipsis]
        same = len(set(map(str, elements))) == 1
        return isinstance(value, (list, tuple)) and (not same or all(fits(item, elements[0]) for item in value))
    if origin in _DICTS:
        return isinstance(value, dict)
    if origin is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (bool, str, type(None)):
        return isinstance(value, origin)
    if inspect.isclass(origin) and issubclass(origin, _BUILT):
        return not isinstance(value, (*_PLAIN, type(None)))
    return True


def _parts(hint: Any) -> list[Any]:
    """Returns the alternatives of a union."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return [part for argument in typing.get_args(hint) for part in _parts(argument)]
    return [hint]


def _origin(hint: Any) -> Any:
    return typing.get_origin(hint) or hint


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """Returns an annotation, evaluated if it is text; ``Any`` if there is none or it cannot be evaluated."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(names))  # text from a trusted library
    except (NameError, TypeError, AttributeError, SyntaxError):  # a name that is imported for type checkers only
        return Any
