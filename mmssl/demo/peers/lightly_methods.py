"""Methods built from the modules of lightly, as its examples in plain PyTorch build them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from lightly import loss as losses
from lightly.models import modules, utils
from lightly.models.modules import heads
from lightly.utils.scheduler import cosine_schedule
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mmssl.demo.peers.peer_algorithm import (
    PeerAlgorithm,
    Settings,
    copy_linear_layers,
    load_decoder,
    share_transformer,
)
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.components.ema_teacher import cosine_momentum


class LightlyMethod(PeerAlgorithm):
    """A method of lightly: a head behind the backbone, and a loss.

    Args:
        recipe: Algorithm built from the recipe.
        settings: Settings of the run.
    """

    def __init__(self, recipe: BaseAlgorithm, settings: Settings) -> None:
        super().__init__(recipe, settings)
        self.neck = self.start_from(recipe.neck, self.make_head(settings.model.neck))
        self.head = self.make_loss(settings.model.head)

    def make_head(self, neck: Any) -> nn.Module:
        """Builds the head with the sizes of the recipe's ``neck``."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define make_head()')

    def make_loss(self, head: Any) -> nn.Module:
        """Builds the loss with the numbers of the recipe's ``head``."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define make_loss()')

    def start_from(self, part: nn.Module, head: nn.Module) -> nn.Module:
        """Returns lightly's head with the linear weights of the recipe's part; the part itself if ``matched``."""
        if self.settings.matched:
            return part
        copy_linear_layers(part, head)
        return head

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss for two views (N, 3, H, W), encoded one after the other."""
        first, second = (self.neck(self.encoder(view)) for view in views)
        return self.terms(self.head(first, second))


class LightlySimCLR(LightlyMethod):
    """SimCLR: in lightly's head a batch norm follows the last layer too."""

    def make_head(self, neck: Any) -> nn.Module:
        """Builds the head."""
        return heads.SimCLRProjectionHead(neck.in_channels, neck.hidden_channels, neck.out_channels)

    def make_loss(self, head: Any) -> nn.Module:
        """Builds NT-Xent."""
        return losses.NTXentLoss(temperature=head.temperature)


class LightlyBarlowTwins(LightlyMethod):
    """Barlow Twins: the loss standardises the embeddings."""

    def make_head(self, neck: Any) -> nn.Module:
        """Builds the head."""
        return heads.BarlowTwinsProjectionHead(neck.in_channels, neck.hidden_channels, neck.out_channels)

    def make_loss(self, head: Any) -> nn.Module:
        """Builds the loss with the recipe's weight of redundancy."""
        return losses.BarlowTwinsLoss(lambda_param=head.redundancy_weight)

    def start_from(self, part: nn.Module, head: nn.Module) -> nn.Module:
        """Leaves out the last norm of the recipe's part, because the loss standardises."""
        if self.settings.matched:
            layers: Any = part.get_submodule('layers')
            layers[-1] = nn.Identity()
        return super().start_from(part, head)


class LightlyVICReg(LightlyMethod):
    """VICReg."""

    def make_head(self, neck: Any) -> nn.Module:
        """Builds the head."""
        return heads.VICRegProjectionHead(neck.in_channels, neck.hidden_channels, neck.out_channels)

    def make_loss(self, head: Any) -> nn.Module:
        """Builds the loss with the recipe's weights."""
        return losses.VICRegLoss(head.invariance, head.variance, head.covariance)


class TaughtMethod(LightlyMethod):
    """A method with a teacher, which lightly's examples update before each step, with one momentum per epoch."""

    def __init__(self, recipe: BaseAlgorithm, settings: Settings) -> None:
        super().__init__(recipe, settings)
        neck = deepcopy(self.neck) if settings.matched else self.make_head(settings.model.neck)
        neck.load_state_dict(self.neck.state_dict())
        self.teacher = nn.ModuleList([deepcopy(self.encoder), neck])
        utils.deactivate_requires_grad(self.teacher)

    def teach(self, images: Tensor) -> Tensor:
        """Returns the teacher's embedding of images (N, 3, H, W)."""
        encoder, neck = self.teacher
        return neck(encoder(images))

    def momentum(self, progress: float) -> float:
        """Returns the weight of the old value for the update between the step at ``progress`` and the next."""
        teacher, epochs = self.settings.model.teacher, self.settings.epochs
        if teacher.schedule == 'constant':
            return teacher.momentum
        if self.settings.matched:
            return cosine_momentum(progress, teacher.momentum)
        epoch = min(int(progress * epochs + 1e-9), epochs - 1)
        return cosine_schedule(epoch, epochs, teacher.momentum, 1)

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher."""
        for student, teacher in zip((self.encoder, self.neck), self.teacher):
            utils.update_momentum(student, teacher, m=self.momentum(progress))


class LightlyBYOL(TaughtMethod):
    """BYOL: half the sum of two negative cosines, whose gradient is a quarter of that of the paper's distances."""

    def __init__(self, recipe: BaseAlgorithm, settings: Settings) -> None:
        super().__init__(recipe, settings)
        sizes = settings.model.head.predictor
        predictor = heads.BYOLPredictionHead(sizes.in_channels, sizes.hidden_channels, sizes.out_channels)
        self.predictor = self.start_from(recipe.head.predictor, predictor)
        self.weight = 2.0 if settings.matched else 0.5
        self.unit = 2 / self.weight, 4.0

    def make_head(self, neck: Any) -> nn.Module:
        """Builds the head."""
        return heads.BYOLProjectionHead(neck.in_channels, neck.hidden_channels, neck.out_channels)

    def make_loss(self, head: Any) -> nn.Module:
        """Builds the negative cosine similarity."""
        return losses.NegativeCosineSimilarity()

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss for two views (N, 3, H, W)."""
        predicted = [self.predictor(self.neck(self.encoder(view))) for view in views]
        first, second = (self.teach(view) for view in views)
        return self.terms(self.weight * (self.head(predicted[0], second) + self.head(predicted[1], first)))


class LightlyMoCo(TaughtMethod):
    """MoCo v2: the loss owns the queue."""

    def __init__(self, recipe: BaseAlgorithm, settings: Settings) -> None:
        super().__init__(recipe, settings)
        if settings.matched:
            self.head.memory_bank.bank.copy_(recipe.queue.features)

    def make_head(self, neck: Any) -> nn.Module:
        """Builds the head."""
        return heads.MoCoProjectionHead(neck.in_channels, neck.hidden_channels, neck.out_channels)

    def make_loss(self, head: Any) -> nn.Module:
        """Builds NT-Xent with a queue."""
        queue = self.settings.model.queue
        loss = losses.NTXentLoss(head.temperature, memory_bank_size=(queue.length, queue.dim))
        return loss.to(torch.get_default_dtype())  # the queue is in float32 whatever the default is

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss for two views (N, 3, H, W): queries from the first, keys from the second."""
        query_view, key_view = views
        return self.terms(self.head(self.neck(self.encoder(query_view)), self.teach(key_view)))


class LightlyDINO(TaughtMethod):
    """DINO, views encoded one after the other."""

    def make_head(self, neck: Any) -> nn.Module:
        """Builds the head."""
        sizes = neck.in_channels, neck.hidden_channels, neck.bottleneck_channels, neck.out_channels
        return heads.DINOProjectionHead(*sizes)

    def make_loss(self, head: Any) -> nn.Module:
        """Builds the loss, which owns the center."""
        temperature = self.settings.model.targets.temperature
        return losses.DINOLoss(
            self.settings.model.neck.out_channels,
            warmup_teacher_temp=temperature,
            teacher_temp=temperature,
            student_temp=head.temperature,
        )

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss for two global views (N, 3, H, W)."""
        teacher = [self.teach(view) for view in views]
        return self.terms(self.head(teacher, [self.neck(self.encoder(view)) for view in views]))


class LightlyMAE(PeerAlgorithm):
    """MAE: lightly draws the noise for a mask for all tokens, the class token included.

    Args:
        recipe: Algorithm built from the recipe.
        settings: Settings of the run.
    """

    def __init__(self, recipe: BaseAlgorithm, settings: Settings) -> None:
        super().__init__(recipe, settings)
        arch, neck, masker = (settings.model[name] for name in ('backbone', 'neck', 'masker'))
        self.masker: Any = recipe.masker
        self.patch_size, self.ratio = masker.patch_size, masker.ratio
        vit = VisionTransformer(arch.img_size, arch.patch_size, num_classes=0, **arch.arch)
        self.encoder: Any = modules.MaskedVisionTransformerTIMM(vit=vit)
        share_transformer(recipe.backbone, vit)
        self.encoder.mask_token.requires_grad = False  # for methods that put it where patches are hidden
        self.decoder: Any = modules.MAEDecoderTIMM(
            num_patches=neck.grid_size**2,
            patch_size=arch.patch_size,
            embed_dim=arch.arch.embed_dim,
            decoder_embed_dim=neck.embed_dim,
            decoder_depth=neck.depth,
            decoder_num_heads=neck.num_heads,
        )
        load_decoder(recipe.neck, self.decoder)

    def draw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the positions of the visible and of the hidden tokens, (N, K) and (N, L - K)."""
        length = self.encoder.sequence_length
        if not self.settings.matched:
            return utils.random_token_mask((len(images), length), mask_ratio=self.ratio, device=images.device)
        order = self.masker(images).sort(dim=1, stable=True)[1] + 1  # visible first
        visible = length - 1 - self.masker.num_hidden(length - 1)
        return nn.functional.pad(order[:, :visible], (1, 0)), order[:, visible:]

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss for one view (N, 3, H, W)."""
        (images,) = views
        kept, hidden = self.draw(images)
        encoded = self.decoder.embed(self.encoder.encode(images=images, idx_keep=kept))
        tokens = utils.repeat_token(self.decoder.mask_token, (len(images), self.encoder.sequence_length))
        tokens = utils.set_at_index(tokens, kept, encoded.type_as(tokens))
        predicted = self.decoder.predict(utils.get_at_index(self.decoder.decode(tokens), hidden))
        target = utils.get_at_index(utils.patchify(images, self.patch_size), hidden - 1)
        return self.terms(mse_loss(predicted, target))


METHODS: dict[str, type[PeerAlgorithm]] = dict(
    simclr=LightlySimCLR,
    byol=LightlyBYOL,
    barlowtwins=LightlyBarlowTwins,
    mocov2=LightlyMoCo,
    vicreg=LightlyVICReg,
    dino=LightlyDINO,
    mae=LightlyMAE,
)
