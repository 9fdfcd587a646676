"""Runs the demo: pre-trains a small backbone, evaluates before and after, and writes a report."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmssl.checkpoints.content import digest
from mmssl.datasets.image_files import find_images
from mmssl.datasets.own_images import use_images
from mmssl.demo.precision import Precision, time_precisions
from mmssl.demo.report import METRICS, Representation, report_sections, results_table
from mmssl.engine.runner import PretrainRunner
from mmssl.engine.stages import Stage, run_stage, run_stages
from mmssl.evaluation.extract import extract_features
from mmssl.models.components.label_check import learns_from_labels
from mmssl.profiling.machine import cpu_name, device_name, source_commit
from mmssl.utils.errors import UserError
from mmssl.version import __version__
from mmssl.visualization.report import Section, write_report
from mmssl.visualization.robustness_report import RobustnessReport

MIN_IMAGES = 32
IMAGES_PER_CLUSTER = 4  # smallest average
PHOTO_PATCHES = 7200  # images of the demos
PATIENCE = 1.6  # a pre-training of more than this times the budget is cut to the budget


@dataclass
class Length:
    """The length of a demo.

    Args:
        epochs: Epochs of each training; None takes those of the recipe, or the budget if they take much longer.
        minutes: Budget of all trainings on an idle machine. None means five minutes for recipes that are much longer.
            A number is the budget itself: shorter recipes are prolonged, longer ones cut.
        full: Keep the epochs of the recipe, however long they take.
    """

    epochs: int | None = None
    minutes: float | None = None
    full: bool = False

    def choose(self, epochs: int, minutes_per_epoch: float, share: float) -> int:
        """Returns the number of epochs of a training.

        Args:
            epochs: Number of epochs in the recipe.
            minutes_per_epoch: Estimated duration of an epoch.
            share: Share of this training in the budget, in (0, 1].
        """
        if self.epochs is not None:
            return self.epochs
        if self.full:
            return epochs
        budget = share * (5 if self.minutes is None else self.minutes)
        if self.minutes is None and epochs * minutes_per_epoch <= budget * PATIENCE:
            return epochs
        return max(1, round(budget / minutes_per_epoch))


@dataclass
class Outcome:
    """The results of the demo.

    Args:
        table: Rows of cells, the first row being the head; None if the images have no labels.
        report: HTML file.
        minutes: Duration of the pre-training.
        results: Everything that ``result.json`` holds: the scores in % of every representation and the conditions.
    """

    table: list[list[str]] | None
    report: Path
    minutes: float
    results: dict[str, Any]


def evaluates_features(cfg: Config) -> bool:
    """Returns whether a training evaluates frozen features, which a demo compares before and after it."""
    return bool(cfg.get('max_epochs')) and (cfg.get('val_cfg') or {}).get('type') == 'EmbeddingValLoop'


def use_folder(cfg: Config, folder: str) -> None:
    """Changes a config so that it reads the images of a folder.

    With class folders the demo measures accuracy; with a flat folder it shows figures only. The number of iterations of
    a demo stays about the same; other configs keep their epochs. Small folders get smaller batches, with smaller groups
    of images that share norm statistics, and fewer clusters. A bank has as many rows as there are training images.

    Args:
        cfg: Config of a pre-training, or of a stage that trains nothing; changed in place.
        folder: Folder of images or of class folders.

    Raises:
        FileNotFoundError: The folder does not exist.
        UserError: The folder holds too few images.
    """
    names, is_demo = list(find_images(folder)), _training_set(cfg).type == 'PhotoPatches'
    if len(names) < MIN_IMAGES:
        raise UserError(f'{folder} holds {len(names)} images; the demo needs at least {MIN_IMAGES}')
    use_images(cfg, folder)
    val_every = _training_set(cfg).val_every
    num_train = len(names) - -(-len(names) // val_every)
    _limit_clusters(cfg, max(2, num_train // IMAGES_PER_CLUSTER))
    if 'step' in cfg:
        return
    planned = batch = cfg.train_dataloader.batch_size
    iterations = cfg.max_epochs * (PHOTO_PATCHES // batch)
    while batch > num_train // 2:
        batch //= 2
    cfg.train_dataloader.batch_size = batch
    _shrink_groups(cfg.model, planned // batch)
    if 'bank' in cfg.model:
        cfg.model.bank.length = num_train
    if is_demo:
        cfg.max_epochs = max(1, -(-iterations // (num_train // batch)))


def _shrink_groups(part: Any, factor: int) -> None:
    """Divides every ``norm_group_size`` below ``part`` by ``factor``, to 2 images at least, in place."""
    for item in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _shrink_groups(item, factor)
    if isinstance(part, dict) and part.get('norm_group_size') is not None:
        part['norm_group_size'] = max(2, part['norm_group_size'] // factor)


def _limit_clusters(cfg: Config, largest: int) -> None:
    """Limits clusters of images, principal components and classes of a classifier of clusters, in place.

    Methods without a labeller, such as CAPI, have clusters of patches, of which there are enough.
    """
    if 'step' in cfg:
        parts = [(cfg.step, 'num_clusters')]
    else:
        labellers = [hook.labeller for hook in cfg.get('custom_hooks') or () if 'labeller' in hook]
        parts = [(labeller, key) for labeller in labellers for key in ('num_clusters', 'whiten')]
        learns_clusters = 'labels' in cfg.train_dataloader.dataset
        if labellers or learns_clusters:
            parts.append((cfg.model.get('head') or {}, 'num_classes' if learns_clusters else 'num_clusters'))
    for part, key in parts:
        if part.get(key) is not None:
            part[key] = min(part[key], largest)


def _training_set(cfg: Config) -> Any:
    """The config of the images that a training or a step learns from."""
    dataset = (cfg.step.dataloader if 'step' in cfg else cfg.train_dataloader).dataset
    return dataset.get('dataset', dataset)


def run(stages: Sequence[Stage], work_dir: str | Path, length: Length = Length()) -> Outcome:  # noqa: B008
    """Runs all stages, evaluates before pre-training and after each training, and writes the results.

    They are ``report.html`` for people and ``result.json`` for programs.

    Args:
        stages: Stages of a demo config; a config without stages is a single one.
        work_dir: Folder for all output.
        length: Length of the trainings.
    """
    run_ = _Run(stages, Path(work_dir), length)
    if len(stages) > 1:
        run_stages(stages, stages, work_dir, run=run_)
    else:
        run_(stages[0], Path(work_dir))
    runner, representations = run_.runner, run_.representations
    table, train = results_table(representations), runner.train_dataloader.dataset
    seed = runner.seed - stages.index(run_.last)  # a stage has the seed of the run plus its number
    results = dict(
        scores={
            shown.name: {key: shown.results[key] for key in METRICS if key in shown.results}
            for shown in representations
        },
        minutes=run_.minutes,
        processor_minutes=run_.processor_minutes,
        epochs=runner.max_epochs,
        images=run_.images,
        seed=seed,
        precision=str(run_.precision),
        knows_labels=run_.knows_labels,
        backbone_sha256=digest(runner.algorithm.backbone.state_dict()),
        **conditions(),
    )
    Path(work_dir, 'result.json').write_text(json.dumps(results, indent=2) + '\n')  # before the report, which may fail
    subtitle = (
        f'{type(runner.algorithm).__name__}, {runner.max_epochs} epoch{"s" * (runner.max_epochs > 1)} of '
        f'{len(train):,} images in {run_.minutes:.1f} minutes, {run_.precision}, seed {seed}'
    )
    if len(stages) > 1:
        subtitle += f'; stages: {", ".join(stage.name for stage in stages)}'
    sections = [*report_sections(runner, representations, table), *run_.robustness.sections(), *run_.sections]
    report = write_report(Path(work_dir, 'report.html'), 'mmssl demo', subtitle, sections)
    return Outcome(table, report, run_.minutes, results)


def conditions() -> dict[str, Any]:
    """Returns what a measurement depends on beside its settings: device, threads, versions and the source's commit."""
    return dict(
        device=device_name(torch.device(get_device())),
        cpu=cpu_name(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        mmssl=__version__,
        commit=source_commit(),
    )


class _Run:
    """Runs one stage per call and collects representations, in the order of the table, and sections of the report.

    Args:
        stages: All stages.
        work_dir: Folder of the run.
        length: Length of the trainings.
    """

    def __init__(self, stages: Sequence[Stage], work_dir: Path, length: Length) -> None:
        trainings = [stage for stage in stages if stage.trains]
        self.last, self.share = trainings[-1], 1 / len(trainings)
        self.length, self.minutes, self.processor_minutes, self.images = length, 0.0, 0.0, 0
        self.knows_labels = False  # whether a training learned from labels
        self.representations: list[Representation] = []
        self.sections: list[Section] = []
        self.robustness = RobustnessReport()

    def __call__(self, stage: Stage, folder: Path, resume: bool = False) -> None:
        """Runs one stage."""
        if not stage.trains:
            run_stage(stage, folder)
            self.sections += [Section(f'Stage {stage.name}: {path.stem}', image=path) for path in folder.glob('*.png')]
            return
        self.precision = precision = time_precisions(stage.config)
        set_length(stage.config, precision, self.length, self.share)
        self.runner = run_stage(stage, folder, build=lambda cfg: self._build(cfg, stage, precision))
        self.minutes += (time.perf_counter() - self.start) / 60
        self.processor_minutes += (_processor_seconds() - self.processor_start) / 60
        self.images += self.runner.max_epochs * len(self.runner.train_dataloader.dataset)
        self.knows_labels |= learns_from_labels(self.runner.algorithm)
        name = 'pre-trained' if stage is self.last else f'after {stage.name}'
        self.representations.append(represent(self.runner, name))
        self.robustness.add(stage.name, self.runner.algorithm, self.runner.val_dataloader)
        self.runner.end_workers()

    def _build(self, cfg: Config, stage: Stage, precision: Precision) -> PretrainRunner:
        """Builds the runner of a training; before the last one, evaluates raw pixels and the initial network."""
        runner = build_runner(cfg)
        runner.logger.info(
            f'fastest on this machine: {precision} ({precision.gain:.1f} times the speed of plain float32); '
            f'{cfg.max_epochs} epochs take about {cfg.max_epochs * precision.minutes_per_epoch:.1f} minutes'
        )
        if stage is self.last:
            before = [represent(runner, 'raw pixels', pixels=True), represent(runner, 'random initialisation')]
            self.representations = before + self.representations
        self.start, self.processor_start = time.perf_counter(), _processor_seconds()
        return runner


def _processor_seconds() -> float:
    """Returns the time that this process and its children that have ended took of all processors together."""
    return sum(os.times()[:4])


def set_length(cfg: Config, precision: Precision, length: Length, share: float = 1.0) -> None:
    """Sets the length and the precision of a training.

    Args:
        cfg: Config of the training; changed in place.
        precision: Fastest precision on this machine.
        length: Length of all trainings.
        share: Share of this training in the demo's minutes, in (0, 1].
    """
    cfg.max_epochs = length.choose(cfg.max_epochs, precision.minutes_per_epoch, share)
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        if 'warmup_epochs' in scheduler:
            scheduler.warmup_epochs = min(scheduler.warmup_epochs, cfg.max_epochs / 4)
    cfg.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=precision.dtype)
    cfg.memory_format = 'channels_last' if precision.layout is torch.channels_last else 'contiguous'
    cfg.val_cfg.dtype = precision.dtype


def build_runner(cfg: Config) -> PretrainRunner:
    """Builds the runner with the log level WARNING, because MMEngine logs pages while it builds; then sets INFO."""
    cfg.log_level = 'WARNING'
    runner = PretrainRunner.from_cfg(cfg)
    runner.logger.setLevel('INFO')
    for handler in runner.logger.handlers:
        handler.setLevel('INFO')
    return runner


def represent(runner: PretrainRunner, name: str, pixels: bool = False) -> Representation:
    """Extracts and evaluates the features of the runner's current model, or the raw pixels if ``pixels``."""
    runner.logger.info(f'evaluating: {name}')
    loop = runner.val_loop
    feature = (lambda images: images.flatten(1)) if pixels else None
    bank, queries = (
        extract_features(runner.model, loader, feature=feature, dtype=loop.dtype, description=name)
        for loader in (loop.bank_dataloader, loop.dataloader)
    )
    assert bank is not None and queries is not None, 'the demo is one process'
    return Representation(name, bank, queries, loop.evaluator.evaluate(bank, queries))
