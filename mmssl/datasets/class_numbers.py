"""One numbering of classes for the data sets of a run, by the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log

from mmssl.utils.errors import UserError


def share_classes(learned: Sequence[str] | None, dataset: Any, place: str, *, is_closed: bool = False) -> None:
    """Gives the labels of ``dataset`` the numbers that its classes have where a model learns from them.

    A class folder that is missing in one of two splits would otherwise shift all classes after it. Classes that only
    ``dataset`` has get numbers behind the others.

    Args:
        learned: Names of the classes that a classifier or a bank learns, in the order of their labels; None where
            they are not known.
        dataset: An image source, such as the images that are evaluated; one without names of classes stays as it is.
        place: Its key in the config, for messages.
        is_closed: Whether a class that is not learned is a mistake, as with a classifier.

    Raises:
        UserError: No class is in both, or, with ``is_closed``, ``dataset`` has further ones.
    """
    own = getattr(dataset, 'classes', None)
    if learned is None or own is None or tuple(own) == tuple(learned) or not hasattr(dataset, 'number_classes'):
        return
    further, missing = ([name for name in a if name not in b] for a, b in ((own, set(learned)), (learned, set(own))))
    if len(further) == len(own):
        raise UserError(
            f'{place} has the classes {_shown(own)}, and what is learned has {_shown(learned)}: none is in both'
        )
    if further and is_closed:
        raise UserError(
            f'{place} has classes that the training set does not have, so they are never right: {_shown(further)}'
        )
    said = [f'lacks {_shown(missing)}'] if missing else []
    said += [f'has {_shown(further)} beside the classes that are learned, which are never right'] if further else []
    if said:
        print_log(f'{place} {" and ".join(said)}; classes are numbered as they are learned', logger='current')
    dataset.number_classes((*learned, *further))


def _shown(names: Sequence[str]) -> str:
    return ', '.join(map(str, names[:5])) + (f', ... ({len(names)})' if len(names) > 5 else '')
