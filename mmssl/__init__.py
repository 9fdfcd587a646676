"""mmssl: pre-train image backbones without labels and carry them into detection and segmentation.

The functions below are imported when they are first used, so that ``import mmssl`` itself loads no torch.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmssl.moved import MovedModules
from mmssl.version import __version__

if TYPE_CHECKING:
    from mmssl.apis.convert import convert
    from mmssl.apis.evaluate import evaluate
    from mmssl.apis.features import FeatureExtractor
    from mmssl.apis.models import get_backbone, get_model, list_backbones, list_methods
    from mmssl.apis.predict import Predictor, predict
    from mmssl.apis.recipes import get_recipe, list_recipes
    from mmssl.apis.train import train

__all__ = [
    'FeatureExtractor',
    'Predictor',
    '__version__',
    'convert',
    'evaluate',
    'get_backbone',
    'get_model',
    'get_recipe',
    'list_backbones',
    'list_methods',
    'list_recipes',
    'predict',
    'train',
]

_MODULES = {
    'FeatureExtractor': 'features',
    'Predictor': 'predict',
    'get_backbone': 'models',
    'get_model': 'models',
    'get_recipe': 'recipes',
    'list_backbones': 'models',
    'list_methods': 'models',
    'list_recipes': 'recipes',
} | {name: name for name in ('convert', 'evaluate', 'predict', 'train')}

sys.meta_path.append(MovedModules())  # behind Python's own finders


def __getattr__(name: str) -> Any:
    """Imports a function of the interface when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}', name=name, obj=sys.modules[__name__])
    found = getattr(import_module(f'mmssl.apis.{_MODULES[name]}'), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals() | _MODULES)
