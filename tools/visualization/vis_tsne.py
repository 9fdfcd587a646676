"""Lay out embeddings in the plane by t-SNE: ``python tools/visualization/vis_tsne.py CHECKPOINT``.

The images are those on which the first checkpoint was evaluated; points are coloured by label if there are labels.
``--compare`` draws additional checkpoints beside the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_trained_options, figure_file, trained_options, whole_number
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Lay out embeddings in the plane by t-SNE')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file with --config')
    add_trained_options(parser)
    parser.add_argument('--data', choices=['val', 'test', 'bank'], default='val', help='images to use (default: val)')
    parser.add_argument('--num-images', type=int, default=1500, help='number of images, evenly spaced (default: 1500)')
    parser.add_argument('--num-classes', type=int, default=20, help='number of classes, evenly spaced (default: 20)')
    parser.add_argument('--seed', type=whole_number, default=0, help='seed of the layout')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/tsne.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if min(args.num_images, args.num_classes) < 1:
        raise UserError(f'--num-images {args.num_images} and --num-classes {args.num_classes}: each must be at least 1')
    # after the arguments, because importing torch is slow
    import torch
    from mmengine.registry import init_default_scope

    from mmssl.config.load import evaluation_dataloader
    from mmssl.converters.trained import load_trained
    from mmssl.engine.runner import PretrainRunner
    from mmssl.evaluation.extract import extract_chosen
    from mmssl.visualization.embedding_map import choose_images, map_of_features
    from mmssl.visualization.style import save_figure

    features = {}
    for name, options in trained_options(args).items():
        cfg, model = load_trained(**options)
        init_default_scope(cfg.default_scope)
        if not features:
            loader = PretrainRunner.build_dataloader(evaluation_dataloader(cfg, args.data), seed=0)
            dataset = loader.dataset
            labels = torch.tensor([dataset.label(index) for index in range(len(dataset))])
            rows = choose_images(labels, args.num_images, args.num_classes)
            if len(rows) < 4:
                raise UserError(f't-SNE needs at least 4 images, got {len(rows)} of {len(dataset)}')
        features[name] = extract_chosen(model, loader, rows.tolist(), description=name)
    save_figure(map_of_features(features, dataset.classes, args.seed), args.out)
    print(f'{len(rows)} of {len(dataset)} images, {len(features)} checkpoints: {args.out}')


if __name__ == '__main__':
    main()
