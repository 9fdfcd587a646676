"""Draw figures of robustness: ``python tools/visualization/vis_robustness.py FIGURE CHECKPOINT [CHECKPOINT ...]``.

FIGURE is ``gradients`` (of the networks with respect to images), ``examples`` (images, their change by an attack, and
the predictions for the changed images) or ``epsilon`` (accuracy over the size of the change). All networks get the
validation images of the first checkpoint's config.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmssl.cli.options import figure_file
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError

FIGURES = ('gradients', 'examples', 'epsilon')
EPSILONS = (0, 1, 2, 4, 6, 8, 12, 16)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw input gradients, adversarial examples, or accuracy over epsilon')
    parser.add_argument('figure', choices=FIGURES)
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT', help='training checkpoints of classifiers')
    parser.add_argument('--names', nargs='+', metavar='NAME', help='network names (default: names of the folders)')
    parser.add_argument('--config', help='config file for all checkpoints, instead of the configs in them')
    parser.add_argument('--num-images', type=int, help='number of images (default: 6, and 500 for epsilon)')
    parser.add_argument('--epsilon', type=float, default=8.0, help='radius for examples, pixels of 0-255 (default: 8)')
    parser.add_argument('--epsilons', nargs='+', type=float, default=EPSILONS, help='radii for the figure epsilon')
    parser.add_argument('--steps', type=int, default=20, help='steps of PGD (default: 20)')
    parser.add_argument('--out', type=figure_file, help='PNG to write (default: work_dirs/robustness_FIGURE.png)')
    return parser.parse_args(argv)


def draw(args: argparse.Namespace) -> tuple[object, int]:
    """Returns the figure and the number of its images."""
    import torch
    from mmengine.registry import init_default_scope
    from torch.utils.data import DataLoader, Subset

    from mmssl.checkpoints.content import trained_classes
    from mmssl.checkpoints.files import load_checkpoint_file
    from mmssl.config.load import evaluation_dataloader
    from mmssl.converters.trained import load_trained
    from mmssl.datasets.class_numbers import share_classes
    from mmssl.datasets.collate_views import collate_views
    from mmssl.models.components.pgd_attack import PGDAttack
    from mmssl.registry import DATASETS
    from mmssl.visualization.accuracy_over_epsilon import accuracies_over_epsilon, accuracy_over_epsilon
    from mmssl.visualization.adversarial_examples import adversarial_figure, attack_shown
    from mmssl.visualization.input_gradients import image_gradients, input_gradient_figure
    from mmssl.visualization.style import spread

    names = args.names or [Path(file).resolve().parent.name for file in args.checkpoints]
    if len(set(names)) != len(args.checkpoints):
        raise UserError(f'{len(args.checkpoints)} networks need as many different --names, got {names}')
    trained = [load_trained(file, args.config, whole=True) for file in args.checkpoints]
    init_default_scope(trained[0][0].default_scope)
    models = {name: model for name, (_, model) in zip(names, trained)}
    for name, model in models.items():
        if not hasattr(model, 'predict'):
            raise UserError(f'{name}: {type(model).__name__} is not a classifier, so it has no gradient of a class')
    loader = evaluation_dataloader(trained[0][0], 'val')
    dataset = DATASETS.build(loader.dataset)
    learned = {classes for file in args.checkpoints if (classes := trained_classes(load_checkpoint_file(file)))}
    if len(learned) > 1:
        raise UserError(f'the networks were trained on different classes: {", ".join(map(str, learned))}')
    share_classes(next(iter(learned), None), dataset, 'val_dataloader.dataset', is_closed=True)
    rows = spread(len(dataset), args.num_images or (500 if args.figure == 'epsilon' else 6)).tolist()
    if args.figure == 'epsilon':
        batches: DataLoader = DataLoader(Subset(dataset, rows), loader.batch_size, collate_fn=collate_views)
        found = {n: accuracies_over_epsilon(m, batches, args.epsilons, args.steps) for n, m in models.items()}
        return accuracy_over_epsilon(args.epsilons, found, args.steps), len(rows)
    items = [dataset[row] for row in rows]
    images = torch.stack([item['inputs'] for item in items])
    labels = torch.tensor([item['data_samples']['label'] for item in items])  # an unreadable image is replaced
    if labels.min() < 0:
        raise UserError('an image has no label: the figure needs a validation set with labels')
    if args.figure == 'gradients':
        return input_gradient_figure(images, {n: image_gradients(m, images, labels) for n, m in models.items()}), len(
            rows
        )
    attack = PGDAttack(args.epsilon, 2.5 * args.epsilon / args.steps, args.steps)
    examples = {name: attack_shown(model, attack, images, labels) for name, model in models.items()}
    return adversarial_figure(images, labels, examples, args.epsilon, dataset.classes), len(rows)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    counts = {'steps': args.steps, 'num-images': 1 if args.num_images is None else args.num_images}
    if min(counts.values()) < 1:
        raise UserError(f'{", ".join(f"--{name} {count}" for name, count in counts.items())}: each must be at least 1')
    # after the arguments, because importing torch is slow
    from mmssl.visualization.style import save_figure

    figure, count = draw(args)
    out = args.out or f'work_dirs/robustness_{args.figure}.png'
    save_figure(figure, out)
    print(f'{count} images: {out}')


if __name__ == '__main__':
    main()
