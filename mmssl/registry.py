"""Registries of mmssl: children of MMEngine's, in the scope ``mmssl``.

All parts of models share one table, ``MODELS``, because MMEngine allows one child per scope and because mmdet
or mmseg can then write ``type='mmssl.ResNet'`` without ``custom_imports``. The role names below, such as ``BACKBONES``,
are views of that table: each one remembers the classes that were registered through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

_MODEL_LOCATIONS = ['mmssl.models']
_DATA_LOCATIONS = ['mmssl.datasets']
_ENGINE_LOCATIONS = ['mmssl.engine']


def _child(name: str, parent: str, locations: list[str]) -> Registry:
    return Registry(name, parent=getattr(mmengine_registry, parent), scope='mmssl', locations=locations)


MODELS = _child('model', 'MODELS', _MODEL_LOCATIONS)
DATASETS = _child('dataset', 'DATASETS', _DATA_LOCATIONS)
DATA_SAMPLERS = _child('data sampler', 'DATA_SAMPLERS', _DATA_LOCATIONS)
TRANSFORMS = _child('transform', 'TRANSFORMS', _DATA_LOCATIONS)
FUNCTIONS = _child('function', 'FUNCTIONS', _DATA_LOCATIONS)
RUNNERS = _child('runner', 'RUNNERS', _ENGINE_LOCATIONS)
LOOPS = _child('loop', 'LOOPS', [*_ENGINE_LOCATIONS, 'mmssl.evaluation'])
HOOKS = _child('hook', 'HOOKS', _ENGINE_LOCATIONS)
STEPS = Registry('step', scope='mmssl', locations=_ENGINE_LOCATIONS)  # stages without training
LABELLERS = Registry('labeller', scope='mmssl', locations=['mmssl.clustering.labels'])
OPTIMIZERS = _child('optimizer', 'OPTIMIZERS', _ENGINE_LOCATIONS)
OPTIM_WRAPPERS = _child('optimizer wrapper', 'OPTIM_WRAPPERS', _ENGINE_LOCATIONS)
OPTIM_WRAPPER_CONSTRUCTORS = _child('optimizer wrapper constructor', 'OPTIM_WRAPPER_CONSTRUCTORS', _ENGINE_LOCATIONS)
PARAM_SCHEDULERS = _child('parameter scheduler', 'PARAM_SCHEDULERS', _ENGINE_LOCATIONS)
WEIGHT_INITIALIZERS = _child('weight initializer', 'WEIGHT_INITIALIZERS', _MODEL_LOCATIONS)
LOG_PROCESSORS = _child('log processor', 'LOG_PROCESSORS', _ENGINE_LOCATIONS)
VISUALIZERS = _child('visualizer', 'VISUALIZERS', _ENGINE_LOCATIONS)
VISBACKENDS = _child('vis_backend', 'VISBACKENDS', _ENGINE_LOCATIONS)
METRICS = _child('metric', 'METRICS', ['mmssl.evaluation'])
EVALUATORS = _child('evaluator', 'EVALUATOR', ['mmssl.evaluation'])


class Role:
    """A view of the ``MODELS`` table for the classes of one role.

    A role registers in ``MODELS`` and builds from ``MODELS``. It also remembers the classes that were registered
    through it, by mmssl or by a plugin, so that they can be listed.

    Args:
        name: Name of the role in the singular, for listings and messages.
        has_shared: Whether all members take the arguments in ``shared``.
    """

    def __init__(self, name: str, has_shared: bool = False) -> None:
        self.name = name
        self.has_shared = has_shared
        self.members: dict[str, type] = {}
        self.shared: dict[str, Callable[[Any, Any], None]] = {}  # argument of all members -> function of part and value

    def register_module(self, name: str | None = None, force: bool = False) -> Callable[[type], type]:
        """Returns a class decorator that registers the class in ``MODELS``.

        Args:
            name: Name under which the class is registered; None takes the name of the class.
            force: True replaces a class that is already registered under the name.

        Raises:
            KeyError: The name is taken and ``force`` is False.
        """

        def register(cls: type) -> type:
            if self.has_shared:
                _take_shared(cls, self.shared)
            MODELS.register_module(name=name, force=force, module=cls)
            self.members[name or cls.__name__] = cls
            return cls

        return register

    def build(self, cfg: dict, **kwargs: Any) -> Any:
        """Builds the class that ``cfg['type']`` names; the rest of ``cfg`` and ``kwargs`` are its arguments.

        A name of this role means the class of mmssl in every scope: inside a detector of mmdet, ``ResNet`` is not
        mmdet's. Any other name is looked up as MMEngine does.
        """
        MODELS.import_from_location()
        if isinstance(cfg, dict) and cfg.get('type') in self.members:
            cfg = cfg | dict(type=self.members[cfg['type']])
        return MODELS.build(cfg, **kwargs)


def _take_shared(cls: type, shared: Mapping[str, Callable[[Any, Any], None]]) -> None:
    """Makes the constructor of a class take the arguments ``shared`` of its role.

    It is the constructor, because the registries of mmdet and mmseg do not call ``Role.build``.
    """
    construct: Any = cls.__init__  # type: ignore[misc]

    @wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        given = {key: kwargs.pop(key) for key in shared if key in kwargs} if type(self) is cls else {}
        construct(self, *args, **kwargs)
        for key, value in given.items():
            shared[key](self, value)

    cls.__init__ = __init__  # type: ignore[misc]


ALGORITHMS = Role('algorithm')
BACKBONES = Role('backbone', has_shared=True)
NECKS = Role('neck')
HEADS = Role('head')
LOSSES = Role('loss')
TARGETS = Role('target')
MASKERS = Role('masker')
TOKENIZERS = Role('tokenizer')
COMPONENTS = Role('component')
LAYERS = Role('layer')
PREPROCESSORS = Role('preprocessor')

ROLES = {
    role.name: role
    for role in (
        ALGORITHMS, BACKBONES, NECKS, HEADS, LOSSES, TARGETS, MASKERS, TOKENIZERS, COMPONENTS, LAYERS, PREPROCESSORS,
    )
}  # fmt: skip
