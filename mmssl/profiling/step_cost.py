"""Cost of a training step, compared with the sum of its parts and with the method in the style of its authors."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.labelled import with_placeholder_labels
from mmssl.profiling.machine import device_name, sum_of_losses
from mmssl.profiling.official_style import OFFICIAL_STYLE
from mmssl.profiling.timing import Task, Tasks, time_in_turns
from mmssl.registry import ALGORITHMS

Calls = list[tuple[tuple, dict[str, Any]]]


def measure_step_cost(
    cfg: Config, batch_size: int | None = None, size: int | None = None, repeats: int = 5
) -> dict[str, Any]:
    """Measures a step of the config's algorithm, its parts alone, and the official-style step, in turns.

    The views are noise and the learning rate is 0, so every repeat computes the same. The parts are: each module that
    the algorithm calls, with all calls that a step makes to it, forward and, if the step needs it, backward; the
    optimizer, including clipping; and ``on_step_end``, including the average of a teacher.

    Args:
        cfg: Config of a training; its data is not read.
        batch_size: Number of images of the step; None uses the config's.
        size: Side of the largest views in pixels, smaller views are scaled; None uses the config's.
        repeats: Number of measurements; all figures are medians.

    Returns:
        ``wall`` and ``processor``: for each clock ``seconds`` per name (``step``, the parts, and ``official_style`` if
        the method has one), and the medians of the ratios within a repeat, ``step_over_parts`` and
        ``step_over_official_style`` (None without such a step). The processor time counts all threads of this process
        and hardly depends on other processes; on a GPU it is meaningless. Also ``views`` (sizes), ``batch_size``,
        ``dtype`` and ``device``.
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    batch_size = batch_size or cfg.train_dataloader.batch_size
    sizes = view_sizes(cfg, size)
    step = TrainingStep(cfg, [torch.randn(batch_size, 3, side, side, device=device) for side in sizes], device)
    parts = step.parts()
    tasks: Tasks = {'step': Task(None, step.run), **parts}
    if official := OFFICIAL_STYLE.get(type(step.algorithm).__name__):
        tasks['official_style'] = Task(None, partial(step.run_official, official))
    laps = time_in_turns(tasks, repeats, device)
    clocks = {
        name: _summary([{task: lap[task][clock] for task in tasks} for lap in laps], list(parts))
        for clock, name in enumerate(('wall', 'processor'))
    }
    return dict(
        **clocks,
        views=sizes,
        batch_size=batch_size,
        dtype=str(getattr(step.wrapper, 'dtype', None) or torch.float32).removeprefix('torch.'),
        device=device_name(device),
    )


def view_sizes(cfg: Config, size: int | None = None) -> list[int]:
    """Returns the side of each view; ``size`` replaces the largest and scales the others to multiples of 16."""
    sizes = [view['size'] for view in cfg.train_dataloader.dataset.views]
    largest = max(sizes)
    if size is None or size == largest:
        return sizes
    return [size if side == largest else max(16, round(side * size / largest / 16) * 16) for side in sizes]


def _summary(laps: list[dict[str, float]], parts: list[str]) -> dict[str, Any]:
    """Returns the medians for one clock."""
    official = [lap['step'] / lap['official_style'] for lap in laps if 'official_style' in lap]
    return dict(
        seconds={name: statistics.median(lap[name] for lap in laps) for name in ('step', *parts)}
        | ({'official_style': statistics.median(lap['official_style'] for lap in laps)} if official else {}),
        step_over_parts=statistics.median(lap['step'] / sum(lap[name] for name in parts) for lap in laps),
        step_over_official_style=statistics.median(official) if official else None,
    )


class TrainingStep:
    """A step that can be run as a whole, in parts and in the official style, over the same modules.

    Args:
        cfg: Config of a training.
        views: One batch (N, 3, H, W) per view.
        device: Device of the views.
    """

    def __init__(self, cfg: Config, views: list[Tensor], device: torch.device) -> None:
        self.views = views
        count = len(views[0])
        self.algorithm: BaseAlgorithm = ALGORITHMS.build(dict(cfg.model, data_preprocessor=None)).to(device).train()
        index = torch.arange(count, device=device)
        classes = getattr(getattr(self.algorithm, 'check_labels', None), 'num_classes', None)  # of a classifier
        samples = dict(index=index, label=torch.full_like(index, -1) if classes is None else index % classes)
        self.samples = with_placeholder_labels(self.algorithm, samples, count)
        self.wrapper = optim_wrapper_at_rest(self.algorithm, cfg, device)
        self.algorithm.on_train_start()

    def run(self) -> None:
        """Runs a step as the training loop does."""
        self.wrapper.update_params(self._loss())
        self.algorithm.on_step_end(0.5)

    def run_official(self, official: Callable[[Any, list[Tensor]], Tensor]) -> None:
        """Runs a step with a loss of ``OFFICIAL_STYLE``."""
        with self.wrapper.optim_context(self.algorithm):
            loss = official(self.algorithm, self.views)
        self.wrapper.update_params(loss)

    def parts(self) -> Tasks:
        """Returns every part of the step as a task."""
        calls = record_calls(self.algorithm, self.run)
        self.wrapper.backward(self._loss())
        gradients = [(p, p.grad) for p in self.algorithm.parameters() if p.grad is not None]

        def give_gradients() -> None:
            for parameter, gradient in gradients:
                parameter.grad = gradient

        def optimize() -> None:
            self.wrapper.step()
            self.wrapper.zero_grad()

        parts = {name: Task(self.wrapper.zero_grad, partial(self._replay, name, calls[name])) for name in calls}
        parts['optimizer'] = Task(give_gradients, optimize)
        parts['on_step_end'] = Task(self._stage, lambda: self.algorithm.on_step_end(0.5))
        return parts

    def _loss(self) -> Tensor:
        with self.wrapper.optim_context(self.algorithm):
            terms = self.algorithm(self.views, self.samples, mode='loss')
        return sum_of_losses(terms)

    def _stage(self) -> None:
        """Computes the loss, because ``on_step_end`` may need the tensors that it stages."""
        self.wrapper.zero_grad()
        self._loss()  # with autograd, because some losses contain a gradient

    def _replay(self, name: str, calls: Calls) -> None:
        with self.wrapper.optim_context(self.algorithm):
            outputs = replay(self.algorithm.get_submodule(name), calls)
        backward(outputs)


def record_calls(model: nn.Module, run: Callable[[], Any]) -> dict[str, Calls]:
    """Returns the arguments of the calls that ``run`` makes to parts of ``model``, by the part's name.

    A part is a module that is called by the model's own code, such as ``backbone`` or ``teacher.backbone``, not by the
    forward pass of another module.
    """
    calls: dict[str, Calls] = defaultdict(list)
    running: list[str] = []

    def enter(name: str, module: nn.Module, args: tuple) -> None:
        running.append(name)

    def leave(name: str, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        running.pop()
        if not running:
            calls[name].append(tree_map(_detached, (args, kwargs)))

    handles = []
    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(partial(enter, name)))
            handles.append(module.register_forward_hook(partial(leave, name), with_kwargs=True))
    run()
    for handle in handles:
        handle.remove()
    return dict(calls)


def replay(module: nn.Module, calls: Calls) -> list[Any]:
    """Repeats recorded calls of a module with detached arguments, and returns the outputs."""
    return [module(*args, **kwargs) for args, kwargs in tree_map(_detached, calls)]


def backward(outputs: list[Any]) -> None:
    """Runs the backward pass from all outputs together, as in a step, with the outputs as their own gradients."""
    if roots := [leaf for leaf in tree_leaves(outputs) if leaf.requires_grad]:
        torch.autograd.backward(roots, [root.detach() for root in roots])


def _detached(value: Any) -> Any:
    return value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value


def optim_wrapper_at_rest(algorithm: BaseAlgorithm, cfg: Config, device: torch.device) -> OptimWrapper:
    """Builds the config's optimizer as the runner does, with learning rate 0; on a CPU bfloat16 replaces float16."""
    options = dict(constructor='GroupedOptimWrapperConstructor') | cfg.optim_wrapper.to_dict()
    if 'type' not in options:
        options.update(type='MixedPrecisionOptimWrapper', dtype=None)
    if options.get('dtype') == 'float16' and device.type == 'cpu':
        options['dtype'] = 'bfloat16'
    wrapper = build_optim_wrapper(algorithm, options)
    for group in wrapper.param_groups:
        group['lr'] = 0.0
    return wrapper
