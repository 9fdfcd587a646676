"""Accuracy of a classifier under attack, and whether the attack can be believed."""

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

ZERO_SHARE = 0.01  # of the images that are classified correctly, whose gradient may be zero
FALL = 0.05  # of its whole rise, by which the objective may fall in the second half of the steps
ERRORS = 2.0  # standard errors by which an attack of more steps may be weaker


@dataclass
class Attacked:
    """What became of N images of a dataset.

    Args:
        clean: Whether the images themselves are classified correctly, (N,) bool.
        zero: Whether the gradient of the cross entropy with respect to the image is zero, (N,) bool.
        correct: Attack -> whether its images are classified correctly, (N,) bool.
        courses: Attack -> mean objective before the first step and after each, (K + 1,); without attacks that do not
            climb.
    """

    clean: Tensor
    zero: Tensor
    correct: dict[str, Tensor] = field(default_factory=dict)
    courses: dict[str, Tensor] = field(default_factory=dict)


@EVALUATORS.register_module()
class RobustnessEvaluator:
    """Accuracy on images and under attacks, and the robust accuracy, unless gradients are masked.

    Results in per cent: ``clean_top1``, ``NAME_top1`` for each attack, and ``robust_top1``, the share of images that
    are classified correctly as they are and under every attack. An attack that fails for want of a gradient says
    nothing about robustness (Athalye et al., 2018, arXiv:1802.00420), so ``robust_top1`` is left out and
    ``gradient_masked`` is 1 where one of these signs is seen, which the log names:

    - the mean objective of an attack is not higher after its last step than before its first, or it falls by more than
      5 % of its rise in the second half of the steps;
    - of two attacks with the same ball and objective, the one with more steps leaves a higher accuracy, by more than
      two standard errors of the difference between the two on the same images, although its steps suffice to cross the
      ball;
    - more than 1 % of the images that are classified correctly have a gradient of zero;
    - no attack takes more than one step.

    The absence of these signs is no proof: a new kind of defence needs attacks made for it.

    Args:
        attacks: Name -> config of an attack, such as ``dict(pgd20=dict(type='PGDAttack', num_steps=20))``.

    Raises:
        ValueError: There is no attack, or one is called ``'clean'`` or ``'robust'``.
    """

    def __init__(self, attacks: Mapping[str, dict]) -> None:
        if not attacks or {'clean', 'robust'} & set(attacks):
            raise ValueError(f"attacks must be named, and not 'clean' or 'robust', got {sorted(attacks)}")
        self.attacks = {name: COMPONENTS.build(attack) for name, attack in attacks.items()}

    def run(self, model: nn.Module, dataloader: DataLoader, description: str | None = None) -> dict[str, float] | None:
        """Attacks every image of ``dataloader`` and returns the results on the main process, None elsewhere."""
        attacked = attack_images(model, dataloader, self.attacks, description)
        return None if attacked is None else self.evaluate(attacked)

    def evaluate(self, attacked: Attacked) -> dict[str, float]:
        """Returns the results of images that were attacked with this evaluator's attacks."""
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
    model: nn.Module, dataloader: DataLoader, attacks: Mapping[str, nn.Module], description: str | None = None
) -> Attacked | None:
    """Attacks every image of a dataset, with the model in evaluation mode.

    The processes share the images and the main process collects the results; how they are shared changes nothing.

    Args:
        model: An algorithm with ``predict``, wrapped for distributed training or not.
        dataloader: As for ``extract_features``; its images have labels.
        attacks: Name -> attack.
        description: Label of a progress bar, which a terminal gets; None shows none.

    Returns:
        On the main process the results in the order of the dataset, None elsewhere.

    Raises:
        ValueError: An image has no label, or a logit is not finite.
    """
    algorithm = unwrap(model)
    rows, courses = [], {name: [] for name in attacks}
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


def _attack_batch(model: Any, batch: dict, attacks: Mapping[str, nn.Module]) -> tuple[Tensor, dict[str, Tensor]]:
    """Index, and what is correct, of each image (N, 3 + attacks); the objectives (N, K + 1) of attacks that climb."""
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
        raise ValueError('a logit is NaN or infinite: the weights diverged or were loaded wrongly')
    columns, courses = [indices, logits.argmax(dim=1) == labels, (gradient == 0).flatten(1).all(dim=1)], {}
    for name, attack in attacks.items():
        trace = attack.trace(predict, pixels, labels, indices)
        columns.append(predict(trace.pixels).argmax(dim=1) == labels)
        if trace.losses is not None:
            courses[name] = trace.losses.T.contiguous()
    return torch.stack([column.long() for column in columns], dim=1), courses


def _once(indices: Tensor) -> tuple[Tensor, Tensor]:
    """The indices in ascending order, and where each is first: a sampler repeats some to make shares equal."""
    unique, inverse = indices.unique(return_inverse=True)
    first = torch.full((len(unique),), len(indices)).scatter_reduce(0, inverse, torch.arange(len(indices)), 'amin')
    return unique, first


def signs_of_masking(attacked: Attacked, attacks: Mapping[str, nn.Module]) -> list[str]:
    """Returns what speaks for masked gradients, in words; see ``RobustnessEvaluator``.

    Args:
        attacked: What became of the images.
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
    steps = {name: attack.num_steps for name, attack in attacks.items() if hasattr(attack, 'num_steps')}
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
    """Whether both have one goal, and the steps of ``more`` suffice to cross its ball."""
    distance = more.epsilon * (2 if more.random_start else 1)
    same_goal = (less.epsilon, less.norm, less.objective) == (more.epsilon, more.norm, more.objective)
    return same_goal and more.num_steps * more.step_size >= distance


def _difference(one: Tensor, other: Tensor) -> tuple[float, float]:
    """Accuracy of ``one`` minus that of ``other`` in points, and the standard error on the same images."""
    differences = one.double() - other.double()
    error = differences.std(correction=0) / len(differences) ** 0.5
    return 100 * differences.mean().item(), 100 * error.item()


def _percent(correct: Tensor) -> float:
    return 100 * correct.double().mean().item()


class _RobustnessLoop(BaseLoop):
    """Attacks every image of a dataset and evaluates on the main process.

    Training is not disturbed: modes and random state are restored.

    Args:
        runner: The runner; its model has ``predict``.
        dataloader: Config of the dataloader, or the dataloader.
        evaluator: Config of a ``RobustnessEvaluator``, or the evaluator.
    """

    stage: str

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, evaluator: RobustnessEvaluator | dict) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = EVALUATORS.build(evaluator) if isinstance(evaluator, dict) else evaluator

    def run(self) -> dict[str, float]:
        """Attacks, evaluates, and returns the same results in every process."""
        runner = self.runner
        runner.call_hook(f'before_{self.stage}')
        runner.call_hook(f'before_{self.stage}_epoch')
        description = 'attacks' if self.stage == 'test' else None  # a training has its own bar
        results = [self.evaluator.run(runner.model, self.dataloader, description)]
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
