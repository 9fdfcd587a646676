"""Exact gradient caching: the batch of a recipe through a network that only fits micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_flatten, tree_unflatten

from mmssl.utils.errors import UserError

_PARTS = ('backbone', 'neck')


def use_micro_batches(model: nn.Module, size: int) -> list[str]:
    """Makes the backbones and necks of an algorithm process a batch in micro-batches (Gao et al., arXiv:2101.06983).

    The forward pass of such a part runs micro-batch by micro-batch without a graph and returns its output for the whole
    batch, so the algorithm computes its loss, and autograd the gradient of the loss at this output, exactly as without
    micro-batches. The backward pass runs each micro-batch a second time, with a graph and the same random numbers, and
    sums the gradients of the parameters. A step costs one more forward pass and keeps the graph of one micro-batch.

    A neck with batch norms processes the whole batch, and so does everything else: its statistics and its gradient are
    exact. In a backbone, batch norms take the statistics of a micro-batch, as those of as many devices would.

    Args:
        model: Algorithm, without the wrapper of distributed training.
        size: Largest number of rows, images or crops, that pass a part at once.

    Returns:
        Names of the parts that use micro-batches and have batch norms: there the gradient differs from that of a whole
        batch.

    Raises:
        UserError: ``size`` is not a positive number, or the algorithm does not support micro-batches: its loss contains
            gradients, or it sets ``unsplit``.
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UserError(
            f'micro_batch takes the number of images that pass the network at once, got {size!r}; --auto-batch finds it'
        )
    reason = 'its loss contains gradients' if getattr(model, 'second_order', False) else getattr(model, 'unsplit', None)
    if reason:
        raise UserError(
            f'{type(model).__name__} does not support micro_batch, because {reason}; use '
            'optim_wrapper.accumulative_counts with a smaller train_dataloader.batch_size'
        )
    coupled = []
    for name, part in parts_in_micro_batches(model).items():
        if _has_batch_norm(part):
            coupled.append(name)
        # A bound method and not a closure: a deep copy of the part then runs itself, and not this part.
        part.forward = partial(_in_micro_batches, part, part.forward, size)  # type: ignore[method-assign]
    return coupled


def parts_in_micro_batches(model: nn.Module) -> dict[str, nn.Module]:
    """Returns name -> module of the backbones, and of the necks without batch norm, of student, teacher and target."""
    found: dict[str, nn.Module] = {}
    for name, part in model.named_modules():
        role = name.rpartition('.')[2]
        if role not in _PARTS or role == 'neck' and _has_batch_norm(part) or not any(True for _ in part.parameters()):
            continue
        if not any(name.startswith(f'{other}.') for other in found):
            found[name] = part
    return found


def _has_batch_norm(part: nn.Module) -> bool:
    return any(isinstance(module, _BatchNorm) for module in part.modules())


def _in_micro_batches(part: nn.Module, forward: Callable, size: int, *args: Any, **kwargs: Any) -> Any:
    leaves, tree = tree_flatten((args, kwargs))
    call = _Call(part, forward, size, leaves, tree)
    if call.rows <= size:
        return forward(*args, **kwargs)
    params = [p for p in part.parameters() if p.requires_grad]
    if not torch.is_grad_enabled() or not (params or any(leaf.requires_grad for leaf in call.tensors)):
        return call.outputs(call.run_without_graph())
    return call.outputs(_MicroBatches.apply(call, *call.tensors, *params))


class _Call:
    """One call of a part: its arguments, how they are split, and how its outputs are put together."""

    def __init__(self, part: nn.Module, forward: Callable, size: int, leaves: list, tree: Any) -> None:
        self.part, self.forward, self.size, self.leaves, self.tree = part, forward, size, leaves, tree
        self.places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.tensors: list[Tensor] = [leaves[place] for place in self.places]
        self.rows = len(self.tensors[0])
        self.is_split = [tensor.ndim > 0 and len(tensor) == self.rows for tensor in self.tensors]
        self.random_states: list[list[Tensor]] = []
        self.output_sizes: list[list[int]] = []  # rows of each output, for each micro-batch
        self.output_tree: Any = None
        self.device = self.tensors[0].device
        kind = self.device.type
        self.autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None

    def chunks(self) -> Iterator[list[Tensor]]:
        """Yields the tensors of each micro-batch; a tensor without a row per image, such as a token, is in all."""
        for start in range(0, self.rows, self.size):
            yield [x[start : start + self.size] if split else x for x, split in zip(self.tensors, self.is_split)]

    def run(self, chunk: Sequence[Tensor]) -> list[Tensor]:
        """Runs the part on one micro-batch and returns its outputs as a list."""
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, chunk):
            leaves[place] = tensor
        args, kwargs = tree_unflatten(leaves, self.tree)
        # A cast that autocast cached without a graph would have no gradient in a later call that has one.
        with torch.autocast(
            self.device.type, dtype=self.autocast, enabled=self.autocast is not None, cache_enabled=False
        ):
            outputs, self.output_tree = tree_flatten(self.forward(*args, **kwargs))
        return outputs

    @torch.no_grad()
    def run_without_graph(self) -> list[Tensor]:
        """Returns the outputs for the whole batch."""
        rows = []
        for chunk in self.chunks():
            self.random_states.append(_random_states(self.device))
            rows.append(self.run(chunk))
            self.output_sizes.append([len(output) for output in rows[-1]])
        return [torch.cat(parts) for parts in zip(*rows)]

    def outputs(self, leaves: Sequence[Tensor]) -> Any:
        """Returns the outputs in the form in which the part returns them."""
        return tree_unflatten(list(leaves), self.output_tree)


class _MicroBatches(torch.autograd.Function):
    """Runs a part in micro-batches, and a second time in the backward pass.

    The parameters are inputs of the function, so autograd adds up their gradients as without micro-batches, and DDP
    sees each gradient once.
    """

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = call.run_without_graph()
        ctx.call, ctx.params = call, tensors[len(call.tensors) :]
        ctx.save_for_backward(*call.tensors)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(output for output in outputs if not output.is_floating_point()))
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        call, inputs = ctx.call, ctx.saved_tensors
        asked = ctx.needs_input_grad[1 : 1 + len(inputs)]
        pieces: list[list[Tensor | None]] = [[] for _ in inputs]
        sums: list[Tensor | None] = [None] * len(ctx.params)
        parts = _split(gradients, call.output_sizes)
        with torch.enable_grad(), _statistics_kept(call.part), torch.random.fork_rng(_fork(call.device)):
            for chunk, state, part in zip(call.chunks(), call.random_states, parts):
                _set_random_states(state, call.device)
                chunk = [x.detach().requires_grad_(wanted) for x, wanted in zip(chunk, asked)]
                found = _gradients(call.run(chunk), part, [*(x for x in chunk if x.requires_grad), *ctx.params])
                for own, x in zip(pieces, chunk):
                    own.append(found.pop(0) if x.requires_grad else None)
                sums = [_add(total, gradient) for total, gradient in zip(sums, found)]
        joined = (_join(own, split) for own, split in zip(pieces, call.is_split))
        return (None, *joined, *sums)


def _split(gradients: Sequence[Tensor | None], sizes: list[list[int]]) -> Iterator[tuple[Tensor | None, ...]]:
    """Yields the gradients of the outputs of each micro-batch."""
    by_output = (list(own) for own in zip(*sizes))
    return zip(*(g.split(own) if g is not None else [None] * len(own) for g, own in zip(gradients, by_output)))


def _gradients(outputs: list[Tensor], gradients: Iterable[Tensor | None], inputs: list[Tensor]) -> list[Tensor | None]:
    pairs = [(output, g) for output, g in zip(outputs, gradients) if g is not None and output.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    roots, at_roots = zip(*pairs)
    return list(torch.autograd.grad(roots, inputs, at_roots, allow_unused=True))


def _add(total: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    if total is None or gradient is None:
        return gradient if total is None else total
    return total + gradient  # not in place: autograd may return one tensor for two parameters


def _join(pieces: list[Tensor | None], is_split: bool) -> Tensor | None:
    """Returns the gradient of an input from those of the micro-batches."""
    found = [piece for piece in pieces if piece is not None]
    if not found:
        return None
    return torch.cat(found) if is_split else torch.stack(found).sum(dim=0)


@contextmanager
def _statistics_kept(part: nn.Module) -> Iterator[None]:
    """Keeps batch norms from counting a micro-batch a second time in their running statistics."""
    norms = [m for m in part.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _fork(device: torch.device) -> list[torch.device]:
    return [device] if device.type == 'cuda' else []


def _random_states(device: torch.device) -> list[Tensor]:
    """Returns the states of the generators of the CPU and of ``device``."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(each) for each in _fork(device))]


def _set_random_states(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    for each, state in zip(_fork(device), states[1:]):
        torch.cuda.set_rng_state(state, each)
