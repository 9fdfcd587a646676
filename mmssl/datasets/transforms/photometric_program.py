"""The format of photometric programs: the list of colour operations that the device applies to a view.

A program is a float32 (steps, 2) array. Each row holds the code of an operation and its parameter; the rows run in
order. Workers draw the program, so it depends only on (seed, epoch, index, view); the device executes it.
"""

from __future__ import annotations

# The code of an operation is its position in this list. 'none' does nothing and pads programs to the same length.
OPERATIONS = (
    *('none', 'brightness', 'contrast', 'saturation', 'hue', 'grayscale', 'blur', 'solarize'),
    *('brightness_offset', 'channel_contrast', 'hsv_saturation'),
)
# Operations that make sense for images with any bands.
COLORLESS = ('brightness', 'contrast', 'channel_contrast', 'brightness_offset', 'blur', 'solarize')
CODES = {name: code for code, name in enumerate(OPERATIONS)}
JITTER = ('brightness', 'contrast', 'saturation', 'hue')
# Library whose rules the jitter follows -> operations, in the order of the jitter's strengths.
COLORS = {
    'torchvision': JITTER,
    'tensorflow': ('brightness', 'channel_contrast', 'hsv_saturation', 'hue'),
    'tensorflow-offset': ('brightness_offset', 'channel_contrast', 'hsv_saturation', 'hue'),
}
GROUPS = ('jitter', 'grayscale', 'blur', 'solarize')
NUM_STEPS = len(JITTER) + len(GROUPS) - 1
