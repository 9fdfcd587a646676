"""Draw the clusters of a training: ``python tools/visualization/vis_clusters.py CHECKPOINT``.

It draws images of some clusters, one row each, from the largest to the smallest, and a histogram of the cluster sizes
(``NAME_sizes.png``). Labels come from the checkpoint, images from its training set.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmssl.cli.options import add_config_options, figure_file
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw images of the clusters that a training learns')
    parser.add_argument('checkpoint', help='training checkpoint, such as epoch_N.pth')
    add_config_options(parser, in_checkpoint=True)
    parser.add_argument('--head', type=int, default=0, help='index of the labelling, if there are several (default: 0)')
    parser.add_argument('--num-clusters', type=int, default=12, help='number of clusters, one row each (default: 12)')
    parser.add_argument('--num-images', type=int, default=10, help='number of images per cluster (default: 10)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the choice of images (default: 0)')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/clusters.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.clustering.scores import cluster_sizes
    from mmssl.engine.hooks.pseudo_labels import read_labelled
    from mmssl.registry import DATASETS, MODELS
    from mmssl.visualization.clusters import choose_clusters, cluster_montage, size_histogram
    from mmssl.visualization.style import save_figure

    counts = {'num-clusters': args.num_clusters, 'num-images': args.num_images}
    if min(counts.values()) < 1:
        raise UserError(f'{", ".join(f"--{name} {count}" for name, count in counts.items())}: each must be at least 1')
    cfg, labels, transform = read_labelled(args.checkpoint, args.config, args.cfg_options)
    if not 0 <= args.head < len(labels):
        raise UserError(f'--head {args.head}: the checkpoint has {len(labels)} labellings, 0 to {len(labels) - 1}')
    dataset = DATASETS.build(cfg.train_dataloader.dataset).with_transform(transform)
    if len(dataset) != labels.shape[1]:
        raise UserError(f'{args.checkpoint} has labels of {labels.shape[1]} images, the training set {len(dataset)}')
    labels = labels[args.head]
    clusters = choose_clusters(labels, args.num_clusters)
    picture = MODELS.build(cfg.model.data_preprocessor).picture
    save_figure(cluster_montage(dataset, labels, clusters, args.num_images, args.seed, picture), args.out)
    sizes = Path(args.out).with_stem(f'{Path(args.out).stem}_sizes')
    num_clusters = cfg.model.head.num_clusters  # the last ones may be empty
    save_figure(size_histogram(cluster_sizes(labels, num_clusters)), sizes)
    print(f'{len(clusters)} clusters of {num_clusters}: {args.out} and {sizes}')


if __name__ == '__main__':
    main()
