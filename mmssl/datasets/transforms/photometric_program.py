"""What the workers tell the device to do to the colours of a view.

A program is a float32 (steps, 2) array: in each row the code of an operation and its number, run in the order of the
rows. The workers draw it, so that it depends on (seed, epoch, index, view) alone; the device only executes it.
"""

from __future__ import annotations

# The code of an operation is its position here; 'none' leaves the image as it is and pads programs to one length.
OPERATIONS = (
    *('none', 'brightness', 'contrast', 'saturation', 'hue', 'grayscale', 'blur', 'solarize'),
    *('brightness_offset', 'channel_contrast', 'hsv_saturation'),
)
CODES = {name: code for code, name in enumerate(OPERATIONS)}
JITTER = ('brightness', 'contrast', 'saturation', 'hue')
# The operations of the jitter, in the order of its strengths, by the library whose rules they follow.
COLORS = {
    'torchvision': JITTER,
    'tensorflow': ('brightness', 'channel_contrast', 'hsv_saturation', 'hue'),
    'tensorflow-offset': ('brightness_offset', 'channel_contrast', 'hsv_saturation', 'hue'),
}
GROUPS = ('jitter', 'grayscale', 'blur', 'solarize')
NUM_STEPS = len(JITTER) + len(GROUPS) - 1
