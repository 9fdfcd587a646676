"""Modules that have moved: their old names can be imported, with a warning, until the next release.

``import mmssl`` appends ``MovedModules`` to ``sys.meta_path``, so Python uses it only for names that no other finder
finds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Old module in mmssl -> modules with its contents now.
MOVED: dict[str, tuple[str, ...]] = {
    'config.data_paths': ('config.paths',),
    'config.literals': ('config.text',),
    'converters.names': ('converters.convert',),
    'converters.target': ('converters.library',),
    'converters.targets': ('converters.libraries',),
    'engine.blocks': ('engine.compilation',),
    'engine.dry_run': ('profiling.dry_run',),
    'models.components.blockwise_masker': ('models.maskers.blockwise_masker',),
    'models.components.dalle_tokenizer': ('models.tokenizers.dalle_tokenizer',),
    'models.components.grid_attention': ('models.layers.grid_attention',),
    'models.components.initialization': ('models.layers.initialization',),
    'models.components.layer_norm2d': ('models.layers.layer_norm2d',),
    'models.components.left_out': ('models.layers.loading',),
    'models.components.masker': ('models.maskers.masker',),
    'models.components.patch_codebook': ('models.tokenizers.patch_codebook',),
    'models.components.patches': ('models.layers.patches',),
    'models.components.pooling': ('models.layers.pooling',),
    'models.components.positions': ('models.layers.positions',),
    'models.components.relative_positions': ('models.layers.relative_positions',),
    'models.components.simmim_masker': ('models.maskers.simmim_masker',),
    'models.components.sync_batch_norm': ('models.layers.sync_batch_norm',),
    'models.components.uniform_masker': ('models.maskers.uniform_masker',),
    'models.components.windows': ('models.layers.windows',),
    'utils.activation_memory': ('profiling.activation_memory',),
    'utils.benchmark': ('profiling.throughput',),
    'utils.checkpoint': ('checkpoints.files', 'checkpoints.content', 'checkpoints.matching'),
    'utils.cli': ('cli.options', 'utils.errors', 'cli.tool'),
    'utils.config': ('config.load', 'config.paths', 'config.check'),
    'utils.dist': ('distributed.collectives',),
    'utils.downstream': ('compat.downstream',),
    'utils.launch': ('distributed.launch',),
    'utils.mim_step': ('profiling.masked_step',),
    'utils.mmcv_ops': ('compat.mmcv_ext', 'compat.missing_operator'),
    'utils.saved_bytes': ('profiling.saved_bytes',),
    'utils.step_cost': ('profiling.step_cost', 'profiling.official_style'),
    'utils.timing': ('profiling.timing',),
    'utils.torchrun': ('distributed.torchrun',),
    'utils.torchvision_ops': ('compat.torchvision_ops',),
    'utils.trained': ('converters.trained', 'config.text'),
    'utils.transfer': ('converters.transfer',),
}


# Names that changed when they moved.
RENAMED = {'Target': 'Library', 'TARGETS': 'LIBRARIES', 'TARGET': 'LIBRARY'}


class MovedModules(MetaPathFinder, Loader):
    """Finds the modules of ``MOVED`` by their old names."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns the spec of a moved module; None for any other module."""
        return ModuleSpec(name, self) if name.startswith('mmssl.') and name[6:] in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Warns about the old name, and makes the module look up attributes in the new modules."""
        homes = [f'mmssl.{home}' for home in MOVED[module.__name__[6:]]]
        warnings.warn(
            f'{module.__name__} has moved to {" and ".join(homes)}; the next release removes the old name',
            DeprecationWarning,
            stacklevel=2,
        )

        def __getattr__(name: str) -> Any:
            for home in map(import_module, homes):
                for current in (name, RENAMED.get(name)):
                    if current is not None and hasattr(home, current):
                        return getattr(home, current)
            raise AttributeError(f'neither {" nor ".join(homes)} has {name!r}')

        module.__dict__['__getattr__'] = __getattr__
