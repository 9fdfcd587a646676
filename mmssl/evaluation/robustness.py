"""Accuracy of a classifier under attack, with checks for masked gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch
from mmengine.dist import broadcast_object_list
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmssl.distributed.collectives import gather_constant, rank
from mmssl.distributed.unwrap import unwrap
from mmssl.evaluation.extract import evaluating, progress
from mmssl.models.layers.input_gradient import input_gradient
from mmssl.models.preprocessing.pixels import from_pixels, to_pixels
from mmssl.registry import COMPONENTS, EVALUATORS, LOOPS

ZERO_SHARE = 0.01  # largest share of the correctly classified images whose gradient is zero
FALL = 0.05  # largest fall of the objective in the second half of the steps, as a share of its whole rise
ERRORS = 2.0  # an attack with more steps may be weaker by so many standard errors
_COMPARED = ('epsilon', 'norm', 'objective', 'random_start', 'num_restarts', 'step_size')


@dataclass
class Attacked:
    """The results of attacks on N images.

    Args:
        clean: (N,) bool, True if the image itself is classified correctly.
        zero: (N,) bool, True if the gradient of the cross entropy with respect to the image is zero.
        correct: Name of an attack -> (N,) bool, True if the attacked image is classified correctly.
        courses: Name of an attack -> mean objective before the first step and after each of the K steps, (K + 1,);
            only for attacks that record their objective.
    """

    clean: Tensor
    zero: Tensor
    correct: dict[str, Tensor] = field(default_factory=dict)
    courses: dict[str, Tensor] = field(default_factory=dict)


@EVALUATORS.register_module()
class RobustnessEvaluator:
    """Measures accuracy on images and under attacks, and the robust accuracy unless gradients are masked.

    The results are in per cent: ``clean_top1``, ``NAME_top1`` for each attack, and ``robust_top1``, the share of images
    that are classified correctly both unchanged and under every attack. An attack that fails because the network has no
    useful gradient says nothing about robustness (Athalye et al., 2018, arXiv:1802.00420). So ``robust_top1`` is left
    out and ``gradient_masked`` is 1 instead of 0 if one of these signs is seen; the log names the signs:

    - The mean objective of an attack is not higher after its last step than before its first, or in the second half of
      the steps it falls by more than 5 % of its rise.
    - Two attacks have the same ball and objective, the one with more steps has as many restarts or more, its steps
      suffice to cross the ball, and still it leaves a higher accuracy, by more than two standard errors of the
      difference on the same images.
    - More than 1 % of the correctly classified images have a gradient of zero.
    - No attack takes more than one step.

    The absence of these signs proves nothing: a new kind of defence needs attacks that are designed for it.

    Args:
        attacks: Name -> config of an attack, such as ``dict(pgd20=dict(type='PGDAttack', num_steps=20))``.

    Raises:
        ValueError: ``attacks`` is empty, or an attack is named ``'clean'`` or ``'robust'``.
    """

    def __init__(self, attacks: Mapping[str, dict]) -> None:
        if not attacks or {'clean', 'robust'} & set(attacks):
            raise ValueError(
                f"give at least one attack, with a name other than 'clean' and 'robust', got {sorted(attacks)}"
            )
        self.attacks = {name: COMPONENTS.build(attack) for name, attack in attacks.items()}

    def run(self, model: nn.Module, dataloader: DataLoader, description: str | None = None) -> dict[str, float] | None:
        """Attacks every image of ``dataloader``; returns the results on the main process, None on the others."""
        attacked = attack_images(model, dataloader, self.attacks, description)
        return None if attacked is None else self.evaluate(attacked)

    def evaluate(self, attacked: Attacked) -> dict[str, float]:
        """Returns the accuracies in per cent, see the class.

        Args:
            attacked: Output of ``attack_images`` for the attacks of this evaluator.
        """
        results = dict(clean_top1=_percent(attacked.clean))
        results |= {f'{name}_top1': _percent(correct) for name, correct in attacked.correct.items()}
        signs = signs_of_masking(attacked, self.attacks)
        if signs:
            print_log(
                'robust_top1 is not reported, because gradients are masked:\n- ' + '\n- '.join(signs),
                logger='current',
                level=30,
            )
        else:
            survived = torch.stack([attacked.clean, *attacked.correct.values()]).all(dim=0)
            results['robust_top1'] = _percent(survived)
        return results | dict(gradient_masked=float(bool(signs)))


@torch.no_grad()
def attack_images(
    model: nn.Module, dataloader: DataLoader, attacks: Mapping[str, Any], description: str | None = None
) -> Attacked | None:
    """Attacks every image of a dataset, with the model in evaluation mode.

    The processes share the images, and the main process collects the results. The results do not depend on the number
    of processes.

    Args:
        model: Algorithm with ``predict``, wrapped for distributed training or not.
        dataloader: Dataloader of labelled images, see ``extract_features``.
        attacks: Name -> attack.
        description: Label of a progress bar in a terminal; None shows no bar.

    Returns:
        The results in the order of the dataset on the main process, None on the others.

    Raises:
        ValueError: An image has no label, or a logit is not finite.
    """
    algorithm = unwrap(model)
    rows: list[Tensor] = []
    courses: dict[str, list[Tensor]] = {name: [] for name in attacks}
    with evaluating(algorithm):
        for batch in progress(dataloader, description, len(dataloader)):
            found, losses = _attack_batch(algorithm, batch, attacks)
            rows.append(gather_constant(found).cpu())
            for name, loss in losses.items():
                courses[name].append(gather_constant(loss).cpu())
    if rank() != 0:
        return None
    table = torch.cat(rows)  # (N, 3 + attacks): index, clean, zero, correct of each attack
    indices, first = _once(table[:, 0])
    assert len(indices) > 0, 'a dataset holds images'
    columns = table[first, 1:].bool().unbind(dim=1)
    means = {name: torch.cat(parts)[first].mean(dim=0) for name, parts in courses.items() if parts}
    return Attacked(columns[0], columns[1], dict(zip(attacks, columns[2:])), means)


def _attack_batch(model: Any, batch: dict, attacks: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Attacks one batch.

    Returns:
        (N, 3 + number of attacks) int64: index of the image, then 0 or 1 for classified correctly, gradient zero, and
        classified correctly under each attack; and name of an attack -> objectives (N, K + 1), if it records them.
    """
    batch = model.data_preprocessor(batch, False)
    images, samples = batch['inputs'], batch['data_samples']
    labels, indices = (samples[key].to(images.device) for key in ('label', 'index'))
    if (labels < 0).any():
        raise ValueError('an image has no label: robustness is measured on a dataset with labels')
    preprocessor = model.data_preprocessor
    pixels = to_pixels(images, preprocessor)

    def predict(pixels: Tensor) -> Tensor:
        return model.predict(from_pixels(pixels, preprocessor))

    with torch.enable_grad():
        pixels.requires_grad_()
        logits = predict(pixels)
        gradient = input_gradient(logits, labels, pixels, 'cross_entropy')
    pixels = pixels.detach()
    if not logits.isfinite().all():
        raise ValueError(
            'a logit is NaN or infinite: the weights diverged or the checkpoint was loaded into the wrong model'
        )
    columns, courses = [indices, logits.argmax(dim=1) == labels, (gradient == 0).flatten(1).all(dim=1)], {}
    for name, attack in attacks.items():
        trace = attack.trace(predict, pixels, labels, indices)
        columns.append(predict(trace.pixels).argmax(dim=1) == labels)
        if trace.losses is not None:
            courses[name] = trace.losses.T.contiguous()
    return torch.stack([column.long() for column in columns], dim=1), courses


def _once(indices: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the different indices, ascending, and the row of each one's first occurrence.

    Indices occur more than once because a sampler repeats images to give all processes the same number.
    """
    unique, inverse = indices.unique(return_inverse=True)
    first = torch.full((len(unique),), len(indices)).scatter_reduce(0, inverse, torch.arange(len(indices)), 'amin')
    return unique, first


def signs_of_masking(attacked: Attacked, attacks: Mapping[str, Any]) -> list[str]:
    """Returns one sentence for each sign of masked gradients, see ``RobustnessEvaluator``.

    Args:
        attacked: Results of the attacks.
        attacks: Name -> attack.
    """
    signs = []
    for name, course in attacked.courses.items():
        rise = (course[-1] - course[0]).item()
        fall = (course[len(course) // 2] - course[-1]).item()
        if rise <= 0:
            signs.append(f'the objective of {name} does not rise: {course[0]:.4g} before and {course[-1]:.4g} after')
        elif fall > FALL * rise:
            signs.append(f'the objective of {name} falls by {fall:.4g} in the second half of its steps')
    steps: dict[str, int] = {name: attack.num_steps for name, attack in attacks.items() if hasattr(attack, 'num_steps')}
    for less, more in combinations(sorted(steps, key=lambda name: steps[name]), 2):
        if steps[less] == steps[more] or not _comparable(attacks[less], attacks[more]):
            continue
        weaker, error = _difference(attacked.correct[more], attacked.correct[less])
        if weaker > ERRORS * error:
            signs.append(
                f'{more} ({steps[more]} steps) leaves {weaker:.2f} points more accuracy than {less} '
                f'({steps[less]} steps), with a standard error of {error:.2f}'
            )
    zero = attacked.zero[attacked.clean].float().mean().item() if attacked.clean.any() else 0.0
    if zero > ZERO_SHARE:
        signs.append(f'the gradient is zero for {100 * zero:.1f} % of the images that are classified correctly')
    if not any(steps.get(name, 2) > 1 for name in attacks):
        signs.append('no attack takes more than one step: add PGDAttack with 10 steps or more')
    return signs


def _comparable(less: Any, more: Any) -> bool:
    """Returns True if ``more`` should be as strong: same ball and objective, enough steps and no fewer restarts.

    An attack of a plugin that does not tell these is not compared.
    """
    if not all(hasattr(attack, name) for attack in (less, more) for name in _COMPARED):
        return False
    distance = more.epsilon * (2 if more.random_start else 1)
    same_goal = (less.epsilon, less.norm, less.objective) == (more.epsilon, more.norm, more.objective)
    return same_goal and more.num_restarts >= less.num_restarts and more.num_steps * more.step_size >= distance


def _difference(one: Tensor, other: Tensor) -> tuple[float, float]:
    """Returns the accuracy of ``one`` minus that of ``other`` in percentage points, and its standard error."""
    differences = one.double() - other.double()
    error = differences.std(correction=0) / len(differences) ** 0.5
    return 100 * differences.mean().item(), 100 * error.item()


def _percent(correct: Tensor) -> float:
    return 100 * correct.double().mean().item()


class _RobustnessLoop(BaseLoop):
    """Attacks every image of a dataset and evaluates on the main process.

    Modes and random state are restored, so the loop does not change the training after it.

    Args:
        runner: Runner whose model has ``predict``.
        dataloader: Dataloader of labelled images, or its config.
        evaluator: ``RobustnessEvaluator``, or its config.
    """

    stage: str

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, evaluator: RobustnessEvaluator | dict) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = EVALUATORS.build(evaluator) if isinstance(evaluator, dict) else evaluator

    def run(self) -> dict[str, float]:
        """Attacks the images, evaluates, and returns the same results in every process."""
        runner = self.runner
        runner.call_hook(f'before_{self.stage}')
        runner.call_hook(f'before_{self.stage}_epoch')
        description = 'attacks' if self.stage == 'test' else None  # a training run shows its own progress bar
        results: list[Any] = [self.evaluator.run(runner.model, self.dataloader, description)]
        broadcast_object_list(results)
        runner.call_hook(f'after_{self.stage}_epoch', metrics=results[0])
        runner.call_hook(f'after_{self.stage}')
        return results[0]


@LOOPS.register_module()
class RobustnessValLoop(_RobustnessLoop):
    """Attacks a classifier while it trains; see ``_RobustnessLoop`` for the arguments."""

    stage = 'val'


@LOOPS.register_module()
class RobustnessTestLoop(_RobustnessLoop):
    """Attacks the classifier of a checkpoint; see ``_RobustnessLoop`` for the arguments."""

    stage = 'test'
