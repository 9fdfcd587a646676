"""Alpha-VL/ConvMAE (MCMAE): encoder and decoder; released encoders; fine-tuned classifiers."""

from mmssl.converters.source import Source

SOURCE = Source(
    patterns=(
        (r'(mask_token)', r'neck.\1'),
        (r'decoder_(pos_embed|embed\.\w+|norm\.\w+|blocks\..+)', r'neck.\1'),
        (r'decoder_pred\.(\w+)', r'neck.predict.\1'),
        (r'patch_embed4\.(\w+)', r'backbone.project.\1'),
        (r'blocks3\.(.+)', r'backbone.blocks.\1'),
        (r'(pos_embed|norm\.\w+)', r'backbone.\1'),
        *(
            (pattern, ours)
            for stage in range(3)
            for pattern, ours in (
                (rf'patch_embed{stage + 1}\.((?:proj|norm)\.\w+)', rf'backbone.embeds.{stage}.\1'),
                (rf'blocks{stage + 1}\.(.+)', rf'backbone.stages.{stage}.\1'),
                (rf'stage{stage + 1}_output_decode\.(\w+)', rf'backbone.fuse.{stage}.\1'),
            )
            if stage < 2 or pattern.startswith('patch')
        ),
        (r'(?:fc_norm|head)\.\w+', None),
    ),
)
