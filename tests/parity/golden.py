"""Numbers recorded from official implementations, and how to reproduce and compare them.

A recording stores no weights: each weight, buffer and input is drawn from a generator seeded by its official name and
the recording's salt. Of a result it stores a summary: sums and eight entries.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.config.load import load_config
from mmssl.converters.convert import convert, rename
from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import MODELS
from tests.support.undrawn import Undrawn

CONFIGS = Path(__file__).parents[2] / 'configs'
Summary = dict[str, Any]

# Relative to a tensor's mean absolute value, in float64.
TOLERANCES = {'derived': 1e-8, 'outputs': 1e-8, 'losses': 1e-8, 'grads': 1e-7, 'after_step': 1e-7}
# A gradient that is zero by mathematics is rounding noise in a recording.
ZERO = 1e-10
QUEUES = ('queue', 'queue2', 'queue_ptr', 'queue2_ptr')  # the constructor draws them at random


def fill(name: str, shape: Iterable[int], salt: str) -> np.ndarray:
    """Value of the tensor ``name``: weights N(0, 1 / fan-in), norm scales near 1, other vectors near 0."""
    shape, generator, leaf = tuple(shape), _generator(salt, name), name.split('.')[-1]
    if leaf == 'num_batches_tracked':
        return np.zeros(shape, dtype=np.int64)
    if leaf == 'running_var':
        return 1 + 0.2 * np.asarray(generator.random(shape))
    values = np.asarray(generator.standard_normal(shape))
    if values.ndim > 1:
        values /= np.sqrt(values[0].size)  # in place: networks have 10^8 of them
        return values
    return 1 + 0.1 * values if leaf == 'weight' else 0.1 * values


def image(name: str, shape: Iterable[int], salt: str) -> np.ndarray:
    """A normalised batch (N, 3, H, W): a 7 x 7 grid of constant squares and N(0, 0.3) on top."""
    *batch, height, width = shape
    generator = _generator(salt, f'input|{name}')
    grid = generator.standard_normal((*batch, 7, 7))
    squares = grid.repeat(-(-height // 7), axis=-2).repeat(-(-width // 7), axis=-1)
    return squares[..., :height, :width] + 0.3 * generator.standard_normal((*batch, height, width))


def summary(values: Tensor | np.ndarray | float) -> Summary:
    """Shape, sum, sum of absolute values, and up to eight evenly spaced entries."""
    array = np.asarray(values.detach() if isinstance(values, Tensor) else values, dtype=np.float64)
    flat = array.reshape(-1)
    return {
        'shape': list(array.shape),
        'sum': flat.sum(),
        'abs_sum': np.abs(flat).sum(),
        'probe': flat[:: max(1, flat.size // 8)][:8].tolist(),
    }


def _generator(salt: str, name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(f'{salt}|{name}'.encode())))


class Golden:
    """One recorded case.

    Args:
        directory: Where the recordings lie.
        case: Name of the file without suffix; one that is missing is an error.
    """

    def __init__(self, directory: Path | str, case: str) -> None:
        self.record = json.loads((Path(directory) / f'{case}.json').read_text())
        self.salt = self.record['salt']
        self.literals = self.record.get('literals', {})
        # What the official constructor makes: name -> summary; some recordings list names alone, with no values.
        derived = self.record.get('derived', {})
        self.derived = derived if isinstance(derived, dict) else {name: None for name, *_ in derived}

    def state_dict(self) -> dict[str, Tensor]:
        """The official state dict, without what the constructor makes; queues are drawn. Large ones take seconds."""
        names = [name for name, _ in self.record['state_dict'] if name not in self.derived or name in QUEUES]
        return {name: self.tensor(name) for name in names}

    def tensor(self, name: str) -> Tensor:
        """One tensor of the official state dict."""
        if name in ('queue_ptr', 'queue2_ptr'):
            return torch.tensor([self.literals[f'{name}_before']])
        tensor = torch.as_tensor(fill(name, dict(self.record['state_dict'])[name], self.salt))
        if name in ('queue', 'queue2'):
            tensor = normalize(tensor, dim=-2)
        change = self.record.get('state_overrides', {}).get(name)
        return tensor if change is None else change['scale'] * tensor

    def inputs(self, prefix: str = '') -> dict[str, Tensor]:
        """The inputs whose names begin with ``prefix``, float64, without those that stand under ``literals``."""
        makers = {'image': image, 'fill': fill}
        return {
            name: torch.as_tensor(makers[kind](name, shape, self.salt))
            for name, shape, kind in self.record['inputs']
            if kind in makers and name.startswith(prefix)
        }

    def build(
        self, recipe: str, source: str, overrides: dict[str, Any] | None = None, kept: Iterable[str] = ()
    ) -> BaseModel:
        """The model of a shipped recipe in float64 with the recorded weights, in the recorded mode.

        Args:
            recipe: Path below ``configs/``.
            source: Official code that the names in the recording come from, see ``mmssl.converters``.
            overrides: Dotted config keys that differ in the recording.
            kept: Our tensors that are not recorded and keep their initial value, which is 0 instead of random.
        """
        with Undrawn():
            model = MODELS.build(load_config(CONFIGS / recipe, overrides).model)
        return self.load(model, source, kept)

    def load(self, model: BaseModel, source: str, kept: Iterable[str] = ()) -> BaseModel:
        """Returns ``model`` in float64 with the recorded weights, in the recorded mode; arguments as in ``build``."""
        own = model.double().state_dict()
        derived = {ours: name for name in self.derived if (ours := rename(name, source)) is not None}
        weights = {ours: own[ours] for ours in (*derived, *kept)} | convert(self.state_dict(), source)
        model.load_state_dict(weights, strict=True)
        for ours, name in derived.items():
            if self.derived[name] is not None:
                message = difference(summary(official(weights, ours)), self.derived[name], TOLERANCES['derived'])
                assert not message, f'{name}: {message}'
        return model.train(self.record['mode'] == 'train')

    def gradients(self, model: nn.Module, source: str) -> dict[str, Summary | None]:
        """Gradients by their official names; a parameter that trains but is not recorded comes under its own name."""
        official = {rename(name, source): name for name in self.record['grads']}
        trained = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
        found: dict[str, Summary | None] = dict.fromkeys(self.record['grads'])
        for name, gradient in trained.items():
            found[official.get(name, name)] = None if gradient is None else summary(gradient)
        return found

    def state(self, model: nn.Module, source: str) -> dict[str, Summary]:
        """The recorded part of the state after the step, by official names."""
        tensors = model.state_dict()
        return {name: summary(official(tensors, rename(name, source))) for name in self.record.get('after_step', {})}

    def check(self, results: Mapping[str, Mapping[str, Any]], sections: Iterable[str] | None = None) -> None:
        """Compares results with the recording.

        Args:
            results: Section of the recording -> official name -> summary, number, or None for no gradient.
            sections: The sections that must be there; None means all.

        Raises:
            AssertionError: A name is missing or too many, or a number is outside the tolerance; lists all of them.
        """
        wrong = []
        for section in sections or [s for s in TOLERANCES if s != 'derived' and s in self.record]:
            recorded, found = self.record.get(section, {}), results.get(section, {})
            wrong += [f'{section}: {name} in one of the two only' for name in recorded.keys() ^ found.keys()]
            for name in recorded.keys() & found.keys():
                message = difference(found[name], recorded[name], TOLERANCES[section])
                if message:
                    wrong.append(f'{section}: {name}: {message}')
        assert not wrong, f'{len(wrong)} differences\n' + '\n'.join(sorted(wrong, reverse=True)[:20])


def in_recorded_order(tokens: Tensor, keep: Tensor, recorded: list[list[int]]) -> Tensor:
    """Visible tokens (N, K, ...), which come in the order of the image, in the order of the recorded positions."""
    order = torch.stack([torch.searchsorted(mine, theirs) for mine, theirs in zip(keep, torch.tensor(recorded))])
    return select_patches(tokens, order)


class Trace:
    """Records what modules return, call by call.

    Args:
        **modules: The modules, by the names under which their outputs are kept: of maps the pooled vector.
    """

    def __init__(self, **modules: nn.Module) -> None:
        self.outputs: dict[str, list[Tensor]] = {name: [] for name in modules}
        for name, module in modules.items():
            module.register_forward_hook(lambda module, args, output, name=name: self._keep(name, output))

    def _keep(self, name: str, output: Tensor | tuple[Tensor, ...]) -> None:
        is_kept = isinstance(output, Tensor) and output.ndim in (0, 1, 3)  # losses, tokens
        self.outputs[name].append((output if is_kept else to_vector(output)).detach().clone())

    def __getitem__(self, name: str) -> list[Tensor]:
        return self.outputs[name]


def official(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor of ours called ``name``, in the shape that the official code gives it."""
    tensor = tensors[name]
    if name.endswith('queue.pointer'):
        return tensor.reshape(1)
    return tensor.T if name.endswith('queue.features') else tensor


def difference(found: Any, recorded: Any, tolerance: float) -> str | None:
    """What differs between two numbers, tensors or summaries by more than ``tolerance``; None if nothing does."""
    if found is None or recorded is None:
        return None if found is recorded else f'{found} instead of {recorded}'
    if not isinstance(recorded, dict):
        found, recorded = found if isinstance(found, dict) else summary(found), summary(recorded)
    if 'shape' in recorded and recorded['shape'] != found['shape']:
        return f'shape {found["shape"]} instead of {recorded["shape"]}'
    size = max(1, int(np.prod(found['shape'])))
    scale = recorded['abs_sum'] / size
    limit = max(tolerance * scale, ZERO if scale < ZERO / 10 else 0)
    for key in ('sum', 'abs_sum'):
        if key in recorded and not abs(found[key] - recorded[key]) <= limit * size:
            return f'{key} {found[key]} instead of {recorded[key]}'
    errors = np.abs(np.subtract(found['probe'], recorded['probe']))
    if not (errors <= limit).all():
        return f'entries {found["probe"]} instead of {recorded["probe"]}, off by {errors.max() / scale:.1e} of the mean'
    return None
