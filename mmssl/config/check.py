"""Check of a config for mistakes before any work starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import LogProcessor, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmssl import registry as roles
from mmssl.config.compilation import check_compilation
from mmssl.config.keys import CUSTOMARY_VARIABLES, FORMER_KEYS, READ_KEYS
from mmssl.config.memory_format import memory_format
from mmssl.config.paths import missing_paths
from mmssl.config.strategy import read_strategy
from mmssl.config.values import wrong_numbers, wrong_top_level_values, wrong_type, wrong_values
from mmssl.utils.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Slot:
    """The kind of part that a key of a config describes.

    Args:
        registry: Registry that builds the part; None builds nothing.
        implied: Class of a dict without ``type``: a name in ``registry``, or a class or function.
        taken_out: Keys that MMEngine removes from the dict before it builds the part.
        needs_type: Whether a dict without ``type`` is a mistake.
    """

    registry: Registry | None
    implied: str | Callable | None = None
    taken_out: frozenset[str] = frozenset()
    needs_type: bool = False


_BY_EPOCH = frozenset({'by_epoch'})
_MODEL = Slot(roles.MODELS, needs_type=True)
_VIEWS = Slot(roles.TRANSFORMS)
_HOOKS = Slot(roles.HOOKS, taken_out=frozenset({'priority'}))
_SAMPLER = Slot(roles.DATA_SAMPLERS)
_FUNCTION = Slot(roles.FUNCTIONS)
_DATALOADER = Slot(None, DataLoader, frozenset({'num_batch_per_epoch'}))

SLOTS = {
    'model': _MODEL,
    'backbone': _MODEL,
    'neck': _MODEL,
    'head': _MODEL,
    'attacks': Slot(roles.MODELS),
    'data_preprocessor': Slot(roles.MODELS),
    'init_cfg': Slot(roles.WEIGHT_INITIALIZERS),
    'dataset': Slot(roles.DATASETS, needs_type=True),
    'sampler': _SAMPLER,
    'batch_sampler': _SAMPLER,
    'collate_fn': _FUNCTION,
    'worker_init_fn': _FUNCTION,
    'views': _VIEWS,
    'transform': _VIEWS,
    'transforms': _VIEWS,
    'pipeline': _VIEWS,
    'optim_wrapper': Slot(
        roles.OPTIM_WRAPPERS,
        'MixedPrecisionOptimWrapper',
        frozenset({'constructor', 'paramwise_cfg', 'optimizer'}),
    ),
    'optimizer': Slot(roles.OPTIMIZERS, needs_type=True),
    'constructor': Slot(roles.OPTIM_WRAPPER_CONSTRUCTORS),
    'param_scheduler': Slot(roles.PARAM_SCHEDULERS, None, _BY_EPOCH | {'convert_to_iter_based'}),
    'train_cfg': Slot(roles.LOOPS, 'PretrainTrainLoop', _BY_EPOCH),
    'val_cfg': Slot(roles.LOOPS, None, _BY_EPOCH),
    'test_cfg': Slot(roles.LOOPS, None, _BY_EPOCH),
    'val_evaluator': Slot(roles.EVALUATORS),
    'test_evaluator': Slot(roles.EVALUATORS),
    'metrics': Slot(roles.METRICS),
    'default_hooks': _HOOKS,
    'custom_hooks': _HOOKS,
    'log_processor': Slot(roles.LOG_PROCESSORS, LogProcessor),
    'visualizer': Slot(roles.VISUALIZERS),
    'vis_backends': Slot(roles.VISBACKENDS),
    'model_wrapper_cfg': Slot(mmengine_registry.MODEL_WRAPPERS),
    'randomness': Slot(None, Runner.set_randomness),
    'runner_type': Slot(roles.RUNNERS),
    'step': Slot(roles.STEPS, needs_type=True),
    'labeller': Slot(roles.LABELLERS),
}

# Packages whose constructors pass ``**kwargs`` to the next constructor. A class of mmssl that passes them to another
# function names it in ``options_go_to``.
_HAND_ON = ('mmssl.', 'mmengine.optim.')


def check_config(cfg: Config, data: bool = True, files: bool = True) -> None:
    """Looks for mistakes that would stop a run later, and reports all of them together.

    It checks top-level keys, every ``type`` with its arguments, and paths. In a config of another scope, such as
    mmdet's, it checks paths, and keys that are similar to a key of the runner.

    Args:
        cfg: Config from ``load_config``.
        data: Whether missing data folders, and missing weights of a target, are mistakes.
        files: Whether any missing file or folder is a mistake.

    Raises:
        UserError: There are mistakes; the message names each with its place in the config.
    """
    problems = [*_wrong_keys(cfg), *wrong_top_level_values(cfg), *_two_lengths(cfg), *_incomplete_loops(cfg)]
    for read, key in (
        (check_compilation, 'compile'),
        (memory_format, 'memory_format'),
        (read_strategy, 'strategy'),
    ):
        try:
            read(cfg.get(key))
        except UserError as error:
            problems.append(str(error))
    if cfg.get('default_scope', 'mmssl') == 'mmssl':
        check = _PartsCheck(cfg)
        for key, value in cfg.items():
            if key != 'stages':  # each stage is checked separately
                check.visit(value, key, key, Slot(None))
        problems += check.problems
    problems = problems or (missing_paths(cfg, data) if files else [])
    if len(problems) > 1:
        problems = [f'{len(problems)} mistakes in {cfg.filename}', *problems]
    if problems:
        raise UserError('\n  '.join(problems))


def check_present(cfg: Config, *keys: str) -> None:
    """Checks that a config has top-level keys.

    Raises:
        UserError: A key is missing, or its value is None.
    """
    missing = [key for key in keys if cfg.get(key) is None]
    if missing:
        lack = f'{cfg.filename or "the config"} has no {" and no ".join(missing)}: give a config with {", ".join(keys)}'
        raise UserError('\n  '.join([lack, *_wrong_keys(cfg)]))


def _wrong_keys(cfg: Config) -> list[str]:
    problems = []
    for key in cfg.keys():
        if key in READ_KEYS | CUSTOMARY_VARIABLES or key.startswith('_'):
            continue
        if key in FORMER_KEYS and not (key == 'optimizer' and 'optim_wrapper' in cfg):  # a variable in configs of mmseg
            hint = f"; MMEngine's name for it is {FORMER_KEYS[key]}"
        else:
            hint = did_you_mean(key, READ_KEYS, cutoff=0.8)
        if hint or cfg.get('default_scope') == 'mmssl':
            hint = hint or f'; a variable of the config must start with an underscore: _{key}'
            problems.append(f'unknown top-level key {key!r}{hint}')
    return problems


def _two_lengths(cfg: Config) -> Iterator[str]:
    whole, loop = cfg.get('max_epochs'), cfg.get('train_cfg') or {}
    if (
        whole is not None
        and isinstance(loop, dict)
        and 'max_iters' not in loop
        and loop.get('max_epochs', whole) != whole
    ):
        yield f'max_epochs={whole} and train_cfg.max_epochs={loop["max_epochs"]} contradict each other: give one'


def _incomplete_loops(cfg: Config) -> Iterator[str]:
    for split, what in (('val', 'evaluations during the run'), ('test', 'tests')):
        keys = [f'{split}_{part}' for part in ('dataloader', 'cfg', 'evaluator')]
        missing = [key for key in keys if cfg.get(key) is None]
        if 0 < len(missing) < 3:
            yield f'{" and ".join(missing)} missing: set all of {", ".join(keys)}, or none of them for no {what}'


class _PartsCheck:
    """Walks through a config and collects unknown types and arguments in ``problems``.

    Args:
        cfg: Whole config.
    """

    def __init__(self, cfg: Config) -> None:
        imports = (cfg.get('custom_imports') or {}).get('imports', [])
        self.imports = [imports] if isinstance(imports, str) else list(imports)
        self.problems: list[str] = []

    def visit(self, node: Any, place: str, key: str, around: Slot) -> None:
        """Checks the value ``node`` of ``key`` and everything below it.

        Args:
            node: Value to check.
            place: Dotted key, for messages.
            key: Last part of the dotted key; for an item of a list, the key of the list.
            around: Slot of the part that contains ``node``, whose registry an unknown key inherits.
        """
        if key.startswith('_'):
            return
        slot = _DATALOADER if key.endswith('dataloader') else SLOTS.get(key, replace(around, implied=None))
        if key in ('constructor', 'runner_type') and slot.registry is not None:
            self.find(node, place, slot.registry)
        elif isinstance(node, (list, tuple)):
            for i, item in enumerate(node):
                self.visit(item, f'{place}.{i}', 'metrics' if key.endswith('evaluator') else key, around)
        elif isinstance(node, dict):
            is_hook = place.startswith('default_hooks.') and place.count('.') == 1
            self.visit_dict(node, place, replace(slot, needs_type=is_hook or key in SLOTS and slot.needs_type))
        elif place.endswith('optim_wrapper.optimizer'):  # which has no annotation
            self.problems.append(wrong_type(place, dict, node))

    def visit_dict(self, node: dict, place: str, slot: Slot) -> None:
        """Checks a dict that describes a part of the kind ``slot``."""
        receiver: Any = slot.implied
        if 'type' in node and slot.registry is not None:
            if slot.registry is roles.EVALUATORS and node['type'] in roles.METRICS.module_dict:
                slot = Slot(roles.METRICS)
            receiver = self.find(node['type'], f'{place}.type', slot.registry)
        elif slot.needs_type:
            self.problems.append(f'{place}: type is missing')
        elif isinstance(receiver, str) and slot.registry is not None:
            receiver = slot.registry.get(receiver)
        if receiver is not None and slot.registry is not roles.WEIGHT_INITIALIZERS:
            self.check_arguments(node, place, receiver, slot.taken_out)
            self.problems += wrong_values(node, place, receiver)
        self.problems += wrong_numbers(node, place)
        for inner, value in node.items():
            self.visit(value, f'{place}.{inner}', str(inner), slot)

    def find(self, name: Any, place: str, registry: Registry) -> Any:
        """Returns the class that is registered as ``name``; if there is none, adds a problem and returns None."""
        if not isinstance(name, str):
            return name
        try:
            found = registry.get(name)
        except ImportError as error:
            raise UserError(f'{place}: {name!r} cannot be looked up, a module failed to import: {error}') from error
        except RuntimeError:  # MMEngine raises it for a dotted name that does not exist
            found = None
        if found is None:
            self.problems.append(self.unknown(name, place, registry))
        return found

    def unknown(self, name: str, place: str, registry: Registry) -> str:
        known: list[str] = []
        searched: list[str] = []
        table: Registry | None = registry
        while table is not None:
            known += table.module_dict
            searched += table._locations or [f'mmengine ({table.name})']
            table = table.parent
        tables = (slot.registry for slot in SLOTS.values() if slot.registry is not None)
        other = next((table for table in tables if name in table.module_dict), None)
        hint = f'; it is a {other.name}' if other else did_you_mean(name, known)
        failed = ''.join(f'\n    {module} failed to import: {why}' for module, why in _failed_imports(self.imports))
        return (
            f'{place}: no {registry.name} is called {name!r}{hint}\n'
            f'    searched: {", ".join(searched + self.imports)}{failed}\n'
            '    to use a class of your own, import its module in the config: '
            "custom_imports = dict(imports=['package.module'], allow_failed_imports=False)"
        )

    def check_arguments(self, node: dict, place: str, receiver: Callable, taken_out: frozenset[str]) -> None:
        """Adds a problem for every key of ``node`` that is not an argument of ``receiver``."""
        accepted, complete = accepted_arguments(receiver)
        if receiver in roles.BACKBONES.members.values():
            accepted = accepted | roles.BACKBONES.shared.keys()
        offered = accepted - {'self'}
        name = getattr(receiver, '__name__', str(receiver))
        for key in node.keys() - accepted - taken_out - {'type', '_scope_'}:
            hint = did_you_mean(key, offered, cutoff=0.6 if complete else 0.9)
            if hint or complete:
                hint = hint or f'; it has {", ".join(sorted(offered)) or "none"}'
                self.problems.append(f'{place}: {name} has no argument {key!r}{hint}')


def _failed_imports(modules: list[str]) -> Iterator[tuple[str, str]]:
    for module in modules:
        try:
            import_module(module)
        except Exception as error:
            yield module, f'{type(error).__name__}: {error}'


@cache
def accepted_arguments(target: Callable) -> tuple[frozenset[str], bool]:
    """Returns the names of the keyword arguments of a class or function, and whether the list is complete.

    A constructor of mmssl passes ``**kwargs`` to the next constructor, or to the function in ``options_go_to`` of its
    class. The ``**kwargs`` of other functions are unknown, so the list is not complete.
    """
    functions: list[tuple[Any, Callable]] = [(target, target)]
    if inspect.isclass(target):
        functions = [(base, vars(base)['__init__']) for base in target.__mro__ if '__init__' in vars(base)]
    accepted: set[str] = set()
    for owner, function in functions:
        if owner is nn.Module:  # its **kwargs accept nothing
            return frozenset(accepted), True
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # builtins without a signature
            break
        accepted |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return frozenset(accepted), True
        if receiver := vars(owner).get('options_go_to'):
            more, complete = accepted_arguments(receiver)
            return more | accepted, complete
        if not (inspect.isclass(owner) and owner.__module__.startswith(_HAND_ON)):
            break
    return frozenset(accepted), False
