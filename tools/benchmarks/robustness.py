"""Measure accuracy under attack: ``tools/benchmarks/robustness.py CHECKPOINT --attacks fgsm pgd10 pgd100 margin100``.

The images are the config's validation images. The robust accuracy, the share of images on which no attack succeeds, is
reported only if the attacks are credible: their loss must rise with the number of steps.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from mmssl.cli.options import add_config_options, output_file, write_json
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError

NAME = re.compile(r'(pgd|margin)([1-9]\d*)')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Accuracy of a classifier on images and under attacks')
    parser.add_argument('checkpoint', help='training checkpoint of a classifier')
    add_config_options(parser, in_checkpoint=True)
    parser.add_argument(
        '--attacks',
        nargs='+',
        default=['fgsm', 'pgd5', 'pgd10', 'pgd20', 'pgd100'],
        metavar='NAME',
        help='fgsm, pgdK and marginK with K steps, autoattack (default: %(default)s)',
    )
    parser.add_argument('--epsilon', type=float, default=8.0, help='radius in pixel values of 0-255 (default: 8)')
    parser.add_argument('--step-size', type=float, default=2.0, help='steps of pgd, margin; same unit (default: 2)')
    parser.add_argument('--norm', choices=['linf', 'l2'], default='linf', help='(default: linf)')
    parser.add_argument('--restarts', type=int, default=1, help='random restarts of pgd and margin (default: 1)')
    parser.add_argument('--seed', type=int, default=0, help='seed of random starts (default: 0)')
    parser.add_argument('--num-images', type=int, help='number of images, evenly spaced in the dataset (default: all)')
    parser.add_argument('--out', type=output_file, help='JSON file to write the results to')
    return parser.parse_args(argv)


def attack_config(name: str, args: argparse.Namespace) -> dict:
    """Returns the config of the attack with the name ``name`` on the command line."""
    ball = dict(epsilon=args.epsilon, norm=args.norm)
    if name == 'fgsm':
        return dict(type='FGSMAttack', **ball)
    if name == 'autoattack':
        return dict(type='AutoAttack', seed=args.seed, **ball)
    match = NAME.fullmatch(name)
    if match is None:
        raise UserError(f'attacks are fgsm, pgdK and marginK with K steps, and autoattack, got {name!r}')
    options = dict(step_size=args.step_size, num_steps=int(match[2]), num_restarts=args.restarts, seed=args.seed)
    objective = dict(pgd='cross_entropy', margin='margin')[match[1]]
    return dict(type='PGDAttack', objective=objective, **ball, **options)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    if args.num_images is not None and args.num_images < 1:
        raise UserError(f'--num-images must be at least 1, got {args.num_images}')
    # after the arguments, because importing torch is slow
    from mmengine.registry import init_default_scope
    from torch.utils.data import Subset

    from mmssl.checkpoints.content import trained_classes
    from mmssl.checkpoints.files import load_checkpoint_file
    from mmssl.config.load import evaluation_dataloader
    from mmssl.converters.trained import load_trained
    from mmssl.datasets.class_numbers import share_classes
    from mmssl.engine.runner import PretrainRunner
    from mmssl.evaluation.robustness import RobustnessEvaluator
    from mmssl.visualization.style import spread

    cfg, model = load_trained(args.checkpoint, args.config, args.cfg_options, whole=True)
    init_default_scope(cfg.default_scope)
    if not hasattr(model, 'predict'):
        raise UserError(
            f'{type(model).__name__} is not a classifier: give the checkpoint of one, such as ImageClassifier'
        )
    evaluator = RobustnessEvaluator({name: attack_config(name, args) for name in args.attacks})
    loader = PretrainRunner.build_dataloader(evaluation_dataloader(cfg, 'val'), seed=0)
    learned = trained_classes(load_checkpoint_file(args.checkpoint))
    share_classes(learned, loader.dataset, 'val_dataloader.dataset', is_closed=True)
    if args.num_images is not None:
        rows = spread(len(loader.dataset), args.num_images).tolist()
        kept = dict(batch_size=loader.batch_size, collate_fn=loader.collate_fn)
        loader = type(loader)(Subset(loader.dataset, rows), **kept)
    results = evaluator.run(model, loader, 'attacks')
    for name, value in results.items():
        print(f'{name}: {value:.2f}')
    content = dict(checkpoint=args.checkpoint, epsilon=args.epsilon, norm=args.norm, num_images=len(loader.dataset))
    write_json(dict(content, **results), args.out)
    return results


if __name__ == '__main__':
    main()
