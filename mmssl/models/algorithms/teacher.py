"""Algorithms whose student follows a moving average of itself."""

from __future__ import annotations

from typing import Any, ClassVar

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.components.ema_teacher import EMATeacher


class TeacherAlgorithm(BaseAlgorithm):
    """An algorithm with a teacher: built here, copied from the student at the start, moved after every step.

    Args:
        teacher: Arguments of ``EMATeacher``; ``momentum`` is the weight of the OLD value at the first step.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    taught: ClassVar[tuple[str, ...]] = ('backbone', 'neck')
    """Slots that the teacher has a copy of, in the order in which it applies them."""

    def __init__(self, *, teacher: dict, **slots: Any) -> None:
        super().__init__(**slots)
        self.teacher = EMATeacher(**teacher, **self.student())

    def student(self) -> dict[str, Any]:
        """Returns the parts that the teacher follows, by name."""
        return {name: getattr(self, name) for name in self.taught}

    def on_train_start(self) -> None:
        """Copies the student into the teacher."""
        self.teacher.copy_from(**self.student())

    def on_step_end(self, progress: float) -> None:
        """Moves the teacher towards the student."""
        self.teacher.update(progress, **self.student())
