"""The report of a dry run, as numbers and as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mmssl.engine.hooks.pseudo_labels import describe_estimate


@dataclass
class Report:
    """The cost of a run and problems that keep it from starting; ``str(report)`` is the text that a tool prints.

    Args:
        parameters: Part of the algorithm -> number of its parameters, and of its trained parameters.
        memory: Use -> bytes on one device.
        seconds: Use -> seconds of an iteration at the full batch.
        batch_size: Images per process and step.
        measured_batch_size: Images in the measured iteration.
        processes: Number of processes.
        recipe_processes: Number of processes that the recipe's ``auto_scale_lr.base_batch_size`` is written for; the
            text leaves them out if the images do not fill their batch.
        num_images: Images of an epoch, None if unknown.
        max_epochs: Epochs of the run.
        device: Name of the device.
        labelling: Use -> bytes on the main process while it labels the training set.
        problems: Reasons why the run would not start.
        notes: Remarks on the measurement, and parts that were not checked.
    """

    parameters: dict[str, tuple[int, int]]
    memory: dict[str, float]
    seconds: dict[str, float]
    batch_size: int
    measured_batch_size: int
    processes: int
    recipe_processes: int
    num_images: int | None
    max_epochs: float
    device: str
    labelling: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def seconds_per_iteration(self) -> float:
        """Seconds of the slower one of loading and training, because workers load while the device computes."""
        return max(self.seconds.values())

    def seconds_per_epoch(self, processes: int) -> float:
        """Returns the seconds of an epoch if ``processes`` devices like this one share it perfectly."""
        assert self.num_images is not None
        return self.seconds_per_iteration * max(self.num_images // (self.batch_size * processes), 1)

    def __str__(self) -> str:
        total, trainable = (sum(column) for column in zip(*self.parameters.values()))
        lines = ['parameters        total    trainable']
        for name, numbers in [*self.parameters.items(), ('all', (total, trainable))]:
            lines.append(f'  {name:<12}' + ''.join(f'{number:>13,}' for number in numbers))
        lines.append(f'memory on one device ({self.device}), batch size {self.batch_size}')
        lines += [f'  {name:<16}{size / 2**30:>9.2f} GiB' for name, size in self.memory.items()]
        lines += describe_estimate(self.labelling) if self.labelling else []
        lines.append(f'time of an iteration of {self.batch_size} images per process')
        lines += [f'  {name:<16}{seconds:>9.3f} s' for name, seconds in self.seconds.items()]
        lines += [f'  {line}' for line in self._run_times()]
        lines += [f'note: {note}' for note in self.notes]
        lines += [f'PROBLEM: {problem}' for problem in self.problems]
        lines.append('the run would not start' if self.problems else 'ready to train')
        return '\n'.join(lines)

    def _run_times(self) -> Iterator[str]:
        if self.num_images is None:
            yield f'per 1000 images: {1000 * self.seconds_per_iteration / self.batch_size:.1f} s'
            return
        filled = self.num_images >= self.batch_size * self.recipe_processes
        for processes in sorted({self.processes, self.recipe_processes if filled else self.processes}):
            seconds = self.seconds_per_epoch(processes)
            yield (
                f'{_counted(processes, "process", "processes")}: {_duration(seconds)} per epoch of '
                f'{self.num_images:,} images, {_duration(seconds * self.max_epochs)} for '
                f'{_counted(self.max_epochs, "epoch", "epochs")}'
            )


def _counted(number: float, one: str, several: str) -> str:
    return f'{number:g} {one if number == 1 else several}'


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f'{seconds:.1f} s'
    minutes = seconds / 60
    return f'{minutes:.0f} min' if minutes < 120 else f'{minutes / 60:.1f} h'
