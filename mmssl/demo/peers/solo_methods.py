"""Methods of solo-learn: their own training step and hooks, with the online classifier that all of them train."""

from __future__ import annotations

import logging
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from omegaconf import OmegaConf
from solo import methods
from solo.backbones.vit.vit_mae import MaskedAutoencoderViT
from solo.losses.mocov2plus import mocov2plus_loss_func
from solo.utils.momentum import initialize_momentum_params
from torch import Tensor, nn

from mmssl.demo.peers.peer_algorithm import (
    PeerAlgorithm,
    Settings,
    copy_linear_layers,
    load_decoder,
    share_transformer,
)
from mmssl.models.algorithms.base import BaseAlgorithm

_BACKBONE = 'vit_of_recipe'  # the MAE of solo-learn wants "vit" in the name, and "resnet" would get another stem


class SoloMethod(PeerAlgorithm):
    """A method of solo-learn; the learning rate, the clipping and the schedule are those of the recipe's optimizer.

    Args:
        recipe: Algorithm built from the recipe.
        settings: Settings of the run.
    """

    method_class: ClassVar[type]
    logged: ClassVar[str]
    """Name under which the method logs its loss without that of the classifier."""

    projector: ClassVar[str] = 'projector'
    num_views: ClassVar[int] = 2

    def __init__(self, recipe: BaseAlgorithm, settings: Settings) -> None:
        super().__init__(recipe, settings)
        logging.getLogger().setLevel('ERROR')  # solo-learn warns of its own defaults
        backbones = self.backbones(recipe)
        methods.base.BaseMethod._BACKBONES[_BACKBONE] = lambda method, **kwargs: backbones.pop(0)
        self.method: Any = self.method_class(OmegaConf.create(self.options()))
        self.scalars: dict[str, Tensor] = {}
        self.method.log = lambda name, value, **kwargs: self.scalars.update({name: value})
        self.method.log_dict = lambda values, **kwargs: self.scalars.update(values)
        self.method._trainer = SimpleNamespace(
            global_step=0, current_epoch=0, estimated_stepping_batches=settings.steps
        )
        self.start_from(recipe)

    def backbones(self, recipe: BaseAlgorithm) -> list[nn.Module]:
        """Returns the backbones of student and teacher."""
        return [self.encoder, deepcopy(self.encoder)]

    def options(self) -> dict[str, Any]:
        """Returns the config of solo-learn."""
        options = dict(
            method=self.method_class.__name__,
            backbone=dict(name=_BACKBONE),
            data=dict(
                dataset='custom',
                num_classes=self.settings.classes,
                num_large_crops=self.num_views,
                num_small_crops=0,
            ),
            max_epochs=self.settings.epochs,
            optimizer=dict(name='sgd', batch_size=1, lr=0.0, classifier_lr=0.0, weight_decay=0.0),
            scheduler=dict(name='none'),
            method_kwargs=self.numbers(self.settings.model),
        )
        if teacher := self.settings.model.get('teacher'):
            end = teacher.momentum if teacher.schedule == 'constant' else 1.0
            options['momentum'] = dict(base_tau=teacher.momentum, final_tau=end)
        return options

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method from the config of the recipe's model."""
        neck = model.neck
        return dict(proj_hidden_dim=neck.hidden_channels, proj_output_dim=neck.out_channels)

    def start_from(self, recipe: BaseAlgorithm) -> None:
        """Copies the linear weights of the recipe's neck, or takes the neck itself if ``matched``."""
        self._start(self.projector, recipe.neck)

    def _start(self, name: str, part: nn.Module) -> None:
        """Starts a head, and that of the teacher if there is one, from a part of the recipe."""
        heads = [head for head in (name, f'momentum_{name}') if hasattr(self.method, head)]
        if self.settings.matched:
            for head in heads:
                setattr(self.method, head, deepcopy(part))
        else:
            copy_linear_layers(part, getattr(self.method, name))
        if len(heads) == 2:
            initialize_momentum_params(*(getattr(self.method, head) for head in heads))

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of the method and that of the classifier, which does not reach the backbone."""
        assert data_samples is not None
        total = self.method.training_step([data_samples['index'], list(views), data_samples['label']], 0)
        loss = self.scalars[self.logged]
        return self.terms(loss, loss_classifier=total - loss)

    def on_train_start(self) -> None:
        """Runs the hook of solo-learn."""
        self.method.on_train_start()

    def on_step_end(self, progress: float) -> None:
        """Runs the hooks of solo-learn, which update a teacher."""
        trainer = self.method._trainer
        trainer.global_step += 1
        trainer.current_epoch = min(int(progress * self.settings.epochs + 1e-9), self.settings.epochs - 1)
        if self.settings.matched and hasattr(self.method, 'momentum_updater'):
            self.method.momentum_updater.update_tau(trainer.global_step, trainer.estimated_stepping_batches)
        self.method.on_train_batch_end(None, None, 0)


class SoloSimCLR(SoloMethod):
    """SimCLR: no batch norm in the projector of solo-learn."""

    method_class, logged = methods.SimCLR, 'train_nce_loss'

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method."""
        return dict(super().numbers(model), temperature=model.head.temperature)


class SoloBYOL(SoloMethod):
    """BYOL."""

    method_class, logged = methods.BYOL, 'train_neg_cos_sim'

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method."""
        return dict(super().numbers(model), pred_hidden_dim=model.head.predictor.hidden_channels)

    def start_from(self, recipe: BaseAlgorithm) -> None:
        """Starts projector and predictor from those of the recipe."""
        super().start_from(recipe)
        self._start('predictor', recipe.head.predictor)


class SoloBarlowTwins(SoloMethod):
    """Barlow Twins: solo-learn multiplies the loss with 0.024."""

    method_class, logged = methods.BarlowTwins, 'train_barlow_loss'

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method; without ``scale_loss`` its default."""
        numbers = dict(super().numbers(model), lamb=model.head.redundancy_weight)
        return dict(numbers, scale_loss=1.0) if self.settings.matched else numbers

    def start_from(self, recipe: BaseAlgorithm) -> None:
        """Starts the projector; the loss standardises, so the recipe's last norm is left out if ``matched``."""
        super().start_from(recipe)
        if self.settings.matched:
            self.method.projector.layers[-1] = nn.Identity()
        self.unit = 1 / self.method.scale_loss, 0.0


class SoloMoCo(SoloMethod):
    """MoCo v2+: both views are queries and keys, with a queue for each."""

    method_class, logged = methods.MoCoV2Plus, 'train_nce_loss'

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method."""
        return dict(super().numbers(model), temperature=model.head.temperature, queue_size=model.queue.length)

    def start_from(self, recipe: BaseAlgorithm) -> None:
        """Starts the projector, and the queues if ``matched``."""
        super().start_from(recipe)
        if self.settings.matched:
            self.method.queue.copy_(recipe.queue.features.T)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss; if ``matched``, of queries from the first view and keys from the second only."""
        if not self.settings.matched:
            return super().loss(views, data_samples)
        query_view, key_view = views
        queries, keys = self.method(query_view)['z'], self.method.momentum_forward(key_view)['z']
        loss = mocov2plus_loss_func(queries, keys, self.method.queue[1].clone(), self.method.temperature)
        self.method._dequeue_and_enqueue(torch.stack((keys, keys)))
        return self.terms(loss)


class SoloVICReg(SoloMethod):
    """VICReg: solo-learn sums the variance term over the views, as the paper does, and does not average it."""

    method_class, logged = methods.VICReg, 'train_vicreg_loss'

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method; half the weight of the variance if ``matched``."""
        head = model.head
        return dict(
            super().numbers(model),
            sim_loss_weight=head.invariance,
            var_loss_weight=head.variance / 2 if self.settings.matched else head.variance,
            cov_loss_weight=head.covariance,
        )


class SoloDINO(SoloMethod):
    """DINO."""

    method_class, logged, projector = methods.DINO, 'dino_loss', 'head'

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method."""
        neck, temperature = model.neck, model.targets.temperature
        return dict(
            proj_hidden_dim=neck.hidden_channels,
            proj_output_dim=neck.bottleneck_channels,
            num_prototypes=neck.out_channels,
            freeze_last_layer=0,
            student_temperature=model.head.temperature,
            teacher_temperature=temperature,
            warmup_teacher_temperature=temperature,
        )


class SoloMAE(SoloMethod):
    """MAE: the norms of solo-learn's decoder add 1e-5 to the variance, those of the official code 1e-6."""

    method_class, logged, num_views = methods.MAE, 'train_reconstruction_loss', 1

    def backbones(self, recipe: BaseAlgorithm) -> list[nn.Module]:
        """Returns solo-learn's masked transformer with the layers of the recipe's backbone."""
        arch = self.settings.model.backbone
        vit = MaskedAutoencoderViT(arch.img_size, arch.patch_size, **arch.arch)
        share_transformer(recipe.backbone, vit)
        return [vit]

    def options(self) -> dict[str, Any]:
        """Returns the config of solo-learn."""
        options = super().options()
        options['backbone']['kwargs'] = dict(patch_size=self.settings.model.backbone.patch_size)
        return options

    def numbers(self, model: Any) -> dict[str, Any]:
        """Returns the numbers of the method."""
        return dict(
            mask_ratio=model.masker.ratio,
            decoder_embed_dim=model.neck.embed_dim,
            decoder_depth=model.neck.depth,
            decoder_num_heads=model.neck.num_heads,
            norm_pix_loss=model.target.standardize,
        )

    def start_from(self, recipe: BaseAlgorithm) -> None:
        """Starts the decoder from that of the recipe."""
        load_decoder(recipe.neck, self.method.decoder)
        for module in self.method.decoder.modules() if self.settings.matched else ():
            if isinstance(module, nn.LayerNorm):
                module.eps = recipe.neck.norm.eps


METHODS: dict[str, type[PeerAlgorithm]] = dict(
    simclr=SoloSimCLR,
    byol=SoloBYOL,
    barlowtwins=SoloBarlowTwins,
    mocov2=SoloMoCo,
    vicreg=SoloVICReg,
    dino=SoloDINO,
    mae=SoloMAE,
)
