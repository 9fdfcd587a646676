"""How each recorded training is run: its recipe, its sizes, what was drawn, and which differences are set back."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

import torch
from torch import nn
from torch.nn.functional import layer_norm, normalize

from mmssl.engine.runner import PretrainRunner
from mmssl.models.maskers.simmim_masker import unit_mask
from mmssl.models.maskers.uniform_masker import uniform_mask
from tests.parity.golden import Golden
from tests.parity.trajectory import Case, FirstStep, Inputs, Step

ITPN_LOSSES = {'loss_1': lambda losses, outputs: losses['loss'], 'loss_2': lambda losses, outputs: losses['loss_early']}


def number(golden: Golden, name: str) -> Any:
    """What the recorded description of the network, ``Class(name=value, ...)``, says of ``name``."""
    return ast.literal_eval(re.search(rf'\b{name}=(\[[^]]*\]|[\d.e-]+)', golden.literals['arch']).group(1))


def decoder(golden: Golden) -> dict[str, Any]:
    """Width, blocks and heads of a recorded decoder, as keys of the neck."""
    found = re.search(r'decoder (\d+) x (\d+) blocks x (\d+) heads', golden.literals['arch']).groups()
    return dict(zip(('model.neck.embed_dim', 'model.neck.depth', 'model.neck.num_heads'), map(int, found), strict=True))


def shape(golden: Golden, name: str) -> list[int]:
    """Shape of a recorded tensor."""
    return dict(golden.record['state_dict'])[name]


def argument(golden: Golden, pattern: str, default: Any = None) -> Any:
    """The value of an argument of the recorded command, which the one group of ``pattern`` holds."""
    found = re.search(rf'(?:{pattern})[ =](\S+)', golden.literals.get('argv', ''))
    return default if found is None else found.group(1)


OPTIMIZER = {'betas': 'betas', 'momentum': 'momentum', 'eta': 'trust_coefficient', 'eeta': 'trust_coefficient'}


def rates(golden: Golden) -> dict[str, Any]:
    """Settings of the optimizer and warm-up of a recording, which has another length than the recipe."""
    literals = golden.literals
    found = {'optim_wrapper.optimizer.lr': literals['base_lr']}
    found |= {f'optim_wrapper.optimizer.{own}': literals[name] for name, own in OPTIMIZER.items() if name in literals}
    found['optim_wrapper.optimizer.weight_decay'] = literals['weight_decay']
    schedule = 'param_scheduler.0' if 'weight_decay_end' in literals else 'param_scheduler'
    found[f'{schedule}.warmup_epochs'] = literals.get('warmup_epochs', 0)
    if 'min_lr' in literals and literals.get('scheduler') != 'multistep':
        found[f'{schedule}.end_factor'] = literals['min_lr'] / literals['base_lr']
    if literals.get('clip_grad'):
        found['optim_wrapper.clip_grad.max_norm'] = literals['clip_grad']
    momentum = literals.get('m0', literals.get('m'))
    return found if momentum is None else found | {'model.teacher.momentum': momentum}


# Masked methods


def vit(golden: Golden, prefix: str = '', heads: int | None = None) -> dict[str, Any]:
    """A transformer of the recorded size; heads whose number is not recorded are 64 wide."""
    names = [name for name, _ in golden.record['state_dict']]
    width, _, _, patch = shape(golden, f'{prefix}patch_embed.proj.weight')
    depth = 1 + max(int(found.group(1)) for name in names if (found := re.match(rf'{prefix}blocks\.(\d+)\.', name)))
    if heads is None:
        heads = number(golden, 'num_heads') if 'num_heads=' in golden.literals.get('arch', '') else width // 64
    sizes = {'model.backbone.img_size': golden.literals.get('image_size', 224), 'model.backbone.patch_size': patch}
    return sizes | {
        'model.backbone.arch': dict(_delete_=True, embed_dim=width, depth=depth, num_heads=heads),
        'model.backbone.drop_path_rate': 0.0,
        'model.neck.in_channels': width,
    }


def patches(golden: Golden) -> dict[str, Any]:
    """Masks of the recorded patches."""
    patch = shape(golden, 'patch_embed.proj.weight')[-1]
    return {'model.masker.patch_size': patch}


def patch_pixels(golden: Golden) -> dict[str, Any]:
    """Masks, pixels and a decoder of the recorded patches."""
    patch = shape(golden, 'patch_embed.proj.weight')[-1]
    return patches(golden) | {
        'model.target.patch_size': patch,
        'model.neck.out_channels': 3 * patch**2,
        'model.neck.grid_size': golden.literals['image_size'] // patch,
    }


def mae(golden: Golden) -> dict[str, Any]:
    return rates(golden) | vit(golden) | decoder(golden) | masked_pixels(golden) | patch_pixels(golden)


def masked_pixels(golden: Golden) -> dict[str, Any]:
    literals = golden.literals
    return {'model.masker.ratio': literals['mask_ratio'], 'model.target.standardize': literals['norm_pix_loss']}


def draw_noise(model: nn.Module, step: Step, inputs: Inputs) -> None:
    """Hides the patches that the recorded noise hides."""
    noise = inputs['noise']
    mask = uniform_mask(noise, model.masker.num_hidden(noise.shape[1]))
    assert [sorted(ids) for ids in step['ids_keep']] == model.masker.visible(mask).tolist()
    model.masker.forward = lambda images: mask


def beit(golden: Golden) -> dict[str, Any]:
    tokenizer = {'model.target.tokenizer.checkpoint': None, 'model.target.tokenizer.width': 8}  # its words are replaced
    return rates(golden) | vit(golden) | tokenizer | patches(golden)


def draw_blocks(model: nn.Module, step: Step, inputs: Inputs) -> None:
    """Hides the recorded patches, and gives the words and features that were drawn for the teacher's."""
    mask = torch.zeros(len(step['masked_ids']), math.prod(model.backbone.grid_size), dtype=torch.bool)
    for row, hidden in zip(mask, step['masked_ids'], strict=True):
        row[hidden] = True
    model.masker.most_hidden = max(model.masker.most_hidden, *map(len, step['masked_ids']))
    model.masker.forward = lambda images: mask
    if 'words' in step:
        words = torch.tensor(step['words'])
        model.target.forward = lambda images: words
    if 'teacher_tokens' in inputs:
        tokens = inputs['teacher_tokens']
        model.target.forward = lambda images: layer_norm(tokens, tokens.shape[-1:])


def maskfeat(golden: Golden) -> dict[str, Any]:
    literals = golden.literals
    factors = {'start': literals['warmup_start_lr'], 'end': literals['end_lr']}
    factors = {f'param_scheduler.{name}_factor': lr / literals['base_lr'] for name, lr in factors.items()}
    target = {'model.target.patch_size': shape(golden, 'patch_embed.proj.weight')[-1]}
    return rates(golden) | vit(golden) | patches(golden) | target | factors


def stages(golden: Golden) -> dict[str, Any]:
    """HiViT of the recorded size: the blocks with a reduction merge units between its stages."""
    blocks = [re.match(r'blocks\.(\d+)\.(\w+)', name) for name, _ in golden.record['state_dict']]
    blocks = [(int(found.group(1)), found.group(2)) for found in blocks if found]
    first, second = (number for number, part in blocks if part == 'reduction')
    depths = (first, second - first - 1, max(blocks)[0] - second)
    width, heads = number(golden, 'embed_dim'), number(golden, 'num_heads')
    side = golden.literals['image_size']
    return {
        'model.backbone.arch': dict(_delete_=True, embed_dim=width, depths=depths, num_heads=heads),
        'model.backbone.img_size': side,
        'model.neck.grid_size': side // 16,
    }


def hivit(golden: Golden) -> dict[str, Any]:
    sizes = stages(golden) | {'model.neck.in_channels': number(golden, 'embed_dim')}
    return rates(golden) | decoder(golden) | masked_pixels(golden) | sizes


def itpn(golden: Golden) -> dict[str, Any]:
    """Encoder and pyramid of both kinds of iTPN."""
    width = number(golden, 'embed_dim')
    return (
        rates(golden)
        | stages(golden)
        | {
            'model.neck.pyramid.in_channels': (width // 4, width // 2, width),
            'model.neck.pyramid.out_channels': number(golden, 'fpn_dim'),
            'model.neck.pyramid.fpn_depth': number(golden, 'fpn_depth'),
        }
    )


def itpn_pixel(golden: Golden) -> dict[str, Any]:
    # The official code resamples the positions of units that were left out, as those of an image of another size.
    return itpn(golden) | decoder(golden) | masked_pixels(golden) | {'model.backbone.position': dict(resample='itpn')}


def itpn_clip(golden: Golden) -> dict[str, Any]:
    early = int(re.search(r'early output after block index .* = (\d+)', golden.literals['arch']).group(1))
    tower = dict(embed_dim=48, depth=1, num_heads=4)  # its features are replaced
    return itpn(golden) | {
        'model.backbone.early_block': early,
        'model.backbone.drop_path_rate': 0.0,
        'model.neck.drop_path_rates': (0.0, 0.0),
        'model.neck.embed_dim': number(golden, 'embed_dim'),
        'model.neck.num_heads': number(golden, 'num_heads'),
        'model.neck.out_channels': number(golden, 'teacher_dim'),
        'model.target.checkpoint': None,
        'model.target.options': tower,
    }


def simmim(golden: Golden) -> dict[str, Any]:
    literals = golden.literals
    start = literals['warmup_lr'] / literals['base_lr']
    return rates(golden) | {'param_scheduler.start_factor': start, 'model.backbone.img_size': literals['image_size']}


def simmim_vit(golden: Golden) -> dict[str, Any]:
    milestones = [epoch / golden.literals['epochs'] for epoch in option(golden, 'TRAIN.LR_SCHEDULER.MULTISTEPS')]
    sizes = simmim(golden) | vit(golden, 'encoder.', option(golden, 'MODEL.VIT.NUM_HEADS'))
    patch = sizes['model.backbone.patch_size']
    sizes |= {'model.masker.patch_size': patch, 'model.masker.unit_size': patch * golden.literals['expand']}
    return sizes | {
        'model.target.patch_size': patch,
        'model.neck.stride': patch,
        'param_scheduler.milestones': milestones,
    }


def simmim_swin(golden: Golden) -> dict[str, Any]:
    sizes = {name: option(golden, f'MODEL.SWIN.{name.upper()}') for name in ('embed_dim', 'depths', 'num_heads')}
    width = sizes['embed_dim'] * 2 ** (len(sizes['depths']) - 1)
    decayed = {'optim_wrapper.paramwise_cfg.custom_keys.relative_position_bias_table.decay_mult': 1}  # see the card
    sizes = {f'model.backbone.{name}': value for name, value in sizes.items()}
    return simmim(golden) | decayed | sizes | {'model.neck.in_channels': width}


def option(golden: Golden, name: str) -> Any:
    """The value of an option of the recorded command."""
    options = golden.literals['opts']
    return ast.literal_eval(options[options.index(name) + 1])


def draw_units(model: nn.Module, step: Step, inputs: Inputs) -> None:
    """Hides the recorded units."""
    hidden = torch.tensor(step['masked_blocks'])
    side = inputs['imgs'].shape[-1] // model.masker.unit_size
    order = torch.zeros(len(hidden), side**2, dtype=torch.int64)
    order[:, : hidden.shape[1]] = hidden
    mask = unit_mask(order, hidden.shape[1], (side, side), model.masker.patches)
    model.masker.forward = lambda images: mask


# Joint-embedding methods

BUFFERS = r'.*\.(running_mean|running_var|num_batches_tracked)'


def resnet(golden: Golden, encoder: str) -> dict[str, Any]:
    """The recorded network and the first layer of its projector."""
    hidden, width = shape(golden, f'{encoder}.fc.0.weight')
    return {
        'model.backbone.depth': int(argument(golden, '-a|--arch').removeprefix('resnet')),
        'model.neck.in_channels': width,
        'model.neck.hidden_channels': hidden,
    }


def simsiam(golden: Golden) -> dict[str, Any]:
    hidden, width = shape(golden, 'predictor.0.weight')
    is_fixed = '--fix-pred-lr' in golden.literals['argv']
    return (
        rates(golden)
        | resnet(golden, 'encoder')
        | {f'model.{part}.out_channels': width for part in ('neck', 'head.predictor')}
        | {'model.head.predictor.in_channels': width, 'model.head.predictor.hidden_channels': hidden}
        | {'optim_wrapper.paramwise_cfg.custom_keys.predictor.fix_lr': is_fixed}
    )


def mocov2(golden: Golden) -> dict[str, Any]:
    literals = golden.literals
    queue = {'model.queue.length': literals['K'], 'model.queue.dim': literals['dim']}
    sizes = queue | {'model.neck.out_channels': literals['dim'], 'model.head.temperature': literals['T']}
    return rates(golden) | resnet(golden, 'encoder_q') | sizes


def mocov3(golden: Golden) -> dict[str, Any]:
    hidden, width = shape(golden, 'predictor.0.weight')
    sizes = {f'model.{part}.hidden_channels': hidden for part in ('neck', 'head.predictor')}
    sizes |= {f'model.{part}.out_channels': width for part in ('neck', 'head.predictor')}
    temperature = {'model.head.predictor.in_channels': width, 'model.head.loss.temperature': golden.literals['T']}
    return rates(golden) | sizes | temperature


def mocov3_vit(golden: Golden) -> dict[str, Any]:
    is_frozen = '--stop-grad-conv1' in golden.literals['argv']
    patch_embed = {'model.backbone.patch_embed': 'frozen' if is_frozen else 'linear'}
    return mocov3(golden) | vit(golden, 'base_encoder.', heads=12) | patch_embed


def widths(golden: Golden, name: str) -> dict[str, Any]:
    """Projector whose widths the recording names as ``256-256-256``."""
    *hidden, last = map(int, golden.literals[name].split('-'))
    return {'model.neck.hidden_channels': hidden, 'model.neck.out_channels': last}


def barlow_twins(golden: Golden) -> dict[str, Any]:
    """The official numbers, for a gradient that is divided by the number of processes, one here: see the card."""
    literals = golden.literals
    return widths(golden, 'projector') | {
        'optim_wrapper.optimizer.lr': literals['lr_weights'],
        'optim_wrapper.optimizer.weight_decay': literals['weight_decay'],
        'optim_wrapper.paramwise_cfg.vectors.lr_mult': literals['lr_biases'] / literals['lr_weights'],
        'model.head.redundancy_weight': literals['lambd'],
        'param_scheduler.warmup_epochs': literals['warmup_epochs'],
    }


def vicreg(golden: Golden) -> dict[str, Any]:
    names = {'sim': 'invariance', 'std': 'variance', 'cov': 'covariance'}
    weights = {own: argument(golden, f'--{name}-coeff') for name, own in names.items()}
    weights = {f'model.head.{own}': float(weight) for own, weight in weights.items() if weight is not None}
    return rates(golden) | widths(golden, 'mlp') | weights


def care(golden: Golden) -> dict[str, Any]:
    literals = golden.literals
    return rates(golden) | {
        'param_scheduler.start_factor': literals['warmup_lr'] / literals['base_lr'],
        'model.head.loss.attention_weight': float(literals['lambda_fea']),
        'model.neck.attention.size': shape(golden, 'student_encoder.trans.net.0.net.3.pos_emb.height')[0],
    }


def simclr(golden: Golden) -> dict[str, Any]:
    return rates(golden) | {'model.head.temperature': golden.literals['temperature']}


def dino(golden: Golden) -> dict[str, Any]:
    literals = golden.literals
    temperatures = literals['teacher_temp_schedule']
    warmup = int(argument(golden, '--warmup_teacher_temp_epochs', 0))
    is_fixed = argument(golden, '--norm_last_layer', 'true').lower() in ('true', '1', 'on')
    return (rates(golden) | vit(golden, 'student.backbone.')) | {
        'model.neck.out_channels': literals['out_dim'],
        'model.neck.freeze_gain': is_fixed,
        'custom_hooks.0.epochs': int(argument(golden, '--freeze_last_layer', 1)),
        'model.targets.start_temperature': temperatures[0],
        'model.targets.temperature': temperatures[-1],
        # The last epoch of the official warm-up has the highest temperature.
        'model.targets.warmup': max(warmup - 1, 0) / literals['epochs'],
        'optim_wrapper.clip_grad.max_norm': literals['clip'],
        'param_scheduler.1.end_factor': literals['weight_decay_end'] / literals['weight_decay'],
    }


def momentum_of_the_step_before(runner: PretrainRunner, golden: Golden) -> None:
    """DINO and BYOL average with the momentum of (k - 1) / K after step k, mmssl with that of k / K."""
    update = runner.model.teacher.update
    runner.model.teacher.update = lambda progress, **parts: update(progress - 1 / runner.max_iters, **parts)


def temperature_once_an_epoch(runner: PretrainRunner, golden: Golden) -> None:
    """DINO's temperature rises once an epoch, mmssl's at every step."""
    targets, epochs = runner.model.targets, runner.max_epochs
    update = targets.update
    targets.update = lambda progress: update(int(progress * epochs + 1e-9) / epochs)


def one_step_more(runner: PretrainRunner, golden: Golden) -> None:
    """SimCLR's cosine ends a step behind the last one."""
    (schedule,) = runner.param_schedulers
    schedule.end = schedule.num_steps = golden.literals['total_steps']
    schedule.epochs_to_steps = lambda epochs: epochs * golden.literals['steps_per_epoch']


DINO_CASE = dict(
    source='dino',
    sizes=dino,
    kept=r'targets\..*',
    temperature=lambda model: model.targets.temperature(),
    deviations=(momentum_of_the_step_before, temperature_once_an_epoch),
)
MOCOV3_CASE = dict(
    source='mocov3',
    teacher_first=True,
    temperature=lambda model: model.head.loss.temperature,
    terms={
        'ctr_q1k2': lambda losses, outputs: outputs[0],
        'ctr_q2k1': lambda losses, outputs: outputs[1],
    },
)
BYOL_STEP = FirstStep(
    'byol_r50',
    lambda model: dict(z=model.neck, p=model.head.predictor, t=model.teacher.neck),
    {
        f'{network}_view{view}': lambda model, trace, part=part, index=view - 1: trace[part][index]
        for network, part in (('online.projection', 'z'), ('online.prediction', 'p'), ('target.projection', 't'))
        for view in (1, 2)
    },
    left_out=('target.prediction_view1', 'target.prediction_view2'),
)
SIMCLR_STEP = FirstStep(
    'simclr_r50',
    lambda model: dict(z=model.neck),
    {
        'projection(view1 and view2 concatenated)': lambda model, trace: trace['z'][0],
        'logits_ab': lambda model, trace: similarities(trace['z'][0]) / model.head.temperature,
    },
)
MASKFEAT_STEP = FirstStep(
    'maskfeat_vitt',
    lambda model: dict(prediction=model.neck, hog=model.target),
    {
        'pred (hidden patches, raster order)': lambda model, trace: trace['prediction'][0][first_mask(model)],
        'hog (hidden patches, raster order)': lambda model, trace: trace['hog'][0][model.masker(None)],
    },
)


def similarities(embeddings: torch.Tensor) -> torch.Tensor:
    """Cosines of the first views with the second ones."""
    first, second = normalize(embeddings, dim=1).chunk(2)
    return first @ second.T


def first_mask(model: nn.Module) -> torch.Tensor:
    """Which of MaskFeat's predictions are of hidden patches; the others fill up their number."""
    mask = model.masker(None)
    return mask.gather(1, model.masker.hidden(mask))


# ResNet-50 on a few images of 64 px multiplies rounding 10 to 50 times in each step, with Barlow Twins' rates of biases
# and norms 100 times: a change of 1e-15 of every weight moves step 6 by 3e-3.
ROUNDED = 1e-5
CHAOTIC = 2e-2

CASES = {
    'traj_simsiam_r18': Case(
        'simsiam/simsiam_resnet50_8xb64-100e_in1k.py',
        'simsiam',
        simsiam,
        terms={
            'cos_p1z2': lambda losses, outputs: outputs[0],
            'cos_p2z1': lambda losses, outputs: outputs[1],
        },
    ),
    'traj_mocov2_r18': Case(
        'moco/mocov2_resnet50_8xb32-200e_in1k.py',
        'moco',
        mocov2,
        teacher_first=True,
        temperature=lambda model: model.head.temperature,
    ),
    'traj_mocov3_r50': Case('mocov3/mocov3_resnet50_16xb256-100e_in1k.py', sizes=mocov3, late=ROUNDED, **MOCOV3_CASE),
    'traj_mocov3_vits': Case(
        'mocov3/mocov3_vit-small_32xb128-300e_in1k.py', sizes=mocov3_vit, early=1e-8, late=ROUNDED, **MOCOV3_CASE
    ),
    'traj_barlowtwins_r50': Case(
        'barlowtwins/barlowtwins_resnet50_16xb128-1000e_in1k.py', 'barlowtwins', barlow_twins, late=CHAOTIC
    ),
    'traj_vicreg_r50': Case(
        'vicreg/vicreg_resnet50_32xb64-1000e_in1k.py',
        'vicreg',
        vicreg,
        late=ROUNDED,
    ),
    'traj_care_r50': Case(
        'care/care_resnet50_8xb128-100e_in1k.py',
        'care',
        care,
        teacher_first=True,
        terms={
            'con': lambda losses, outputs: losses['loss_c'],
            'con2': lambda losses, outputs: losses['loss_t'],
            'fea_times_100': lambda losses, outputs: losses['loss_attention'],
        },
        early=1e-10,  # steps are small: this is a ten-thousandth of a gradient
        compared_steps=4,  # a change of 1e-15 of every weight moves the official step 6 by 1e-3
    ),
    'traj_byol_r50': Case(
        'byol/byol_resnet50_16xb256-100e_in1k.py',
        'byol',
        rates,
        deviations=(momentum_of_the_step_before,),
        kept=BUFFERS,
        late=1e-4,
        first=BYOL_STEP,
    ),
    'traj_simclr_r50': Case(
        'simclr/simclr_resnet50_16xb256-100e_in1k.py',
        'simclr',
        simclr,
        deviations=(one_step_more,),
        temperature=lambda model: model.head.temperature,
        left_out=r'.*running_var',  # TensorFlow's is biased
        bounds={r'.*running_mean': 1e-7},  # TensorFlow's factor has single precision
        late=ROUNDED,
        first=SIMCLR_STEP,
    ),
    'traj_dino_vitt': Case('dino/dino_vit-small_8xb64-100e_in1k.py', **DINO_CASE),
    'traj_dino_vitt_300': Case('dino/dino_vit-small_16xb64-300e_in1k.py', **DINO_CASE),
    'traj_mae_vitt': Case('mae/mae_vit-base_64xb64-800e_in1k.py', 'mae', mae, draw_noise),
    'traj_hivit_mae': Case('hivit/hivitmae_hivit-base_16xb256-1600e_in1k.py', 'hivit', hivit, draw_noise),
    'traj_itpn_pixel': Case('itpn/itpn_hivit-base-pixel_64xb64-400e_in1k.py', 'itpn', itpn_pixel, draw_noise),
    'traj_itpn_clip': Case(
        'itpn/itpn_hivit-base-clip_32xb64-300e_in1k.py', 'itpn_clip', itpn_clip, draw_blocks, terms=ITPN_LOSSES
    ),
    'traj_beit_vitt': Case('beit/beit_vit-base_16xb128-800e_in1k.py', 'beit', beit, draw_blocks),
    'traj_maskfeat_vitt': Case(
        'maskfeat/maskfeat_vit-base_64xb32-300e_in1k.py', 'maskfeat', maskfeat, draw_blocks, first=MASKFEAT_STEP
    ),
    'traj_simmim_vit': Case('simmim/simmim_vit-base_16xb128-800e_in1k.py', 'simmim', simmim_vit, draw_units),
    'traj_simmim_swin': Case('simmim/simmim_swin-base_16xb128-100e_in1k.py', 'simmim_swin', simmim_swin, draw_units),
}
