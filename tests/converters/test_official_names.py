"""Names of official checkpoints, as recorded from the official codes: all are known, and no pattern is idle."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from mmssl.converters import LIBRARIES
from mmssl.converters.convert import rename
from mmssl.converters.detect import detect_source
from mmssl.converters.sources import SOURCES

# Recordings of each source, and official names of kinds that none of them has.
CASES = {
    'addernet': (['addernet_resnet20'], ['fc.bias']),
    'mocov3': (['mocov3_r50', 'mocov3_vits'], []),
    'moco': (['mocov1_r50', 'mocov2_r50'], []),
    'detco': (
        ['detco_r18_unofficial'],
        ['encoder_q.layers.0.0.conv1.weight', 'encoder_k.layers.3.1.bn1.bias', 'queue.local.3', 'queue_ptr.global.0'],
    ),
    'resim': (['resim_fpn_r50', 'resim_fpn_r50_fpnbn'], []),
    'densecl': (['densecl_r50'], ['backbone.conv1.weight']),
    'simsiam': (['simsiam_r18', 'simsiam_r50'], []),
    'care': (['care_r50'], []),
    'barlowtwins': (['barlowtwins_r50'], []),
    'vicreg': (['vicreg_r50'], []),
    'dino': (['dino_vitt_multicrop', 'dino_loss_4crops'], []),
    'ibot': (
        ['ibot_vitt_multicrop', 'ibot_loss'],
        [f'{network}.head.last_layer2.weight_{x}' for network in ('student', 'teacher') for x in 'gv'],
    ),
    'dinov2': (
        ['dinov2_meta_sk', 'dinov2_vits14_reg4'],
        [f'{owner}blocks.2.17.mlp.{layer}.bias' for owner in ('', 'teacher.backbone.') for layer in ('w12', 'w3')],
    ),
    'swav': (['swav_r50'], []),
    'byol': (['byol_r50'], []),
    'simclr': (['simclr_r50'], []),
    'maskfeat': (['maskfeat_vitt'], []),
    'igam': (['igam_wrn_tf'], []),
    'rotnet': (['rotnet_alexnet', 'rotnet_nin'], []),
    'relative_loc': (['relative_loc_r50'], []),
    'jigsaw': (['jigsaw_r50'], []),
    'colorization': (['colorization_eccv16'], []),
    'npid': (['npid_r18'], ['memory_bank.feature_bank']),
    'amdim': (
        ['amdim_c32', 'amdim_c32_bn'],
        [
            *(
                f'encoder.large_list.{name}.weight'
                for name in ('0.conv', '2.layer_list.1.conv1', '5.bn', '6.layer_list.0.conv2', '7.layer_list.0.conv1')
            ),
            *('encoder.large_list.8.conv1.weight', 'encoder.large_list.9.bn.weight', 'evaluator.block_glb.0.weight'),
        ],
    ),
    'obow': (
        [],
        [
            f'{network}{name}'
            for network in ('', 'feature_extractor_teacher.')
            for name in (
                '_feature_blocks.0.Conv.weight',
                '_feature_blocks.0.bn.running_var',
                '_feature_blocks.4.1.downsample.0.weight',
                'wide.stages.2.3.act1.bn.weight',
            )
        ]
        + ['bow_predictor.layers_w.0.b0_fc.weight'],
    ),
    'deepcluster': (['deepcluster_alexnet'], ['sobel.0.weight']),
    'deepcluster_vgg16': (['deepcluster_vgg16'], ['sobel.0.weight']),
    'deepclusterv2': (
        [],
        ['conv1.weight', 'projection_head.0.weight', 'prototypes.prototypes2.weight'],
    ),
    'sela': (
        [],
        [
            *(f'features.{index}.weight' for index in (0, 1, 4, 5, 8, 9, 11, 12, 14, 15)),
            'classifier.1.weight',
            'classifier.4.bias',
            'top_layer.bias',
            'top_layer9.weight',
            'preact.0.weight',
            *(f'preact.{stage}.0.{name}.weight' for stage in range(2, 6) for name in ('conv1', 'shortcut.0')),
        ],
    ),
    'mae': (['mae_vit_base_normpix'], ['fc_norm.weight']),
    'convmae': (['convmae_base_pixel', 'convmae_base_classifier'], []),
    'cae': (['cae_base_pretrain', 'cae_small_pretrain', 'cae_small_classifier', 'cae_attentive_probe'], []),
    'capi': (['capi_step'], []),
    'ijepa': (['ijepa_vitb16'], []),
    'beit': (['beit_base_pretrain'], ['head.bias']),
    'simmim': (['simmim_vit_base'], []),
    'greenmim': (['greenmim_swin_base'], []),
    'igpt': (['igpt_ar', 'igpt_bert'], ['model/h0/attn/qkv', 'clusters']),
    'eva': (['eva_mim'], ['fc_norm.weight']),
    'a2mim': (['a2mim_r50'], []),
    'simmim_swin': (['simmim_swin_base'], []),
    'hivit': (['hivit_base_mae', 'hivit_base_classifier'], []),
    'itpn': (['itpn_base_pixel', 'itpn_base_classifier', 'itpn_base_seg', 'itpn_base_det_pixel'], []),
    'itpn_clip': (['itpn_base_clip', 'itpn_base_det_clip', 'itpn_base_classifier'], []),
    'fast_itpn': (
        [],
        [
            'pos_embed',
            'patch_embed.proj.weight',
            'blocks.1.reduction.weight',
            'blocks.4.mlp.w3.weight',
            'blocks.4.attn.q_proj.weight',
            'fc_norm.bias',
            'head.bias',
        ],
    ),
    'timm': ([], ['head.weight', 'blocks.0.mlp.fc1.weight']),
    'torchvision': (
        [],
        [
            'fc.bias',
            'layer4.2.bn3.running_var',
            'class_token',
            'encoder.pos_embedding',
            'conv_proj.weight',
            'encoder.ln.bias',
            *(
                f'encoder.layers.encoder_layer_11.{name}'
                for name in (
                    'ln_1.weight',
                    'self_attention.in_proj_weight',
                    'self_attention.out_proj.bias',
                    'mlp.linear_1.weight',
                    'mlp.3.bias',
                )
            ),
        ],
    ),
    'mmssl': ([], ['backbone.conv1.weight']),
    'clip': (
        [],
        [
            *('logit_scale', 'transformer.resblocks.3.mlp.c_fc.bias', 'positional_embedding', 'text_model.x'),
            *(
                f'visual.{name}'
                for name in (
                    *('conv1.weight', 'class_embedding', 'positional_embedding', 'ln_pre.bias', 'ln_post.bias', 'proj'),
                    *(f'transformer.resblocks.3.{name}' for name in ('ln_1.bias', 'attn.in_proj_weight')),
                    *(f'transformer.resblocks.3.{name}.bias' for name in ('attn.out_proj', 'mlp.c_fc', 'mlp.c_proj')),
                )
            ),
            *(
                f'vision_model.{name}'
                for name in (
                    *(f'embeddings.{name}' for name in ('patch_embedding.weight', 'class_embedding')),
                    *('embeddings.position_embedding.weight', 'pre_layrnorm.bias', 'post_layernorm.bias'),
                    *(f'encoder.layers.3.{name}.bias' for name in ('layer_norm2', 'self_attn.out_proj', 'mlp.fc1')),
                    'encoder.layers.3.self_attn.qkv.bias',  # joined before the patterns apply
                )
            ),
        ],
    ),
    'hf': (
        [],
        [
            *(f'vit.embeddings.{name}' for name in ('cls_token', 'position_embeddings')),
            *('dinov2.embeddings.register_tokens', 'dinov2.embeddings.mask_token', 'vit.layernorm.bias'),
            'embeddings.patch_embeddings.projection.weight',
            *(
                f'{layer}.{name}'
                for layer in ('vit.encoder.layer.3', 'decoder.decoder_layers.3')
                for name in (
                    *('layernorm_before.bias', 'norm2.bias', 'attention.attention.qkv.bias', 'layer_scale1.lambda1'),
                    *('attention.output.dense.bias', 'intermediate.dense.bias', 'output.dense.bias'),
                )
            ),
            *('decoder.mask_token', 'decoder.decoder_pos_embed', 'decoder.decoder_pred.bias'),
            'resnet.embedder.embedder.convolution.weight',
            'resnet.embedder.embedder.normalization.bias',
            *(
                f'resnet.encoder.stages.{stage}.layers.1.{place}.{layer}.weight'
                for stage in range(4)
                for place in ('shortcut', 'layer.0', 'layer.1', 'layer.2')
                for layer in ('convolution', 'normalization')
            ),
        ],
    ),
}
# Cases whose tensors go the same ways in several sources.
SEVERAL = ('itpn_base_classifier', 'itpn_base_det_clip', 'itpn_base_seg', 'itpn_base_det_pixel')


def test_no_source_is_missing_here():
    once = {id(source): name for name, source in reversed(SOURCES.items())}
    assert set(once.values()) == CASES.keys()


def test_the_docs_name_every_source_and_every_target():
    text = (Path(__file__).parents[2] / 'docs' / 'howto' / 'converters.md').read_text()
    assert not [name for name in (*CASES, *LIBRARIES) if f'`{name}`' not in text]


def recorded(goldens_dir, case: str) -> dict[str, list[int]]:
    return dict(json.loads((goldens_dir / f'{case}.json').read_text())['state_dict'])


@pytest.mark.parametrize('source', CASES)
def test_all_official_names_are_known_and_every_pattern_has_one(goldens_dir, source):
    cases, others = CASES[source]
    names = [name for case in cases for name in recorded(goldens_dir, case)] + others
    patterns = [pattern for pattern, _ in SOURCES[source].patterns]
    fitting = [next((p for p in patterns if re.fullmatch(p, name)), None) for name in names]
    assert not [name for name, pattern in zip(names, fitting) if pattern is None]
    assert not set(patterns) - set(fitting)


@pytest.mark.parametrize('source', CASES)
def test_no_two_official_tensors_get_one_name(goldens_dir, source):
    for case in CASES[source][0]:
        ours = [ours for name in recorded(goldens_dir, case) if (ours := rename(name, source))]
        assert len(ours) == len(set(ours))


@pytest.mark.parametrize(
    ('source', 'case'),
    [(source, case) for source, (cases, _) in CASES.items() for case in cases if case not in SEVERAL],
)
def test_the_source_of_official_names_is_found(goldens_dir, source, case):
    tensors = {name: torch.empty(shape, device='meta') for name, shape in recorded(goldens_dir, case).items()}
    assert detect_source(tensors) == source
    assert detect_source({f'module.{name}': tensor for name, tensor in tensors.items()}) == source


@pytest.mark.parametrize('case', SEVERAL)
def test_sources_that_agree_are_one_answer(goldens_dir, case):
    tensors = {name: torch.empty(shape, device='meta') for name, shape in recorded(goldens_dir, case).items()}
    assert detect_source(tensors) in ('hivit', 'itpn', 'itpn_clip')
