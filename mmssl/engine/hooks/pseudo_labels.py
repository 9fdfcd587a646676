"""Labels the training set with the model's own features while it trains."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmssl.checkpoints.files import holds_checkpoint, load_checkpoint_file
from mmssl.clustering.backend import chunk_rows, chunks
from mmssl.clustering.labels import FEATURES_FILE, Labels, allocate_features, features_memory
from mmssl.clustering.scores import agreement, cluster_sizes, collapse, size_scores
from mmssl.config.dtypes import read_dtype
from mmssl.config.load import apply_options, load_config
from mmssl.config.text import read_config_text
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.datasets.workers import shield_workers
from mmssl.distributed.collectives import patient_group, rank, world_size
from mmssl.engine.loops import seed_iteration
from mmssl.engine.sharding import whole_parameters
from mmssl.evaluation.extract import Rows, extract_rows, random_state_kept
from mmssl.models.algorithms.labelled import LabelledAlgorithm
from mmssl.registry import HOOKS, LABELLERS
from mmssl.utils.errors import UserError

_LABEL_EPOCH = 2**32  # plus the iteration: the "epoch" that seeds the augmentations of a labelling
_KEY = 'pseudo_labels'  # key in a checkpoint


@HOOKS.register_module()
class PseudoLabelsHook(Hook):
    """Labels the training set whenever the algorithm asks for new labels, see ``LabelledAlgorithm``.

    For each labelling, every process extracts the features of its share of the images. The main process computes the
    labels while the others wait. The algorithm gets the labels, and so does a sampler with ``set_labels``
    (``ClusterSampler``). Every batch gets the labels of its images as ``data_samples['pseudo_label']`` (N, H). The
    optimizer state of the modules that the algorithm resets is deleted.

    Checkpoints hold the labels. A labelling depends only on weights, seed and iteration, so a run that was killed
    between a labelling and the next checkpoint computes the same labels again.

    Each labelling logs its scores: the agreement with the classes of the training set if it has any (``nmi``, ``ari``,
    ``purity``), the agreement with the previous labels (``nmi_previous``), and the sizes of the clusters. The classes
    are used for nothing else. A collapse of the clusters is logged as a warning.

    Args:
        labeller: Config of a labeller, such as ``dict(type='KMeansLabeller', num_clusters=1000)``.
        transform: Config of the view for features of images without augmentation, such as
            ``dict(type='CenterCropView', resize=256, size=224)``; not used if the algorithm's ``label_pass`` is
            ``'training'``, which reads augmented views.
        batch_size: Images per process in the pass with ``transform``; None takes the batch size of training.
        dtype: ``'bfloat16'`` or ``'float16'`` extracts features under autocast; None uses the dtype of the weights.
        memory_limit: Largest size of the features in memory in bytes; larger features are stored in a memory-mapped
            file in the work directory.

    Raises:
        ValueError: An argument is not positive, or ``dtype`` is unknown.
    """

    def __init__(
        self,
        labeller: dict,
        transform: dict | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        memory_limit: float = 16e9,
    ) -> None:
        if min(batch_size or 1, memory_limit) <= 0:
            raise ValueError(f'batch_size and memory_limit must be positive, got {batch_size} and {memory_limit}')
        self.labeller = LABELLERS.build(labeller)
        self.transform = transform
        self.batch_size = batch_size
        self.dtype = read_dtype(dtype)
        self.memory_limit = memory_limit
        self.labels: np.ndarray | None = None
        self.done = 0
        self.labelled_at = 0
        self.only_estimate = False

    # Times of the labellings

    def before_run(self, runner: Runner) -> None:
        """Asks the algorithm for the times of its labellings and checks that labels can be computed.

        Raises:
            UserError: The algorithm takes no labels, ``transform`` is missing, or the labeller does not fit the
                algorithm.
            ValueError: There are fewer images than clusters.
        """
        if runner.train_loop is None:  # the run only tests or validates
            return
        algorithm, dataset = runner.algorithm, runner.train_dataloader.dataset
        if not hasattr(algorithm, 'take_labels'):
            raise UserError(f'{type(algorithm).__name__} takes no labels: remove PseudoLabelsHook from custom_hooks')
        if algorithm.label_pass == 'plain' and self.transform is None:
            raise UserError("PseudoLabelsHook needs transform=dict(type='CenterCropView', size=...)")
        _check_labeller(self.labeller, algorithm)
        if not self.only_estimate:
            self.labeller.check(len(dataset))
        self.images_per_iteration = runner.train_dataloader.batch_sampler.batch_size * world_size()
        epoch = len(runner.train_dataloader) * self.images_per_iteration
        self.times = np.asarray(algorithm.label_times(epoch, runner.max_epochs), dtype=float)
        algorithm.before_labels(len(dataset))
        self.group: Any = patient_group()  # labelling can take longer than the timeout of the default process group

    def before_train_epoch(self, runner: Runner) -> None:
        """Labels the training set if a labelling is due, before the sampler draws the epoch."""
        self._label_when_due(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Labels the training set if a labelling is due within the epoch, and adds the labels to the batch."""
        self._label_when_due(runner)
        assert data_batch is not None and self.labels is not None, 'MMEngine passes the batch, and labels were computed'
        samples = data_batch['data_samples']
        samples['pseudo_label'] = torch.from_numpy(self.labels[:, samples['index'].numpy()].T.copy())

    def _label_when_due(self, runner: Runner) -> None:
        due = self._due(runner.iter)
        if due <= self.done:
            return
        self.done, self.labelled_at = due, runner.iter
        start = time.perf_counter()
        with random_state_kept():
            seed_iteration(runner.seed, runner.iter, rank())
            result = self._made_labels(runner)
            seed_iteration(runner.seed, runner.iter, 0)  # all processes must reset modules to the same weights
            with whole_parameters(runner.algorithm, runner.algorithm.head):
                modules = runner.algorithm.take_labels(result.labels, result.centroids)
        for parameter in (p for module in modules for p in module.parameters()):
            runner.optim_wrapper.optimizer.state.pop(parameter, None)
        previous, self.labels = self.labels, result.labels
        self._give_to_sampler(runner)
        self._log(runner, result, previous, time.perf_counter() - start)
        seed_iteration(runner.seed, runner.iter, rank())

    def _due(self, iteration: int) -> int:
        """Returns the number of labellings that are due at the start of an iteration, all earlier ones included."""
        return int(np.searchsorted(self.times, iteration * self.images_per_iteration, side='right'))

    # Labelling

    def _made_labels(self, runner: Runner) -> Labels:
        """Computes the labels on the main process and returns them on every process.

        Raises:
            UserError: The labels cannot be computed.
        """
        algorithm = runner.algorithm
        if self.only_estimate:
            return self._stand_ins(algorithm, len(runner.train_dataloader.dataset))
        rows = self._features(runner)
        message: list[Any] = [None, None]
        if rank() == 0:
            try:
                assert rows is not None, 'the main process has the features'
                message[0] = self._label(algorithm, rows, runner.seed)
            except ValueError as error:
                message[1] = str(error)
            Path(runner.work_dir, 'labels', FEATURES_FILE).unlink(missing_ok=True)
        if self.group is not None:
            dist.broadcast_object_list(message, src=0, group=self.group)
        if message[1] is not None:
            raise UserError(f'labels cannot be computed at iteration {runner.iter}: {message[1]}')
        return message[0]

    def _stand_ins(self, algorithm: Any, num_images: int) -> Labels:
        """Returns labels that depend on no image, with centroids of noise if the labeller makes centroids."""
        heads, clusters = self.labeller.num_heads, self.labeller.num_clusters
        labels = np.tile(np.arange(num_images) % clusters, (heads, 1))
        if not self.labeller.has_centroids:
            return Labels(labels)
        shape = heads, clusters, algorithm.label_width // self.labeller.num_crops
        return Labels(labels, np.random.default_rng(0).standard_normal(shape, dtype=np.float32))

    def _label(self, algorithm: Any, rows: Rows, seed: int) -> Labels:
        labelling_seed = int(np.random.SeedSequence((seed, self.done)).generate_state(1)[0])
        result = self.labeller.label(_seen_rows(rows), labelling_seed, algorithm.label_scores)
        labels = np.full((len(result.labels), len(rows.seen)), -1)
        labels[:, rows.seen] = result.labels
        return Labels(labels, result.centroids, result.numbers)

    def _features(self, runner: Runner) -> Rows | None:
        algorithm = runner.algorithm
        stored = algorithm.stored_features()
        if stored is not None:
            return Rows(*(tensor.cpu().clone().numpy() for tensor in stored)) if rank() == 0 else None
        loader, training = runner.train_dataloader, algorithm.label_pass == 'training'
        dataset = loader.dataset if training else loader.dataset.with_transform(self.transform)
        as_trained = training and not loader.drop_last  # the last batch of an epoch is trained on, however small
        sampler = EpochSampler(dataset, shuffle=training, drop_last=as_trained, seed=runner.seed)
        sampler.set_epoch(_LABEL_EPOCH + runner.iter)
        passes: DataLoader = DataLoader(
            dataset,
            loader.batch_sampler.batch_size if training else self.batch_size or loader.batch_sampler.batch_size,
            sampler=sampler,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            drop_last=training and not as_trained,  # batch norm cannot train on a last batch of one image
        )
        if training:
            algorithm.train()
        folder = Path(runner.work_dir, 'labels')
        return extract_rows(
            algorithm,
            shield_workers(passes),
            feature=algorithm.label_features,
            allocate=lambda count, width: allocate_features(count, width, self.memory_limit, folder),
            training=training,
            dtype=self.dtype,
            description='features of the training set',
        )

    def _give_to_sampler(self, runner: Runner) -> None:
        sampler = runner.train_dataloader.sampler
        if hasattr(sampler, 'set_labels'):
            assert self.labels is not None, 'labels were computed before'
            sampler.set_labels(self.labels[0])

    # Scores

    def _log(self, runner: Runner, result: Labels, previous: np.ndarray | None, seconds: float) -> None:
        if rank() > 0 or self.only_estimate:
            return
        sizes = cluster_sizes(result.labels[0], self.labeller.num_clusters)
        numbers = dict(result.numbers, **{f'clusters_{name}': value for name, value in size_scores(sizes).items()})
        numbers.update(agreement(result.labels[0], self._classes(runner)))
        if previous is not None:
            numbers['nmi_previous'] = agreement(result.labels[0], previous[0]).get('nmi', 0.0)
        runner.visualizer.add_scalars(dict(numbers, labelling_seconds=seconds), step=runner.iter)
        shown = ', '.join(f'{name} {value:.4g}' for name, value in numbers.items())
        runner.logger.info(f'labels computed in {seconds:.1f} s after {runner.iter} iterations: {shown}')
        warning = collapse(sizes)
        if warning is not None:
            runner.logger.warning(warning)

    def _classes(self, runner: Runner) -> np.ndarray:
        if not hasattr(self, '_known_classes'):
            dataset = runner.train_dataloader.dataset
            self._known_classes = np.array([dataset.label(index) for index in range(len(dataset))])
        return self._known_classes

    def estimate(self, num_images: int, algorithm: Any) -> dict[str, int]:
        """Returns the bytes that a labelling takes on the main process: name of a use -> bytes.

        The name of the features says whether they are in memory or in a file.

        Args:
            num_images: Number of images of the training set.
            algorithm: Algorithm, with the width of its features as ``label_width``.
        """
        place, size = features_memory(num_images, algorithm.label_width, self.memory_limit)
        parts = {f'features, in {"memory" if place == "memory" else "a file"}': size}
        return parts | self.labeller.memory(num_images, algorithm.label_width)

    def problems(self, num_images: int) -> list[str]:
        """Returns the reasons why ``num_images`` images cannot be labelled."""
        try:
            self.labeller.check(num_images)
        except ValueError as error:
            return [str(error)]
        return []

    # Checkpoints

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the labels to the checkpoint."""
        if self.labels is None:
            return
        labels = torch.from_numpy(self.labels.astype(np.int32))
        checkpoint[_KEY] = dict(labels=labels, iteration=self.labelled_at)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Reads the labels from the checkpoint if the run is resumed.

        Raises:
            UserError: The checkpoint has no labels, or labels of another training set.
        """
        if not runner._resume:
            return
        state: dict[str, Any] = checkpoint.get(_KEY) or {}
        labels, size = state.get('labels'), len(runner.train_dataloader.dataset)
        if labels is None or labels.shape[1] != size:
            found = 'no labels' if labels is None else f'labels of {labels.shape[1]} images'
            raise UserError(
                f'the checkpoint holds {found}, but the training set has {size} images: it cannot be resumed. Resume '
                'with the images of that run, or start a new run from its weights with load_from'
            )
        self.labels, self.labelled_at = labels.numpy().astype(np.int64), state['iteration']
        self.done = self._due(self.labelled_at)  # not stored, because a longer max_epochs changes the times
        self._give_to_sampler(runner)


def _check_labeller(labeller: Any, algorithm: Any) -> None:
    """Checks that a labeller takes the features of an algorithm and makes the labels that it needs.

    Raises:
        UserError: They do not fit.
    """
    name, place = type(algorithm).__name__, f'the labeller of PseudoLabelsHook ({type(labeller).__name__})'
    if not hasattr(algorithm.head, 'num_heads'):
        raise UserError(f'{name} needs a ClusterHead as model.head, got {type(algorithm.head).__name__}')
    shapes = [(part.num_heads, part.num_clusters) for part in (algorithm.head, labeller)]
    if shapes[0] != shapes[1]:
        raise UserError(
            'model.head has {} heads of {} clusters, '.format(*shapes[0])
            + 'the labeller of PseudoLabelsHook makes {} of {}: they must be equal'.format(*shapes[1])
        )
    if labeller.needs_scores and type(algorithm).label_scores is LabelledAlgorithm.label_scores:
        raise UserError(f'{place} needs predictions of clusters, which {name} does not make: use KMeansLabeller')
    if algorithm.takes_centroids and not labeller.has_centroids:
        raise UserError(
            f'{name} needs centroids of its features, and {place} makes none: use KMeansLabeller, whiten=None'
        )
    if labeller.num_crops != algorithm.label_crops:
        raise UserError(
            f'{name} needs num_crops={algorithm.label_crops} in {place}, the number of crops of an image whose '
            f'features it clusters; got {labeller.num_crops}'
        )


def _seen_rows(rows: Rows) -> np.ndarray:
    """Returns the rows that have features; moves them to the front of the array, chunk by chunk, if some have none."""
    if rows.seen.all():
        return rows.vectors
    seen = np.flatnonzero(rows.seen)
    for part in chunks(len(seen), chunk_rows(rows.vectors.shape[1])):
        rows.vectors[part] = rows.vectors[seen[part]]
    return rows.vectors[: len(seen)]


def read_labelled(
    checkpoint: str, config: str | None = None, cfg_options: dict[str, Any] | None = None
) -> tuple[Config, np.ndarray, dict]:
    """Reads the pseudo-labels from a training checkpoint.

    Args:
        checkpoint: File of a training checkpoint.
        config: Config file that replaces the config in the checkpoint.
        cfg_options: Dotted key -> value that overrides the config.

    Returns:
        The config, the labels (H, N) int64, and the config of a view without augmentation for the training images.

    Raises:
        UserError: The file does not exist, or it holds no labels or no config.
    """
    if not holds_checkpoint(checkpoint):
        raise UserError(f'checkpoint {checkpoint!r} does not exist')
    content = load_checkpoint_file(checkpoint)
    if _KEY not in content:
        raise UserError(f'{checkpoint} holds no labels: it does not come from a training with PseudoLabelsHook')
    cfg = load_config(config) if config is not None else read_config_text(content['meta']['cfg'], checkpoint)
    apply_options(cfg, cfg_options)
    cfg.setdefault('default_scope', 'mmssl')
    init_default_scope(cfg.default_scope)
    hooks = [hook for hook in cfg.get('custom_hooks') or () if hook.type.rpartition('.')[2] == 'PseudoLabelsHook']
    if not hooks:
        raise UserError(f'{config} has no PseudoLabelsHook: give the config of the training of {checkpoint}')
    size = cfg.train_dataloader.dataset.views[0].size
    transform = hooks[0].get('transform') or dict(type='CenterCropView', size=size)
    labels, moved = content[_KEY]['labels'], content['state_dict'].get('clusters.labels')
    if moved is not None and moved.shape == labels.shape[1:]:
        labels = moved[None]  # of OnlineClusters, which start with the labels of the hook and move at every step
    return cfg, labels.numpy().astype(np.int64), transform


def describe_estimate(parts: dict[str, int]) -> Sequence[str]:
    """Returns lines of text for the memory of a labelling, see ``PseudoLabelsHook.estimate``."""
    memory = sum(size for name, size in parts.items() if 'in a file' not in name)
    lines = [f'  {name:<28}{size / 2**30:>9.2f} GiB' for name, size in parts.items() if size]
    return [f'memory of a labelling on the main process: {memory / 2**30:.2f} GiB', *lines]
