"""From a model to an optimizer with few parameter groups."""

from __future__ import annotations

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from mmssl.engine.optimizers.local_rate import options_of_parameters, use_local_rates
from mmssl.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Gives the optimizer the parameters that train, in one group per distinct setting.

    ``paramwise_cfg=dict(custom_keys={'head.predictor': dict(fix_lr=True)})`` works as in MMEngine: the longest key
    that occurs in a parameter's name sets ``lr_mult``, ``decay_mult`` and any further entry of its group.
    ``vectors=dict(lr_mult=.024)`` says the same of the parameters of at most one dimension, biases and norms, whatever
    their names; a custom key that matches one as well has the last word. MMEngine's constructor would make a group of
    every parameter, which defeats multi-tensor updates, would hold the frozen parameters of a teacher, and imports
    compiled mmcv operators.

    ``layer_decay=.65`` fine-tunes: in ``model.backbone`` the lr shrinks by this factor from layer to layer, from the
    output down to the embeddings, as ``backbone.layers_to_output()`` counts them, and what ``backbone.
    no_weight_decay()`` names is treated like vectors. A head, a neck or a decoder has the full lr; a ``lr_mult``
    multiplies that of its layer. The rule is the one of MAE, BEiT and SimMIM for any backbone and any model around it.
    iTPN's nominal rate r means ``r ** (13 / (B + 1))`` for B blocks, for a recipe to write down. iTPN's detection and
    segmentation code, by counting layers otherwise, gives the last block more than the full lr; it has ``layer_decay``
    times that here, as in classification.

    ``local_rate=.2`` in a group scales its gradients when the optimizer steps (see ``use_local_rates``). A layer may
    ask for this and any other option of a group itself, by ``param_options``, name of its parameter -> options; a
    custom key overrides them, ``custom_keys={'.adder': dict(local_rate=None)}`` for instance.

    Args:
        optim_wrapper_cfg: Config of the optimizer wrapper, with ``optimizer``.
        paramwise_cfg: A dict with any of ``custom_keys``, ``vectors`` and ``layer_decay``, in (0, 1], or None.

    Raises:
        ValueError: ``paramwise_cfg`` has another key, a custom key matches no parameter, ``layer_decay`` is outside
            its range, or the backbone does not say how its layers are ordered.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # A non-empty paramwise_cfg makes the base class ask add_params() for the groups.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or dict(custom_keys={}))
        if not set(self.paramwise_cfg) <= {'custom_keys', 'vectors', 'layer_decay'}:
            raise ValueError(
                f"paramwise_cfg takes 'custom_keys', 'vectors' and 'layer_decay', got {sorted(self.paramwise_cfg)}"
            )
        decay = self.paramwise_cfg.get('layer_decay', 1)
        if not 0 < decay <= 1:
            raise ValueError(f'layer_decay multiplies the lr from one layer to the one below, in (0, 1], got {decay}')

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Returns the wrapper of an optimizer over the parameters of ``model`` that train."""
        wrapper = super().__call__(model)
        use_local_rates(wrapper.optimizer)
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
        unmatched = set(custom_keys) - matched
        if unmatched:
            raise ValueError(f'custom_keys {sorted(unmatched)} of paramwise_cfg match no parameter that trains')
        params.extend(groups)

    def _layers(self, model: nn.Module) -> tuple[dict[str, float], set[str]]:
        """Factor of the lr of the backbone's parameters, and the names of those that are treated like vectors."""
        if 'layer_decay' not in self.paramwise_cfg:
            return {}, set()
        backbone: Any = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'layers_to_output'):
            raise ValueError(
                'layer_decay needs a model whose backbone has the methods layers_to_output() and no_weight_decay(), '
                f'as those of mmssl have; {type(model).__name__}.backbone is {type(backbone).__name__}'
            )
        decay = self.paramwise_cfg['layer_decay']
        scales = {f'backbone.{name}': decay**distance for name, distance in backbone.layers_to_output().items()}
        return scales, {f'backbone.{name}' for name in backbone.no_weight_decay()}

    def _options(self, custom: dict, scale: float) -> dict:
        options = dict(custom)
        if 'lr_mult' in custom or scale != 1:
            options['lr'] = self.base_lr * custom.get('lr_mult', 1) * scale
        if 'decay_mult' in custom:
            if self.base_wd is None and custom['decay_mult']:
                raise ValueError('decay_mult multiplies optim_wrapper.optimizer.weight_decay, which is not given')
            options['weight_decay'] = (self.base_wd or 0.0) * custom['decay_mult']
        return options


def _group_of(groups: list[dict], options: dict) -> dict:
    """Returns the group with exactly these options, which is added to ``groups`` if there is none."""
    for group in groups:
        if {key: value for key, value in group.items() if key != 'params'} == options:
            return group
    groups.append(dict(params=[], **options))
    return groups[-1]
