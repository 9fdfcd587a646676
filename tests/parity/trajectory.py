"""Six optimizer steps of an official code, made by a shipped recipe and the real runner."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmssl.config.load import load_config
from mmssl.converters.convert import rename
from mmssl.engine.runner import PretrainRunner
from mmssl.models.components import ema_teacher
from mmssl.registry import DATASETS, FUNCTIONS
from tests.parity.golden import CONFIGS, Golden, Trace, difference, official, summary
from tests.support.tiny_run import build_runner
from tests.support.undrawn import Undrawn

Step = dict[str, Any]
Inputs = dict[str, Tensor]
EARLY = 2  # steps before rounding can have grown
MOMENTA = ('momentum_buffer', 'mu', 'Momentum')  # names of one thing


def nothing(*args: Any) -> None:
    """Draws nothing, changes nothing."""


@dataclass(frozen=True)
class FirstStep:
    """The recording of a first step alone, which has all gradients and some outputs.

    Args:
        name: The recording, made with the weights and inputs of the trajectory.
        modules: Model -> modules whose outputs are kept, by name.
        outputs: Recorded name -> function of model and ``Trace``.
        left_out: Recorded outputs that mmssl does not compute.
    """

    name: str
    modules: Callable[[nn.Module], dict[str, nn.Module]]
    outputs: Mapping[str, Callable[[nn.Module, Trace], Tensor]]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """How a recording is run.

    Args:
        recipe: Path below ``configs/``.
        source: Official code that the recorded names come from.
        sizes: Recording -> dotted config keys that differ in it: sizes, lengths and rates.
        draw: Model, recorded step, inputs: makes the model draw what was drawn (masks, words, orders).
        deviations: Each sets one difference of mmssl from the official code back, in a run that is about to start.
        terms: Recorded name of a part of the loss -> function of mmssl's losses and the outputs of its head.
        temperature: Model -> temperature of the step, where one is recorded.
        teacher_first: Whether the official code averages the teacher in the forward pass.
        kept: Pattern of our tensors that are not recorded and keep their initial value.
        left_out: Pattern of recorded tensors that mean something else, and why.
        early: Bound for state in the first two steps, relative to a tensor's mean absolute value.
        late: The bound after them.
        bounds: Pattern of recorded tensors -> a bound of their own.
        compared_steps: Steps whose losses are compared, all if None; of the last one nothing else. Settings are in all.
        first: Recording of the first step alone.
    """

    recipe: str
    source: str
    sizes: Callable[[Golden], dict[str, Any]] = lambda golden: {}
    draw: Callable[[nn.Module, Step, Inputs], None] = nothing
    deviations: tuple[Callable[[PretrainRunner, Golden], None], ...] = ()
    terms: Mapping[str, Callable[[dict[str, Tensor], list[Any]], Any]] = field(default_factory=dict)
    temperature: Callable[[nn.Module], float] | None = None
    teacher_first: bool = False
    kept: str = ''
    left_out: str = ''
    early: float = 1e-9
    late: float = 1e-9
    bounds: Mapping[str, float] = field(default_factory=dict)
    compared_steps: int | None = None
    first: FirstStep | None = None


@DATASETS.register_module()
class RecordedImages(Dataset):
    """The images of the recorded batches, in the order in which they are asked for.

    Args:
        directory: Where the recordings lie.
        case: Name of the recording.
    """

    def __init__(self, directory: str, case: str) -> None:
        self.golden = Golden(directory, case)
        self.batch_size = self.golden.record['inputs'][0][1][0]
        self.given = 0

    def __len__(self) -> int:
        return self.golden.literals['steps_per_epoch'] * self.batch_size

    def __getitem__(self, row: int) -> Inputs:
        step, image = divmod(self.given, self.batch_size)
        if image == 0:
            prefix = f'step{step + 1}.'
            self.inputs = {name.removeprefix(prefix): x for name, x in self.golden.inputs(prefix).items()}
        self.given += 1
        return {name: tensor[image] for name, tensor in self.inputs.items()}


@FUNCTIONS.register_module()
def recorded_batch(images: list[Inputs]) -> dict[str, Any]:
    """Collates views, and what else was drawn for a batch."""
    inputs = {name: torch.stack([image[name] for image in images]) for name in images[0]}
    return dict(inputs=[x for x in inputs.values() if x.ndim == 4], data_samples=inputs)


def run(directory: Path, name: str, case: Case, work_dir: Path) -> Comparison:
    """Runs a recording through its recipe; returns what was compared."""
    golden = Golden(directory, name)
    cfg = load_config(CONFIGS / case.recipe, case.sizes(golden))
    cfg.max_epochs = golden.literals['epochs']
    cfg.work_dir, cfg.log_level = str(work_dir), 'WARNING'
    cfg.model.data_preprocessor = dict(type='BaseDataPreprocessor')  # the inputs are normalised views
    cfg.train_dataloader = dict(
        batch_size=golden.record['inputs'][0][1][0],
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='recorded_batch'),
        dataset=dict(type='RecordedImages', directory=str(directory), case=name),
    )
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg.pop(key, None)
    cfg.train_cfg = {}
    cfg.default_hooks.checkpoint = None
    cfg.optim_wrapper.pop('dtype', None)
    cfg.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=None)
    with Undrawn():
        runner = build_runner(cfg)
    runner.model.double()
    comparison = Comparison(golden, case, case.first and Golden(directory, case.first.name))
    runner.register_hook(comparison)
    runner.train()
    return comparison


class Comparison(Hook):
    """Puts the recorded weights into a run that starts, and compares what it does with the recording.

    Args:
        golden: The recording.
        case: How it is run.
        first: The recording of the first step alone, if there is one.
    """

    priority = 'LOW'  # behind the hooks that start the algorithm and that freeze

    def __init__(self, golden: Golden, case: Case, first: Golden | None = None) -> None:
        assert first is None or first.salt == golden.salt
        self.golden = golden
        self.first = first
        self.case = case
        self.steps: list[Step] = golden.record['trajectory']
        self.wrong: list[str] = []
        self.momenta: list[float] = []
        self.head_outputs: list[Any] = []

    # The run

    def before_train(self, runner: PretrainRunner) -> None:
        """Loads the weights, averages a teacher that is averaged in the forward pass, and begins to watch."""
        case, model = self.case, runner.model
        kept = [name for name in model.state_dict() if case.kept and re.fullmatch(case.kept, name)]
        self.golden.load(model, case.source, kept)
        optimizer = runner.optim_wrapper.optimizer
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.watch_momentum()
        if case.teacher_first:
            model.teacher.update(0.0, backbone=model.backbone, neck=model.neck)
        for deviation in case.deviations:
            deviation(runner, self.golden)
        self.handles = [
            model.register_forward_hook(lambda module, args, losses: self.compare_losses(losses)),
            model.head.register_forward_hook(lambda module, args, output: self.head_outputs.append(output)),
            optimizer.register_step_pre_hook(lambda *args: self.compare_settings(optimizer)),
            optimizer.register_step_post_hook(lambda *args: self.keep_teacher(model)),
        ]
        if self.first is not None:
            self.trace = Trace(**case.first.modules(model))
            backward = runner.optim_wrapper.backward
            runner.optim_wrapper.backward = lambda loss: (backward(loss), self.compare_first(model, loss))

    def watch_momentum(self) -> None:
        """Notes the momentum of every average."""
        self.average = ema_teacher.get_ema_multi_avg_fn

        def noted(momentum: float) -> Callable:
            self.momenta.append(momentum)
            return self.average(momentum)

        ema_teacher.get_ema_multi_avg_fn = noted

    def before_train_iter(self, runner: PretrainRunner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Makes the model draw what was drawn."""
        self.number = runner.iter + 1
        self.step = self.steps[runner.iter]
        self.head_outputs.clear()
        if self.case.temperature is not None:
            self.compare('temperature', float(self.case.temperature(runner.model)), self.step['temperature'], 1e-11)
        self.case.draw(runner.model, self.step, data_batch['data_samples'])
        if self.number == self.case.compared_steps:
            self.stop_learning(runner.model)

    def stop_learning(self, model: nn.Module) -> None:
        """Computes one more loss, without gradient, and none after it: what follows costs nothing."""
        loss = model.loss

        def last(views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
            if self.number == self.case.compared_steps:
                with torch.no_grad():
                    self.compare_losses(loss(views, data_samples))
            return dict(loss=0 * sum(p.sum() for p in self.named.values()))

        model.loss = last

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        """Compares momentum of the teacher, state, and that of the optimizer."""
        if 'ema_momentum' in self.step:
            self.compare('momentum', self.momenta[self.number - 1], self.step['ema_momentum'], 1e-11)
        if self.step.get('grad_norm_before_clip') and self.is_compared():
            norm = runner.optim_wrapper.grad_norm
            assert norm is not None or not runner.optim_wrapper.clip_grad_kwargs
            if norm is not None:
                recorded = self.step['grad_norm_before_clip']
                self.compare('norm before clipping', norm, recorded, self.bound(at_least=1e-8))
        if 'state' in self.step and self.is_compared():
            self.compare_state(runner.model)
            self.compare_optimizer(runner.optim_wrapper.optimizer)
        if self.number == 1 and self.first is not None:
            for name, value in self.summaries(runner.model, self.first.record.get('after_step', ())).items():
                if not re.fullmatch(self.case.left_out, name):
                    self.compare(f'first step: {name}', value, self.first.record['after_step'][name], self.bound(name))

    def after_train(self, runner: PretrainRunner) -> None:
        """Releases model and optimizer, to free memory."""
        ema_teacher.get_ema_multi_avg_fn = self.average
        for handle in self.handles:
            handle.remove()
        assert self.number == len(self.steps)

    # What is compared

    def compare(self, what: str, found: Any, recorded: Any, bound: float) -> None:
        """Keeps a message where ``found`` and ``recorded`` differ by more than ``bound``."""
        message = difference(summary(found) if isinstance(found, Tensor) else found, recorded, bound)
        if message:
            self.wrong.append(f'step {self.number}: {what}: {message}')

    def bound(self, name: str = '', at_least: float = 0.0) -> float:
        """The bound of this step for the tensor ``name``."""
        own = [bound for pattern, bound in self.case.bounds.items() if re.fullmatch(pattern, name)]
        return max(at_least, self.case.early if self.number <= EARLY else self.case.late, *own)

    def ours(self, name: str) -> str | None:
        """Our name of a recorded tensor; None for what has no place in an algorithm."""
        return rename(name, self.case.source)

    def is_compared(self) -> bool:
        """Whether gradients and state of this step are."""
        return self.case.compared_steps is None or self.number < self.case.compared_steps

    def is_exact(self) -> bool:
        """Whether rounding has not grown yet: gradients are farther off than the state."""
        return self.number <= EARLY or self.case.late <= self.case.early

    def compare_losses(self, losses: dict[str, Tensor]) -> None:
        """Compares the loss and its parts, unless there are no gradients any more."""
        if not self.is_compared() and any(loss.requires_grad for loss in losses.values()):
            return
        found = {'total': sum(value for key, value in losses.items() if 'loss' in key)}
        found |= {name: term(losses, self.head_outputs) for name, term in self.case.terms.items()}
        for name in found:
            bound = max(1e-8, min(self.bound(), 1e-4))
            self.compare(f'loss {name}', found[name], self.step['losses'][name], bound)

    def compare_settings(self, optimizer: torch.optim.Optimizer) -> None:
        """Compares what the optimizer is about to use: the settings of every parameter, and the gradients."""
        found = {id(p): _settings(group) for group in optimizer.param_groups for p in group['params']}
        # Where no groups are recorded there is one, of all tensors.
        groups = self.golden.record.get('groups') or [dict(names=[n for n, _ in self.golden.record['state_dict']])]
        missing = set(self.named)
        for group, used in zip(groups, self.step['groups'], strict=True):
            for name in {self.ours(name) for name in group['names']} & self.named.keys():
                missing.discard(name)
                settings = found[id(self.named[name])]
                if not np.allclose(settings, _settings(used), rtol=1e-10, atol=1e-16):
                    self.wrong.append(f'step {self.number}: {name} has {settings}, not {_settings(used)}')
        self.wrong += [f'step {self.number}: {name} is in no recorded group' for name in missing]
        if not self.is_compared():
            return
        gradients = {name: p.grad for name, p in self.named.items() if p.grad is not None}
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients.values()))))
        self.compare('norm of the gradient', norm, self.step['grad_norm_at_step'], self.bound(at_least=1e-8))
        for name, recorded in self.step.get('grads_at_step', {}).items() if self.is_exact() else ():
            ours = self.ours(name)
            if ours in self.named:
                self.compare(f'gradient of {name}', gradients.get(ours), recorded, self.bound(at_least=1e-8))
        idle = {self.ours(name) for name in self.step.get('without_grad', ())} & self.named.keys()
        if idle != self.named.keys() - gradients.keys():
            self.wrong.append(f'step {self.number}: without gradient are {self.named.keys() - gradients.keys()}')

    def keep_teacher(self, model: nn.Module) -> None:
        """Summarises a teacher that is averaged in the forward pass right after the optimizer's step."""
        names = self.step.get('state', ()) if self.case.teacher_first and self.is_compared() else ()
        self.teacher = self.summaries(model, names, 'teacher.')

    def summaries(self, model: nn.Module, recorded: Iterable[str], prefix: str = '') -> dict[str, Any]:
        """Summaries of recorded tensors by their names, of those of ours whose names begin with ``prefix``."""
        tensors = model.state_dict()
        names = {name: self.ours(name) for name in recorded}
        return {
            name: summary(official(tensors, ours))
            for name, ours in names.items()
            if ours is not None and ours.startswith(prefix)
        }

    def compare_state(self, model: nn.Module) -> None:
        """Compares every parameter and buffer of student and teacher."""
        found = self.summaries(model, self.step['state']) | self.teacher
        assert found
        for name, value in found.items():
            if not self.case.left_out or not re.fullmatch(self.case.left_out, name):
                self.compare(name, value, self.step['state'][name], self.bound(name))

    def compare_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Compares the optimizer's state of a few parameters."""
        for name, recorded in self.step['optimizer'].items() if self.is_exact() else ():
            if self.ours(name) not in self.named:
                continue
            state = optimizer.state[self.named[self.ours(name)]]
            for key, value in recorded.items():
                own = 'momentum_buffer' if key in MOMENTA else key
                self.compare(f'{key} of {name}', state[own], value, self.bound(at_least=1e-8))

    def compare_first(self, model: nn.Module, loss: Tensor) -> None:
        """Compares loss, outputs and all gradients of the first step, before they are clipped."""
        if self.number > 1:
            return
        record, case = self.first.record, self.case.first
        self.compare('first step: loss', loss, record['losses']['total'], 1e-8)
        assert record['outputs'].keys() == case.outputs.keys() | set(case.left_out)
        for name, output in case.outputs.items():
            self.compare(f'first step: {name}', output(model, self.trace), record['outputs'][name], 1e-8)
        missing = set(self.named)
        for name, gradient in record['grads'].items():
            ours = self.ours(name)
            if ours in self.named:
                missing.discard(ours)
                self.compare(f'first step: gradient of {name}', self.named[ours].grad, gradient, 1e-7)
        assert not missing


def _settings(group: Mapping[str, Any]) -> list[float]:
    """lr, weight decay, and momentum or betas."""
    return [group['lr'], group['weight_decay'], *np.atleast_1d(group.get('momentum', group.get('betas')))]
