"""AutoAttack, from the package of its authors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.models.components.pgd_attack import WHITE, AttackTrace, Predict
from mmssl.registry import COMPONENTS
from mmssl.utils.errors import UserError

_NORMS = {'linf': 'Linf', 'l2': 'L2'}


@COMPONENTS.register_module()
class AutoAttack(nn.Module):
    """The ensemble of APGD-CE, APGD-DLR, FAB and Square (Croce and Hein, 2020, arXiv:2003.01690).

    It runs the authors' code, which pip installs from ``git+https://github.com/fra31/auto-attack``. Its random numbers
    depend on the batch, unlike those of ``PGDAttack``. Its standard version attacks towards nine other classes, so it
    needs ten classes.

    Args:
        epsilon: Largest size of the perturbation in ``norm``, in pixel values of 0-255, > 0.
        norm: Norm of the perturbation: ``'linf'`` or ``'l2'``.
        version: Set of attacks: ``'standard'``, ``'plus'`` or ``'rand'``.
        seed: Seed of the attacks.

    Raises:
        ValueError: An argument is outside its range.
        UserError: The package ``autoattack`` is not installed.
    """

    def __init__(self, epsilon: float = 8.0, norm: str = 'linf', version: str = 'standard', seed: int = 0) -> None:
        super().__init__()
        if norm not in _NORMS or epsilon <= 0 or version not in ('standard', 'plus', 'rand'):
            raise ValueError(
                f"AutoAttack needs epsilon > 0, norm 'linf' or 'l2', and version 'standard', 'plus' or 'rand', "
                f'got {epsilon}, {norm!r} and {version!r}'
            )
        try:
            from autoattack import AutoAttack as Official
        except ImportError as error:
            raise UserError(
                'AutoAttack needs the package of its authors: pip install git+https://github.com/fra31/auto-attack; '
                'PGDAttack with several restarts needs no package'
            ) from error
        self.official = Official
        self.epsilon, self.norm, self.version, self.seed = epsilon, norm, version, seed

    def forward(
        self, predict: Predict, pixels: Tensor, labels: Tensor, indices: Tensor, draw: int | Tensor = 0
    ) -> Tensor:
        """Returns adversarial images (N, 3, H, W) in [0, 255]; arguments as for ``PGDAttack``, of which the last two
        are not used.

        Raises:
            UserError: There are fewer than ten classes.
        """
        num_classes = predict(pixels[:1]).shape[1]
        if num_classes < 10:
            raise UserError(f'AutoAttack needs at least ten classes, got {num_classes}: use PGDAttack with restarts')
        attack = self.official(
            lambda images: predict(images * WHITE),
            norm=_NORMS[self.norm],
            eps=self.epsilon / WHITE,
            seed=self.seed,
            verbose=False,
            version=self.version,
            device=pixels.device,
        )
        with torch.enable_grad():
            attacked = attack.run_standard_evaluation(pixels.float() / WHITE, labels, bs=len(pixels))
        return (attacked.detach() * WHITE).clamp(0, WHITE)

    def trace(
        self, predict: Predict, pixels: Tensor, labels: Tensor, indices: Tensor, draw: int | Tensor = 0
    ) -> AttackTrace:
        """Returns the adversarial images, without values of the objective; arguments as for ``forward``."""
        return AttackTrace(self(predict, pixels, labels, indices, draw))
