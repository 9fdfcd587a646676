"""The base class of algorithms whose teacher is a moving average of the student."""

from __future__ import annotations

from typing import Any, ClassVar

from mmengine.logging import print_log
from torch import nn

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.models.components.rising_temperature import RisingTemperature


class TeacherAlgorithm(BaseAlgorithm):
    """An algorithm with a teacher, which is copied from the student at the start and updated after every step.

    Args:
        teacher: Arguments of ``EMATeacher``; ``momentum`` is the weight of the OLD value at the first step.
        keep_loaded_teacher: Whether the teacher of a checkpoint is kept instead of copying the student.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    taught: ClassVar[tuple[str, ...]] = ('backbone', 'neck')
    """Slots of which the teacher has a copy, in the order in which it applies them."""

    def __init__(self, *, teacher: dict, keep_loaded_teacher: bool = False, **slots: Any) -> None:
        super().__init__(**slots)
        self.teacher = EMATeacher(**teacher, **self.student())
        self.keep_loaded_teacher, self._teacher_was_loaded = keep_loaded_teacher, False
        self.teacher.register_load_state_dict_post_hook(self._note_teacher)

    def student(self) -> dict[str, Any]:
        """Returns the parts of the student that the teacher averages, by name."""
        return {name: getattr(self, name) for name in self.taught}

    def on_train_start(self) -> None:
        """Starts the teacher, and the temperatures of its targets."""
        self.start_teacher()
        for part in self.modules():
            if isinstance(part, RisingTemperature):
                part.reset()

    def start_teacher(self) -> None:
        """Copies the student into the teacher, unless the teacher of a checkpoint is kept."""
        if self._teacher_was_loaded and self.keep_loaded_teacher:
            print_log('the teacher is that of the checkpoint', logger='current')
            return
        if self._teacher_was_loaded:
            print_log(
                'the teacher of the checkpoint is not used: it becomes a copy of the student; keep it with '
                'model.keep_loaded_teacher=True',
                logger='current',
            )
        self.teacher.copy_from(**self.student())

    def _note_teacher(self, teacher: nn.Module, keys: Any) -> None:  # public weights have none
        self._teacher_was_loaded = not any(name.startswith('teacher.') for name in keys.missing_keys)

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher."""
        self.teacher.update(progress, **self.student())
