"""The fast gradient sign method."""

from __future__ import annotations

from mmssl.models.components.pgd_attack import PGDAttack
from mmssl.registry import COMPONENTS


@COMPONENTS.register_module()
class FGSMAttack(PGDAttack):
    """One step of length ``epsilon`` from the image itself (Goodfellow et al., 2015, arXiv:1412.6572, section 4).

    ``x + epsilon * sign(g)``, clipped to [0, 255]: ``PGDAttack`` with one step and no random start.

    Args:
        epsilon: Size of the step, in pixel values of 0-255, > 0.
        norm: ``'linf'``, or ``'l2'`` for ``epsilon * g / |g|``.
        objective: Objective that the attack increases, see ``PGDAttack``.
    """

    def __init__(self, epsilon: float = 8.0, norm: str = 'linf', objective: str = 'cross_entropy') -> None:
        super().__init__(epsilon, epsilon, num_steps=1, norm=norm, random_start=False, objective=objective)
