"""Gives the datasets of a run the same class numbers, by the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log

from mmssl.utils.errors import UserError


def share_classes(learned: Sequence[str] | None, dataset: Any, place: str, *, is_closed: bool = False) -> None:
    """Renumbers the classes of ``dataset`` like the classes that a model learns.

    Without it, a class folder that is missing in one of two splits would shift the numbers of all classes after it.
    Classes that only ``dataset`` has get the numbers after the learned ones.

    Args:
        learned: Names of the classes that a classifier or a bank learns, in the order of their labels; None if the
            names are not known, then nothing changes.
        dataset: Dataset to renumber, such as the test images; a dataset without class names does not change.
        place: Key of the dataset in the config, for messages.
        is_closed: True if a class that is not learned is an error, as for a classifier.

    Raises:
        UserError: The two have no class in common, or ``is_closed`` and ``dataset`` has further classes.
    """
    own = getattr(dataset, 'classes', None)
    if learned is None or own is None or tuple(own) == tuple(learned) or not hasattr(dataset, 'number_classes'):
        return
    further, missing = ([name for name in a if name not in b] for a, b in ((own, set(learned)), (learned, set(own))))
    if len(further) == len(own):
        raise UserError(
            f'{place} has the classes {_shown(own)}, and the training set has {_shown(learned)}: none is in both'
        )
    if further and is_closed:
        raise UserError(
            f'{place} has classes that the training set does not have, so no prediction is right for them: '
            f'{_shown(further)}'
        )
    said = [f'lacks {_shown(missing)}'] if missing else []
    said += [f'also has {_shown(further)}, which the training set lacks and no prediction finds'] if further else []
    if said:
        print_log(f'{place} {" and ".join(said)}; its classes get the numbers of the training set', logger='current')
    dataset.number_classes((*learned, *further))


def compare_classes(learned: Sequence[str] | None, tested: Sequence[str] | None) -> None:
    """Compares the classes of a detector or segmenter with those of its test data, whose labels are their numbers.

    Other names for the classes are only logged, because another dataset may name the same things differently.

    Args:
        learned: Names of the classes in training, in the order of their labels; None if they are not known.
        tested: Names of the classes of the test data; None if they are not known.

    Raises:
        UserError: The names are the same in another order.
    """
    if not learned or not tested or tuple(learned) == tuple(tested):
        return
    if sorted(learned) == sorted(tested):
        raise UserError(
            f'the test data has the classes {_shown(tested)}, and the model was trained with the order '
            f'{_shown(learned)}, so its labels mean other classes: set classes="{tuple(learned)}"'
        )
    print_log(
        f'the test data has the classes {_shown(tested)}, and the model was trained with {_shown(learned)}: they are '
        'compared by their numbers',
        logger='current',
        level=30,
    )


def _shown(names: Sequence[str]) -> str:
    return ', '.join(map(str, names[:5])) + (f', ... ({len(names)})' if len(names) > 5 else '')
