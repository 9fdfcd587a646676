"""Feature extraction: order, completeness, and that it leaves the model and the random state as they were."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

from mmssl.evaluation.extract import extract_chosen, extract_features, extract_rows, extract_to_file
from tests.evaluation.support import Pixels, loader
from tests.support.distributed import run_distributed


class Repeating(SequentialSampler):
    """Yields backwards and repeats the first images, as a sampler does that makes shares equal."""

    def __iter__(self):
        yield from [2, 1, 0, *reversed(range(len(self.data_source)))]

    def __len__(self) -> int:
        return len(self.data_source) + 3


class Forgetful(SequentialSampler):
    """Leaves out image 3."""

    def __iter__(self):
        yield from (index for index in range(len(self.data_source)) if index != 3)

    def __len__(self) -> int:
        return len(self.data_source) - 1


def test_each_image_once_in_dataset_order_whatever_the_sampler_does() -> None:
    model = Pixels()
    plain = extract_features(model, loader(10))
    assert plain.indices.tolist() == list(range(10)) and plain.labels.tolist() == [0, 1] * 5
    torch.testing.assert_close(plain.vectors[:, 0] * (1 + 1e-5) ** 0.5, torch.arange(10.0))
    repeated = extract_features(model, loader(10, Repeating(range(10))))
    assert torch.equal(repeated.vectors, plain.vectors) and torch.equal(repeated.indices, plain.indices)


def test_images_without_features_are_left_out() -> None:
    features = extract_features(Pixels(), loader(6, Forgetful(range(6))))
    assert features.indices.tolist() == [0, 1, 2, 4, 5] and features.labels.tolist() == [0, 1, 0, 0, 1]


def test_modes_statistics_gradients_and_random_state_are_left_alone() -> None:
    model = Pixels().train()
    model.backbone[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    features = extract_features(model, loader(10))
    assert [module.training for module in model.modules()] == [True, True, True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not features.vectors.requires_grad


def test_chosen_images_in_the_order_asked_for() -> None:
    model = Pixels().train()
    state = torch.get_rng_state()
    chosen = extract_chosen(model, loader(10, Forgetful(range(10))), [7, 3, 8, 0, 9])
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert chosen.indices.tolist() == [7, 3, 8, 0, 9] and chosen.labels.tolist() == [1, 1, 0, 0, 1]
    torch.testing.assert_close(chosen.vectors, extract_features(model, loader(10)).vectors[[7, 3, 8, 0, 9]])


def test_mode_is_restored_after_an_error() -> None:
    model = Pixels().train()
    with pytest.raises(RuntimeError, match='on purpose'):
        extract_features(model, loader(4), feature=_raise)
    assert model.training and model.backbone.training


def _raise(images: torch.Tensor) -> torch.Tensor:
    raise RuntimeError('on purpose')


def test_feature_function_and_compute_type() -> None:
    seen = []

    def first_channel(images: torch.Tensor) -> torch.Tensor:
        seen.append((images.flatten(1)[:, :16] @ torch.eye(16)).dtype)
        return images.flatten(1)[:, :16]

    features = extract_features(Pixels(), loader(5), feature=first_channel, dtype='bfloat16')
    assert features.vectors.shape == (5, 16) and features.vectors.dtype == torch.float32
    assert set(seen) == {torch.bfloat16}
    extract_features(Pixels(), loader(5), feature=first_channel)
    assert seen[-1] == torch.float32


def _extract_share(size: int, even: bool) -> tuple[list, list] | None:
    dataset = range(size if even else size + 4 * dist.get_rank())
    features = extract_features(Pixels().float(), loader(size, DistributedSampler(dataset), batch_size=2))
    return None if features is None else (features.vectors[:, 0].tolist(), features.indices.tolist())


def test_processes_share_the_work_and_the_main_one_has_each_image_once() -> None:
    main, other = run_distributed(_extract_share, 2, 7, True)
    assert other is None
    assert main[1] == list(range(7)) and main[0] == pytest.approx(range(7), rel=1e-4)


def _extract_with_own_statistics(folder: Path) -> list[float]:
    model = Pixels().float()
    model.backbone[1].running_mean.fill_(dist.get_rank())  # as after training without synchronised norms
    shares = loader(6, DistributedSampler(range(6), shuffle=False), batch_size=1)
    features = extract_features(model, shares)
    model.backbone[1].running_mean.fill_(dist.get_rank())
    stored = extract_to_file(model, shares, folder / 'features.npy')
    model.backbone[1].running_mean.fill_(dist.get_rank())
    rows = extract_rows(model, shares, feature=model.extract_feat, allocate=lambda *shape: np.zeros(shape, np.float32))
    if features is None:
        return []
    return [*features.vectors[:, 0].tolist(), *stored.vectors[:, 0].tolist(), *rows.vectors[:, 0].tolist()]


def test_every_process_uses_the_running_statistics_of_the_main_one(tmp_path: Path) -> None:
    main, _ = run_distributed(_extract_with_own_statistics, 2, tmp_path)
    assert main == pytest.approx([*range(6)] * 3, rel=1e-4)


def test_uneven_shares_are_refused_instead_of_waiting_for_ever() -> None:
    with pytest.raises(RuntimeError, match='images per process must be equal'):
        run_distributed(_extract_share, 2, 7, False)


def test_a_dataloader_that_drops_its_only_batch_is_named(tmp_path: Path) -> None:
    images = loader(6)
    short = DataLoader(images.dataset, batch_size=7, drop_last=True, collate_fn=images.collate_fn)
    for extract in (extract_features, lambda *args: extract_to_file(*args, tmp_path / 'features.npy')):
        with pytest.raises(ValueError, match='6 images fill no batch: set drop_last=False'):
            extract(Pixels(), short)
