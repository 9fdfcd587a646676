"""Fits a tokenizer to the training images."""

from __future__ import annotations

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmssl.registry import HOOKS


@HOOKS.register_module()
class FitTokenizerHook(Hook):
    """Fits the tokenizer of the target to training images when a run starts, unless its words come from a checkpoint.

    Every process reads the same images, spread evenly over the dataset and augmented as in training. All processes then
    use the words of the first one.

    Args:
        num_images: Number of images; a smaller dataset gives all its images.
    """

    def __init__(self, num_images: int = 1024) -> None:
        self.num_images = num_images

    def before_train(self, runner: Runner) -> None:
        """Reads the images, fits the tokenizer and broadcasts its buffers."""
        if runner.iter > 0:
            return
        algorithm = runner.algorithm
        if getattr(algorithm.target.tokenizer, 'is_fitted', False):
            print_log(
                f'{algorithm.target.num_tokens} words from the checkpoint are kept, and none are fitted',
                logger='current',
            )
            return
        loader = runner.train_dataloader
        count = min(self.num_images, len(loader.dataset))
        rows = [number * len(loader.dataset) // count for number in range(count)]
        renderings = []
        for start in range(0, count, loader.batch_size):
            items = [loader.dataset[0, row] for row in rows[start : start + loader.batch_size]]
            batch = algorithm.data_preprocessor(loader.collate_fn(items), True)
            renderings.append(batch['inputs'][-1])
        algorithm.target.fit(torch.cat(renderings))
        for buffer in algorithm.target.tokenizer.buffers():
            broadcast(buffer)
        print_log(f'{algorithm.target.num_tokens} words fitted to {count} images', logger='current')
