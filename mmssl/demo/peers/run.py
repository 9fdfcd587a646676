"""A run of a method in one of the toolboxes: its curves of loss and kNN accuracy, time and memory."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope

from mmssl.config.load import load_config
from mmssl.demo.peers.peer_algorithm import PeerAlgorithm, Settings
from mmssl.demo.run import build_runner, conditions, use_folder
from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.extract import extract_chosen, extract_features
from mmssl.evaluation.weighted_knn import WeightedKNN
from mmssl.profiling.machine import peak_memory
from mmssl.utils.errors import UserError

# Toolbox -> the package that has to be installed, and the module with its methods.
TOOLBOXES: dict[str, tuple[str, str]] = dict(
    lightly=('lightly', 'mmssl.demo.peers.lightly_methods'),
    solo=('solo', 'mmssl.demo.peers.solo_methods'),
)
MATCHED = '-matched'
_RESNET = {'backbone.depth': 10, 'backbone.width': 0.25, 'neck.in_channels': 64}
_ARCH = {'backbone.arch.embed_dim': 64, 'backbone.arch.depth': 2, 'backbone.arch.num_heads': 2}
_VIT = _ARCH | {'backbone.img_size': 16, 'neck.in_channels': 64}
# Method of the demo -> what differs from its recipe: smaller networks, and what the toolboxes have in common.
RECIPES: dict[str, dict[str, Any]] = dict(
    simclr=_RESNET | {'joint_views': False},  # both toolboxes encode the views one after the other
    byol=_RESNET,
    barlowtwins=_RESNET,
    mocov2=_RESNET | {'norm_group_size': None},  # neither toolbox forms groups in one process
    vicreg=_RESNET,
    dino=_VIT,
    mae=_VIT | {'neck.grid_size': 4, 'backbone.type': 'VisionTransformer', 'neck.num_prefix_tokens': 1},
)
PHOTOS = 18
BATCH_SIZE, SIZE = 64, 16
VIEWS = 2  # the loss of DINO in solo-learn takes no local views
EVALUATIONS, BANK_EVERY = 4, 5


def missing_package(toolbox: str) -> str | None:
    """Returns the name of the package that a toolbox needs and that is not installed."""
    package = TOOLBOXES.get(toolbox.removesuffix(MATCHED), ('mmssl', ''))[0]
    return package if importlib.util.find_spec(package) is None else None


def methods_of(toolbox: str) -> dict[str, type[PeerAlgorithm]]:
    """Returns the methods of a toolbox by name.

    Raises:
        UserError: The toolbox is not installed.
    """
    if package := missing_package(toolbox):
        raise UserError(f'{package} is not installed: see the section "Other toolboxes" of docs/howto/profiling.md')
    return importlib.import_module(TOOLBOXES[toolbox.removesuffix(MATCHED)][1]).METHODS


def read_recipe(
    path: str | Path, method: str, epochs: int, seed: int, photos: int = PHOTOS, data: str | None = None
) -> Config:
    """Reads the recipe of a method for the comparison.

    Args:
        path: Recipe of the demo.
        method: Name of the method, a key of ``RECIPES``.
        epochs: Length of the run.
        seed: Seed of the run.
        photos: Number of photographs whose patches are the images, 2 to ``PHOTOS``.
        data: Folder of class folders instead of the photographs.
    """
    cfg = load_config(path)
    cfg.merge_from_dict({f'model.{key}': value for key, value in RECIPES[method].items()})
    cfg.optim_wrapper.get('paramwise_cfg', {}).pop('custom_keys', None)  # of names that the toolboxes do not share
    cfg.train_dataloader.batch_size = BATCH_SIZE
    loaders = cfg.train_dataloader, cfg.val_dataloader, cfg.val_cfg.bank_dataloader
    if data is not None:
        use_folder(cfg, data)
    else:
        for loader in loaders:
            loader.dataset.photos = [place * PHOTOS // photos for place in range(photos)]
    cfg.train_dataloader.dataset.views = cfg.train_dataloader.dataset.views[:VIEWS]
    for view in cfg.train_dataloader.dataset.views:
        view.size = SIZE
    cfg.max_epochs = epochs
    cfg.param_scheduler.warmup_epochs = min(cfg.param_scheduler.warmup_epochs, epochs / 4)
    cfg.train_cfg.val_begin = epochs + 1  # the hook evaluates
    cfg.default_hooks.checkpoint = None
    cfg.randomness.seed = seed
    return cfg


class CurveHook(Hook):
    """Records the loss and the processor time of every step, and the kNN accuracy at equal distances.

    The time of a step begins with the batch, so it contains the augmentation on the device and all other hooks.

    Args:
        evaluations: Number of evaluations after the first one, which precedes the training; 0 evaluates never.
    """

    priority = 'LOWEST'

    def __init__(self, evaluations: int) -> None:
        self.evaluations = evaluations
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.accuracies: list[tuple[int, float]] = []
        self.memory_before = 0

    def before_train(self, runner: Any) -> None:
        """Evaluates the network before training."""
        if self.evaluations:
            self.evaluate(runner)
        self.memory_before = peak_memory(torch.device(get_device()))

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Starts the clock."""
        self._start = time.process_time()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Stores time and loss of the step, and evaluates if it is due."""
        assert outputs is not None
        self.losses.append(float(outputs.get('curve', outputs['loss']).detach()))
        self.seconds.append(time.process_time() - self._start)
        done, last = len(self.losses), runner.max_iters
        if self.evaluations and (done % -(-last // self.evaluations) == 0 or done == last):
            self.evaluate(runner)

    def evaluate(self, runner: Any) -> None:
        """Stores the kNN accuracy on the test images; every fifth training image is a possible neighbour."""
        loop = runner.val_loop
        rows = range(0, len(loop.bank_dataloader.dataset), BANK_EVERY)
        bank = extract_chosen(runner.model, loop.bank_dataloader, rows)
        queries = extract_features(runner.model, loop.dataloader)
        assert queries is not None, 'a run is one process'
        images = len(self.losses) * runner.train_dataloader.batch_size
        self.accuracies.append((images, WeightedKNN()(bank, queries)['knn_top1']))


def build(cfg: Config, method: str, toolbox: str) -> PretrainRunner:
    """Builds the runner; another toolbox's method replaces the algorithm.

    Args:
        cfg: Config of ``read_recipe``.
        method: Name of the method.
        toolbox: ``'mmssl'``, or a key of ``TOOLBOXES``, with the suffix ``MATCHED`` without the known differences.

    Raises:
        UserError: The toolbox is not installed.
    """
    init_default_scope(cfg.default_scope)
    runner = build_runner(cfg)
    if toolbox != 'mmssl':
        dataset = runner.train_dataloader.dataset
        matched = toolbox.endswith(MATCHED)
        settings = Settings(cfg.model, cfg.max_epochs, runner.max_iters, len(dataset.classes), matched)
        runner.model = runner.wrap_model(None, methods_of(toolbox)[method](runner.algorithm, settings))
    return runner


def differences_in_float64(cfg: Config, method: str, toolboxes: Sequence[str], steps: int = 10) -> dict[str, Any]:
    """Compares the losses of the first steps, with the known differences removed.

    Returns:
        ``differences``: toolbox -> largest relative difference of a loss from that of mmssl; ``steps``.
    """
    own = losses_in_float64(cfg, method, 'mmssl', steps)
    found = {}
    for toolbox in toolboxes:
        losses = losses_in_float64(cfg, method, f'{toolbox}{MATCHED}', steps)
        found[toolbox] = max(abs(loss - other) / abs(other) for loss, other in zip(losses, own, strict=True))
    return dict(differences=found, steps=steps)


def losses_in_float64(cfg: Config, method: str, toolbox: str, steps: int) -> list[float]:
    """Returns the losses of the first steps, computed in float64, in the scale of mmssl."""
    cfg = copy.deepcopy(cfg)
    cfg.train_cfg = dict(max_iters=steps, by_epoch=False, val_begin=steps + 1)
    cfg.param_scheduler.warmup_epochs = 0  # the first epoch is longer than this run
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        runner = build(cfg, method, toolbox)
        runner.model.register_forward_pre_hook(_in_float64, with_kwargs=True)
        hook = CurveHook(0)
        runner.register_hook(hook)
        runner.train()
    finally:
        torch.set_default_dtype(default)
    return hook.losses


def _in_float64(module: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    return args, dict(kwargs, inputs=[view.double() for view in kwargs['inputs']])


def train(runner: PretrainRunner) -> dict[str, Any]:
    """Trains, and returns curves, cost and conditions.

    Returns:
        ``losses``, one per step, in the scale of mmssl; ``accuracies``, pairs of images seen and kNN accuracy in %;
        ``step_seconds``, the median processor time of a step; ``memory`` and ``memory_before``, the peak of the process
        in bytes and its value before the first step; ``images``; ``scores`` of the trained network; conditions.
    """
    hook = CurveHook(EVALUATIONS)
    runner.register_hook(hook)
    start = time.perf_counter()
    runner.train()
    return dict(
        scores={'trained': dict(knn_top1=hook.accuracies[-1][1])},
        losses=hook.losses,
        accuracies=hook.accuracies,
        step_seconds=median(hook.seconds),
        memory=peak_memory(torch.device(get_device())),
        memory_before=hook.memory_before,
        images=len(hook.losses) * runner.train_dataloader.batch_size,
        minutes=(time.perf_counter() - start) / 60,
        **conditions(),
    )
