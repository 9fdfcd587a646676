"""Builds an optimizer with few parameter groups for a model."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn
from torch.utils._foreach_utils import _get_fused_kernels_supported_devices

from mmssl.engine.optimizers.local_rate import options_of_parameters, use_local_rates
from mmssl.engine.optimizers.mixed_precision import MixedPrecisionOptimWrapper
from mmssl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS
from mmssl.utils.errors import some

# Not SGD: torch's fused kernel fails in the step in which a parameter gets its first gradient after others, as where a
# layer is frozen for an epoch or a discriminator moves at every fifth step.
_WITH_FUSED_KERNELS = (torch.optim.AdamW, torch.optim.Adam)
_EXCLUDED_BY = {'fused', 'foreach', 'capturable', 'differentiable'}  # options that choose another implementation


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Builds the optimizer of the trainable parameters, with one parameter group per distinct setting.

    MMEngine's constructor would make one group per parameter (which prevents multi-tensor updates), include the frozen
    parameters of a teacher, and import compiled operators of mmcv.

    The keys of ``paramwise_cfg`` are:

    - ``custom_keys={'head.predictor': dict(fix_lr=True)}`` works as in MMEngine: the longest key that occurs in a
      parameter's name sets ``lr_mult``, ``decay_mult`` and any other entry of its group. A key of which all parameters
      are frozen, as by ``trainable``, has no effect and is logged.
    - ``vectors=dict(lr_mult=.024)`` sets the same for all parameters of at most one dimension (biases and norms). A
      custom key that also matches overrides it.
    - ``layer_decay=.65`` is for fine-tuning. In ``model.backbone`` the lr is multiplied by this factor from layer to
      layer, from the output to the embeddings, with the distances of ``backbone.layers_to_output()``. Parameters that
      ``backbone.no_weight_decay()`` names are treated like vectors. Head, neck and decoder have the full lr. A
      ``lr_mult`` multiplies the lr of the layer. This is the rule of MAE, BEiT and SimMIM. iTPN's nominal rate r is
      ``layer_decay=r ** (13 / (B + 1))`` for B blocks. Deviation: iTPN's detection and segmentation code counts layers
      differently and gives the last block more than the full lr; here it has ``layer_decay`` times the full lr, as in
      iTPN's classification.
    - ``backbone_lr_mult=.1`` multiplies the lr of everything in ``model.backbone``, for a start from trained weights.

    ``local_rate=.2`` in a group scales its gradients at each optimizer step, see ``use_local_rates``. A layer can set
    this and any other option of a group with an attribute ``param_options``: name of its parameter -> options. A custom
    key overrides them, for instance ``custom_keys={'.adder': dict(local_rate=None)}``.

    AdamW and Adam are fused where the device has the kernels, which make one pass over weights and state instead
    of several. ``fused=False`` of the optimizer turns this off.

    Args:
        optim_wrapper_cfg: Config of the optimizer wrapper, with ``optimizer``.
        paramwise_cfg: Dict with any of ``custom_keys``, ``vectors``, ``layer_decay`` (in (0, 1]) and
            ``backbone_lr_mult``, or None.

    Raises:
        ValueError: ``paramwise_cfg`` has another key, a custom key matches no parameter outside a teacher,
            ``layer_decay`` is outside its range, the backbone has no ``layers_to_output()`` or no
            ``no_weight_decay()``, one of its trained parameters has no distance, or a ``decay_mult`` has no
            ``weight_decay`` of the optimizer to multiply.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # The base class calls add_params() only if paramwise_cfg is not empty.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or dict(custom_keys={}))
        if not set(self.paramwise_cfg) <= {'custom_keys', 'vectors', 'layer_decay', 'backbone_lr_mult'}:
            raise ValueError(
                "paramwise_cfg takes 'custom_keys', 'vectors', 'layer_decay' and 'backbone_lr_mult', got "
                f'{sorted(self.paramwise_cfg)}'
            )
        decay = self.paramwise_cfg.get('layer_decay', 1)
        if not 0 < decay <= 1:
            raise ValueError(f'layer_decay must be in (0, 1], got {decay}')

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Returns an optimizer wrapper for the trainable parameters of ``model``."""
        options: dict = self.optimizer_cfg  # type: ignore[has-type]
        self.optimizer_cfg = dict(options, fused=True) if can_be_fused(options, model) else options
        wrapper = super().__call__(model)
        use_local_rates(wrapper.optimizer)
        if isinstance(wrapper, MixedPrecisionOptimWrapper):
            wrapper.name_parameters(getattr(model, 'module', model))
        return wrapper

    def add_params(self, params: list[dict], module: nn.Module, **kwargs: object) -> None:
        """Appends the parameter groups of ``module`` to ``params``."""
        custom_keys = self.paramwise_cfg.get('custom_keys', {})
        scales, tables = self._layers(module)
        asked = options_of_parameters(module)
        groups: list[dict] = []
        matched = set()
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            key = max((key for key in custom_keys if key in name), key=len, default=None)
            matched.add(key)
            vector = self.paramwise_cfg.get('vectors', {}) if param.ndim <= 1 or name in tables else {}
            own = {**asked.get(name, {}), **vector, **custom_keys.get(key, {})}
            options = self._options(own, scales.get(name, 1.0))
            _group_of(groups, options)['params'].append(param)
        _check_matched(module, set(custom_keys) - matched)
        params.extend(groups)

    def _layers(self, model: nn.Module) -> tuple[dict[str, float], set[str]]:
        """Returns name -> lr factor of the backbone's parameters, and the names to be treated like vectors."""
        factor = self.paramwise_cfg.get('backbone_lr_mult', 1.0)
        if 'layer_decay' not in self.paramwise_cfg:
            inside = (name for name, _ in model.named_parameters() if name.startswith('backbone.'))
            return (dict.fromkeys(inside, factor) if factor != 1 else {}), set()
        backbone: Any = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'layers_to_output') or not hasattr(backbone, 'no_weight_decay'):
            raise ValueError(
                'layer_decay needs a backbone with the methods layers_to_output() and no_weight_decay(), such as '
                f'those of mmssl; {type(model).__name__}.backbone is {type(backbone).__name__}'
            )
        decay, distances = self.paramwise_cfg['layer_decay'], backbone.layers_to_output()
        trained = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
        if missing := [name for name in trained if name not in distances]:
            raise ValueError(f'layers_to_output() of {type(backbone).__name__} has no distance for {some(missing)}')
        scales = {f'backbone.{name}': factor * decay**distance for name, distance in distances.items()}
        return scales, {f'backbone.{name}' for name in backbone.no_weight_decay()}

    def _options(self, custom: dict, scale: float) -> dict:
        options = dict(custom)
        if 'lr_mult' in custom or scale != 1:
            options['lr'] = self.base_lr * custom.get('lr_mult', 1) * scale
        if 'decay_mult' in custom:
            if self.base_wd is None and custom['decay_mult']:
                raise ValueError('decay_mult needs optim_wrapper.optimizer.weight_decay, which it multiplies')
            options['weight_decay'] = (self.base_wd or 0.0) * custom['decay_mult']
        return options


def can_be_fused(optimizer_cfg: dict, model: nn.Module) -> bool:
    """Returns True if torch has fused kernels for the optimizer and the devices of all trainable parameters."""
    kind = optimizer_cfg.get('type')
    if (OPTIMIZERS.get(kind) if isinstance(kind, str) else kind) not in _WITH_FUSED_KERNELS:
        return False
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    devices = _get_fused_kernels_supported_devices()
    return not _EXCLUDED_BY & set(optimizer_cfg) and all(
        parameter.device.type in devices and parameter.is_floating_point() for parameter in trained
    )


def _check_matched(module: nn.Module, unmatched: set[str]) -> None:
    """Logs the custom keys of which all parameters are frozen, and raises an error for those without a parameter."""
    frozen = [name for name, parameter in module.named_parameters() if not name.startswith('teacher.')]
    idle = {key for key in unmatched if any(key in name for name in frozen)}
    if unmatched - idle:
        raise ValueError(f'custom_keys {sorted(unmatched - idle)} of paramwise_cfg match no trainable parameter')
    if idle:
        print_log(f'custom_keys {sorted(idle)} of paramwise_cfg match frozen parameters alone', logger='current')


def _group_of(groups: list[dict], options: dict) -> dict:
    """Returns the group in ``groups`` with exactly these options; adds an empty one if there is none."""
    for group in groups:
        if {key: value for key, value in group.items() if key != 'params'} == options:
            return group
    groups.append(dict(params=[], **options))
    return groups[-1]
