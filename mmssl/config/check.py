"""Finding the mistakes in a config before any work starts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import LogProcessor, Runner
from torch.utils.data import DataLoader

from mmssl import registry as roles
from mmssl.config.compilation import block_compile_options
from mmssl.config.keys import CUSTOMARY_VARIABLES, FORMER_KEYS, READ_KEYS
from mmssl.config.paths import missing_paths
from mmssl.config.values import wrong_numbers, wrong_top_level_values, wrong_values
from mmssl.utils.errors import UserError, did_you_mean

_REGISTRIES = {
    'model': roles.MODELS,
    'backbone': roles.MODELS,
    'data_preprocessor': roles.MODELS,
    'init_cfg': mmengine_registry.WEIGHT_INITIALIZERS,
    'dataset': roles.DATASETS,
    'sampler': roles.DATA_SAMPLERS,
    'batch_sampler': roles.DATA_SAMPLERS,
    'collate_fn': roles.FUNCTIONS,
    'worker_init_fn': roles.FUNCTIONS,
    'views': roles.TRANSFORMS,
    'transform': roles.TRANSFORMS,
    'transforms': roles.TRANSFORMS,
    'pipeline': roles.TRANSFORMS,
    'optim_wrapper': roles.OPTIM_WRAPPERS,
    'optimizer': roles.OPTIMIZERS,
    'constructor': roles.OPTIM_WRAPPER_CONSTRUCTORS,
    'param_scheduler': roles.PARAM_SCHEDULERS,
    'train_cfg': roles.LOOPS,
    'val_cfg': roles.LOOPS,
    'test_cfg': roles.LOOPS,
    'val_evaluator': roles.EVALUATORS,
    'test_evaluator': roles.EVALUATORS,
    'metrics': roles.METRICS,
    'attacks': roles.MODELS,
    'default_hooks': roles.HOOKS,
    'custom_hooks': roles.HOOKS,
    'log_processor': roles.LOG_PROCESSORS,
    'visualizer': mmengine_registry.VISUALIZERS,
    'vis_backends': mmengine_registry.VISBACKENDS,
    'model_wrapper_cfg': mmengine_registry.MODEL_WRAPPERS,
    'runner_type': roles.RUNNERS,
    'step': roles.STEPS,
    'labeller': roles.LABELLERS,
}


_NEED_TYPE = {'model', 'backbone', 'neck', 'head', 'dataset', 'optimizer', 'step'}


# What a dict without ``type`` is handed to.
_IMPLIED_TYPES: dict[str, Callable] = {
    'log_processor': LogProcessor,
    'randomness': Runner.set_randomness,
}


# Arguments that MMEngine takes out of a dict before it builds from the rest.
_TAKEN_OUT = {
    'hook': {'priority'},
    'optimizer wrapper': {'constructor', 'paramwise_cfg', 'optimizer'},
    'parameter scheduler': {'convert_to_iter_based', 'by_epoch'},
    'loop': {'by_epoch'},
}


_DATALOADER_ONLY = {'num_batch_per_epoch'}


def check_config(cfg: Config, data: bool = True) -> None:
    """Looks for mistakes that would stop a run later, and reports all of them together.

    Top-level keys, every ``type``, the arguments beside it and the paths are checked. Of a config of another scope,
    such as mmdet's, only keys that nearly are one of the runner's, and paths.

    Args:
        cfg: What ``load_config`` returned.
        data: Whether what is missing counts: data folders, and weights that a target is made with.

    Raises:
        UserError: There are mistakes; the message names each with its place in the config.
    """
    problems = [*_wrong_keys(cfg), *wrong_top_level_values(cfg)]
    try:
        block_compile_options(cfg.get('compile'))
    except UserError as error:
        problems.append(str(error))
    if cfg.get('default_scope', 'mmssl') == 'mmssl':
        check = _PartsCheck(cfg)
        for key, value in cfg.items():
            if key != 'stages':  # of which each is checked by itself
                check.visit(value, key, key, None)
        problems += check.problems
    problems = problems or missing_paths(cfg, data)
    if len(problems) > 1:
        problems = [f'{len(problems)} mistakes in {cfg.filename}', *problems]
    if problems:
        raise UserError('\n  '.join(problems))


def _wrong_keys(cfg: Config) -> list[str]:
    problems = []
    for key in cfg.keys():
        if key in READ_KEYS | CUSTOMARY_VARIABLES or key.startswith('_'):
            continue
        if key in FORMER_KEYS and not (key == 'optimizer' and 'optim_wrapper' in cfg):  # mmseg has it as a variable
            hint = f"; MMEngine's name for it is {FORMER_KEYS[key]}"
        else:
            hint = did_you_mean(key, READ_KEYS, cutoff=0.8)
        if hint or cfg.get('default_scope') == 'mmssl':
            hint = hint or f'; a variable of the config itself starts with an underscore: _{key}'
            problems.append(f'unknown top-level key {key!r}{hint}')
    return problems


class _PartsCheck:
    """Walks through a config and collects unknown types and arguments in ``problems``.

    Args:
        cfg: The whole config.
    """

    def __init__(self, cfg: Config) -> None:
        imports = (cfg.get('custom_imports') or {}).get('imports', [])
        self.imports = [imports] if isinstance(imports, str) else list(imports)
        self.problems: list[str] = []

    def visit(self, node: Any, place: str, key: str, registry: Registry | None) -> None:
        """Checks ``node``, the value of ``key``, and what is below; ``registry`` builds the part around it."""
        if key.startswith('_'):
            return
        registry = None if key.endswith('dataloader') else _REGISTRIES.get(key, registry)
        if key in ('constructor', 'runner_type'):
            self.find(node, place, registry)
        elif isinstance(node, (list, tuple)):
            for i, item in enumerate(node):
                self.visit(item, f'{place}.{i}', 'metrics' if key.endswith('evaluator') else key, registry)
        elif isinstance(node, dict):
            self.visit_dict(node, place, key, registry)

    def visit_dict(self, node: dict, place: str, key: str, registry: Registry | None) -> None:
        target: Any = DataLoader if key.endswith('dataloader') else _IMPLIED_TYPES.get(key)
        if key == 'train_cfg':
            target = roles.LOOPS.get('PretrainTrainLoop')
        elif key == 'optim_wrapper':
            target = roles.OPTIM_WRAPPERS.get('MixedPrecisionOptimWrapper')
        if 'type' in node and registry is not None:
            if key.endswith('evaluator') and node['type'] in roles.METRICS.module_dict:
                registry = roles.METRICS
            target = self.find(node['type'], f'{place}.type', registry)
        elif key in _NEED_TYPE or place.startswith('default_hooks.') and place.count('.') == 1:
            self.problems.append(f'{place}: type is missing')
        if target is not None and registry is not mmengine_registry.WEIGHT_INITIALIZERS:
            self.check_arguments(node, place, target, registry)
            self.problems += wrong_values(node, place, target)
        self.problems += wrong_numbers(node, place)
        for inner, value in node.items():
            self.visit(value, f'{place}.{inner}', inner, registry)

    def find(self, name: Any, place: str, registry: Registry) -> Any:
        """What ``name`` is registered for; None, and a problem more, when it is not registered."""
        if not isinstance(name, str):
            return name
        try:
            found = registry.get(name)
        except ImportError as error:
            raise UserError(f'{place}: {name!r} cannot be looked up, a module failed to import: {error}') from error
        except RuntimeError:  # MMEngine's answer to a name with a dot that leads nowhere
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
        other = next((table for table in _REGISTRIES.values() if name in table.module_dict), None)
        hint = f'; it is a {other.name}' if other else did_you_mean(name, known)
        failed = ''.join(f'\n    {module} failed to import: {why}' for module, why in _failed_imports(self.imports))
        return (
            f'{place}: no {registry.name} is called {name!r}{hint}\n'
            f'    searched: {", ".join(searched + self.imports)}{failed}\n'
            '    a class of your own is found when the config imports its module: '
            "custom_imports = dict(imports=['package.module'], allow_failed_imports=False)"
        )

    def check_arguments(self, node: dict, place: str, target: Callable, registry: Registry | None) -> None:
        accepted, complete = accepted_arguments(target)
        taken_out = _TAKEN_OUT.get(registry.name, ()) if registry is not None else _DATALOADER_ONLY
        offered = accepted - {'self'}
        name = getattr(target, '__name__', str(target))
        for key in node.keys() - accepted - {'type', '_scope_', *taken_out}:
            hint = did_you_mean(key, offered, cutoff=0.6 if complete else 0.9)
            if hint or complete:
                hint = hint or f'; it has {", ".join(sorted(offered))}'
                self.problems.append(f'{place}: {name} has no argument {key!r}{hint}')


def _failed_imports(modules: list[str]) -> Iterator[tuple[str, str]]:
    for module in modules:
        try:
            import_module(module)
        except Exception as error:
            yield module, f'{type(error).__name__}: {error}'


def accepted_arguments(target: Callable) -> tuple[set[str], bool]:
    """Names of the keyword arguments that a class or function takes, and whether these are all.

    ``**kwargs`` that a constructor hands to ``super().__init__`` stand for the arguments of the next constructor; of
    any other use of them nothing is known.
    """
    functions = [target]
    if inspect.isclass(target):
        functions = [vars(base)['__init__'] for base in target.__mro__ if '__init__' in vars(base)]
    accepted: set[str] = set()
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
            accepted |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            catch_all = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
            if catch_all is None:
                return accepted, True
            hands_on = rf'super\([^()]*\)\.__init__\((?:[^()]|\([^()]*\))*\*\*{catch_all}\b'
            if not re.search(hands_on, inspect.getsource(function)):
                break
        except (TypeError, ValueError, OSError):  # builtins without a signature, classes without a source
            break
    return accepted, False
