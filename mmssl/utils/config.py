"""Loading a config, and finding the mistakes in it before any work starts."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from glob import glob
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import LogProcessor, Runner
from mmengine.utils import import_modules_from_strings
from torch.utils.data import DataLoader

from mmssl import registry as roles
from mmssl.config.classes import read_classes, set_classes, set_ignored_labels
from mmssl.config.compilation import block_compile_options
from mmssl.config.data_paths import move_data, paths_below
from mmssl.config.keys import CUSTOMARY_VARIABLES, FORMER_KEYS, READ_KEYS
from mmssl.config.length import follow_length, old_length
from mmssl.config.options import option_path, renamed, write_options
from mmssl.config.pure_python import with_names
from mmssl.config.values import wrong_numbers, wrong_top_level_values, wrong_values
from mmssl.utils.downstream import prepare_downstream
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
_FILES = ('load_from', 'checkpoint', 'labels', 'vocabulary')  # keys whose text is the path of a file
_DATALOADER_ONLY = {'num_batch_per_epoch'}
_TARGET = 'model.target.'


def load_config(path: str | Path, cfg_options: dict[str, Any] | None = None) -> Config:
    """Reads a config file and applies command-line options to it.

    ``default_scope`` is ``mmssl`` and ``runner_type`` the ``PretrainRunner`` where the file does not say otherwise.
    Models of mmdet and mmseg find mmcv's operators from now on, compiled or not. Some options change several places:

    - ``data_root`` moves every dataset: it takes the place of the folder that their data roots have in common,
      unless another option names theirs;
    - ``max_epochs`` and ``max_iters`` move the loop and the schedules' milestones, see ``config.length``;
    - ``classes`` and ``ignore_labels`` make a detection or segmentation config one for other data, see
      ``config.classes``.

    Args:
        path: The config file.
        cfg_options: Dotted keys and values, as of ``--cfg-options``.

    Raises:
        UserError: There is no such file, it or a base of it cannot be read, or a ``custom_imports`` module fails.
    """
    path = Path(path)
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path('configs')
        offered = [str(file) for file in folder.rglob('*.py')]
        raise UserError(f'config file {str(path)!r} does not exist{did_you_mean(str(path), offered)}')
    prepare_downstream()
    try:
        cfg = with_names(Config.fromfile(path))
        apply_options(cfg, cfg_options)
        cfg.setdefault('default_scope', 'mmssl')
        if cfg.default_scope == 'mmssl':
            cfg.setdefault('runner_type', 'PretrainRunner')
    except UserError:
        raise
    except Exception as error:  # a config is a program: anything may go wrong in it
        root: BaseException = error
        while cause := root.__cause__ or (root.__context__ if isinstance(root, ImportError) else None):
            root = cause
        outer = '' if root is error else str(error).partition(', the current sys.path')[0] + ': '
        raise UserError(f'config {str(path)!r} cannot be loaded: {outer}{type(root).__name__}: {root}') from error
    return cfg


def apply_options(cfg: Config, cfg_options: dict[str, Any] | None) -> None:
    """Writes command-line options into ``cfg``; see ``load_config`` for those that change several places.

    Raises:
        UserError: An option would change nothing, or goes below a value that is no dict, such as a loop that the config
            switches off, the value of one that changes several places does not fit, or a module of
            ``custom_imports`` fails.
    """
    options = cfg_options or {}
    before = old_length(cfg)
    written = renamed(options, lambda key: None if key in ('classes', 'ignore_labels') else key)
    if 'data_root' in options:  # first, so that a data root that another option names stays as it is written
        move_data([cfg], option_path(options, 'data_root'))
    write_options(cfg, written)
    if any(key.partition('.')[0] == 'custom_imports' for key in options):
        _import_custom_modules(cfg)
    follow_length(cfg, written, before)
    if 'classes' in options:
        names = read_classes(getattr(options, 'texts', options).get('classes', options['classes']))
        set_classes(cfg, names, written)
    if 'ignore_labels' in options:
        set_ignored_labels(cfg, options['ignore_labels'])
    tested = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    if options and cfg.get('default_scope') == 'mmseg' and 'test_pipeline' in cfg and 'pipeline' in tested:
        cfg.test_pipeline = deepcopy(tested.pipeline)  # which the inference of mmseg reads


def _import_custom_modules(cfg: Config) -> None:
    try:
        import_modules_from_strings(**cfg.get('custom_imports') or {'imports': None})
    except (ImportError, TypeError) as error:
        cause = error.__context__ or error
        raise UserError(f'--cfg-options custom_imports: {error}: {type(cause).__name__}: {cause}') from error


def evaluation_dataloader(cfg: Config, data: str) -> dict:
    """The config of the dataloader of the ``'val'``, ``'test'`` or ``'bank'`` images.

    Raises:
        UserError: The config has none.
    """
    loops = [cfg.get('val_cfg') or {}, cfg.get('test_cfg') or {}]
    loaders = dict(
        val=cfg.get('val_dataloader'),
        test=cfg.get('test_dataloader'),
        bank=next((loop.bank_dataloader for loop in loops if 'bank_dataloader' in loop), None),
    )
    if loaders[data] is None:
        present = [name for name, loader in loaders.items() if loader is not None]
        hint = '; a checkpoint of a run with --no-validate lacks them: name the config file that has them'
        raise UserError(f'the config has no {data} images; it has {", ".join(present) or "none at all"}{hint}')
    return loaders[data]


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


def missing_paths(cfg: Config, data: bool = True) -> list[str]:
    """One message for each checkpoint and, with ``data``, each data folder of the config that does not exist here.

    What only a test reads does not count while there is a training set, nor what only a training reads while there is
    none.
    """
    trains = cfg.get('train_dataloader') is not None
    keys = (*_FILES, 'data_root') if data else _FILES
    places: dict[str, list[str]] = defaultdict(list)
    for place, path in paths_below(cfg, keys):
        unused = place.startswith('test_') and trains
        unused |= not (data and trains) and place.startswith(_TARGET)
        unused |= place.startswith('stages.')  # of which each is checked by itself
        if path and '://' not in path and not unused and not _exists(path, place):
            places[path].append(place)
    problems = []
    for path, found in places.items():
        option = f'{found[0]}=/path' + (', for all datasets data_root=/path' if found[0].endswith('data_root') else '')
        problems.append(
            f'{path!r} does not exist (looked for {Path(path).absolute()}), which is the value of {", ".join(found)}; '
            f'to name another: --cfg-options {option}'
        )
    return problems


def _exists(path: str, place: str) -> bool:
    """Whether there is such a file or folder, or, as a data root, files that a pattern matches."""
    whole = Path(path).expanduser()
    return whole.exists() or 'data_root' in place.split('.')[-2:] and bool(glob(str(whole)))


def missing_target_weights(cfg: Config) -> dict[str, str]:
    """Dotted key -> path of the files of weights below ``model.target`` that do not exist here, addresses aside."""
    found = {k: path for k, path in paths_below(cfg, ('checkpoint',)) if k.startswith(_TARGET)}
    return {k: path for k, path in found.items() if '://' not in path and not _exists(path, k)}


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
