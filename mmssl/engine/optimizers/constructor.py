"""From a model to an optimizer with few parameter groups."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

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

    Args:
        optim_wrapper_cfg: Config of the optimizer wrapper, with ``optimizer``.
        paramwise_cfg: ``dict(custom_keys=..., vectors=...)``, one of the two, or None.

    Raises:
        ValueError: ``paramwise_cfg`` has another key, or a custom key matches no parameter.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # A non-empty paramwise_cfg makes the base class ask add_params() for the groups.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or dict(custom_keys={}))
        if not set(self.paramwise_cfg) <= {'custom_keys', 'vectors'}:
            raise ValueError(f"paramwise_cfg takes 'custom_keys' and 'vectors', got {sorted(self.paramwise_cfg)}")

    def add_params(self, params: list[dict], module: nn.Module, **kwargs: object) -> None:
        """Appends the parameter groups of ``module`` to ``params``."""
        custom_keys = self.paramwise_cfg.get('custom_keys', {})
        vectors = self.paramwise_cfg.get('vectors', {})
        groups: dict[tuple[str | None, bool], dict] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            key = max((key for key in custom_keys if key in name), key=len, default=None)
            is_vector = bool(vectors) and param.ndim <= 1
            options = {**(vectors if is_vector else {}), **custom_keys.get(key, {})}
            group = groups.setdefault((key, is_vector), dict(params=[], **self._options(options)))
            group['params'].append(param)
        unmatched = set(custom_keys) - {key for key, _ in groups}
        if unmatched:
            raise ValueError(f'custom_keys {sorted(unmatched)} of paramwise_cfg match no parameter that trains')
        params.extend(groups.values())

    def _options(self, custom: dict) -> dict:
        options = dict(custom)
        if 'lr_mult' in custom:
            options['lr'] = self.base_lr * custom['lr_mult']
        if 'decay_mult' in custom:
            options['weight_decay'] = self.base_wd * custom['decay_mult']
        return options
