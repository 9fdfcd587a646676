"""The warning that a detector finds no boxes."""

from __future__ import annotations

from types import SimpleNamespace

from mmssl.distributed.collectives import rank
from mmssl.engine.hooks.no_detections import NoDetectionsHook
from mmssl.engine.hooks.pictures import PicturesHook
from tests.support.distributed import run_distributed


def _lines(boxes: tuple[int, int]) -> list[str]:
    """What one of two processes says, whose image has so many boxes, and how many pictures it says were drawn."""
    lines: list[str] = []
    log = SimpleNamespace(warning=lines.append, info=lines.append)
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=[0, 0]))
    runner = SimpleNamespace(logger=log, test_loop=loop, algorithm=None)
    hook = NoDetectionsHook()
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, outputs=[_Sample(boxes[rank()])])
    hook.after_val_epoch(runner)
    pictures = PicturesHook('out')
    pictures.number = 1
    pictures.after_test_epoch(runner)
    return [line for line in lines if rank() == 0]


class _Sample:
    def __init__(self, boxes: int) -> None:
        self.pred_instances = range(boxes)

    def __contains__(self, key: str) -> bool:
        return key == 'pred_instances'


def test_the_boxes_and_pictures_of_all_processes_count() -> None:
    assert run_distributed(_lines, 2, (0, 3))[0] == ['drew 2 of 2 images in out']
    (warning, _), _ = run_distributed(_lines, 2, (0, 0))
    assert warning.startswith('no box in any of 2 images')
