"""Figures and tables of robustness, by their content."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmssl.visualization.accuracy_over_epsilon import accuracies_over_epsilon, accuracy_over_epsilon
from mmssl.visualization.adversarial_examples import AdversarialExamples, adversarial_figure
from mmssl.visualization.input_gradients import gradient_pictures, image_gradients
from mmssl.visualization.robustness_report import RobustnessReport
from mmssl.visualization.style import spread
from tests.evaluation.test_robustness import Brightness, Noise, loader


class Labelled(Noise):
    """``Noise`` whose labels can be asked for, as those of an ``ImageDataset``."""

    def label(self, index: int) -> int:
        return index % 2


class Linear(Brightness):
    """``Brightness`` with a parameter, as figures ask for the device of one."""

    def predict(self, images: Tensor) -> Tensor:
        return super().predict(images) + 0 * self.norm.weight.sum()


def test_a_gradient_as_a_picture() -> None:
    gradient = torch.zeros(1, 3, 10, 10)
    gradient[0, 0, 0, 0], gradient[0, 1, 0, 0] = 1.0, -1.0
    picture = gradient_pictures(gradient)
    assert picture[0, 0, 0, 0] == 1 and picture[0, 1, 0, 0] == 0 and (picture[0, 2] == 0.5).all()
    assert torch.equal(gradient_pictures(1e-7 * gradient), picture)  # each has its own scale


def test_gradients_are_those_of_pixels() -> None:
    images = torch.full((2, 3, 4, 4), 124, dtype=torch.uint8)
    gradients = image_gradients(Linear(), images, torch.tensor([0, 1]))
    expected = torch.full((3, 4, 4), 1 / 48)  # logits -s and s with s the mean brightness, both classes equally likely
    torch.testing.assert_close(gradients, torch.stack([expected, -expected]))


def test_examples_name_the_classes_and_frame_what_was_misled() -> None:
    images = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    attacked = images.float() + 8
    examples = {'net': AdversarialExamples(attacked, torch.tensor([0, 1]), torch.tensor([1, 1]))}
    figure = adversarial_figure(images, torch.tensor([0, 1]), examples, 8.0, ('cat', 'dog'))
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_xlabel() for axes in shown] == ['cat', '', 'dog', 'dog', '', 'dog']
    change, after = (axes.images[0].get_array() for axes in shown[1:3])
    assert (change == 1).all() and abs(after - 108 / 255).max() < 1e-6
    misled, found = (shown[index].spines['left'].get_edgecolor() for index in (2, 5))
    assert misled != found


def test_accuracy_falls_with_epsilon() -> None:
    accuracies = accuracies_over_epsilon(Brightness(), loader(), [0, 4, 8], num_steps=4)
    assert accuracies[0] > accuracies[1] > accuracies[2]
    axes = accuracy_over_epsilon([0, 4, 8], {'net': accuracies}, 4).axes[0]
    assert list(axes.lines[0].get_ydata()) == accuracies and axes.get_legend().texts[0].get_text() == 'net'


def test_a_report_compares_classifiers_and_passes_over_the_rest() -> None:
    report, images = RobustnessReport(num_images=3), DataLoader(Labelled(), batch_size=41)
    report.add('no classifier', torch.nn.Identity(), images)
    report.add('one', Linear(), images)
    assert report.sections() == []
    report.add('masked', Linear('saturated'), images)
    gradients, table = report.sections()
    assert len([axes for axes in gradients.figure.axes if axes.images]) == 3 * 3
    head, one, masked = table.table
    assert head[1:] == ['images', 'FGSM', 'PGD-10', 'robust'] and one[0] == 'one' and masked[-1] == 'gradient masked'
    assert float(one[-1]) <= float(one[3]) <= float(one[1])


class Unlabelled(Dataset):
    """One image without a label."""

    def __len__(self) -> int:
        return 1

    def label(self, index: int) -> int:
        return -1


def test_a_report_needs_labels() -> None:
    report = RobustnessReport()
    report.add('one', Linear(), DataLoader(Unlabelled()))
    assert not report.gradients


class Replaced(Labelled):
    """``Labelled`` with the next image, of the other class, in place of each."""

    def __getitem__(self, item: int | tuple[int, int]) -> dict:
        index = item[1] if isinstance(item, tuple) else item
        return super().__getitem__((index + 1) % len(self))


def test_gradients_are_those_of_the_class_of_the_image_that_is_shown() -> None:
    report = RobustnessReport(num_images=3)
    report.add('one', Linear(), DataLoader(Replaced(), batch_size=41))
    items = [Replaced()[row] for row in spread(41, 3).tolist()]
    labels = torch.tensor([item['data_samples']['label'] for item in items])
    expected = image_gradients(Linear(), report.images, labels)
    assert torch.equal(report.gradients['one'], expected)
