"""What the workers tell the device to do to the colours of a view.

A program is a float32 (steps, 2) array: in each row the code of an operation and its number, run in the order of the
rows. The workers draw it, so that it depends on (seed, epoch, index, view) alone; the device only executes it.
"""

from __future__ import annotations

# The code of an operation is its position here; 'none' leaves the image as it is and pads programs to one length.
OPERATIONS = ('none', 'brightness', 'contrast', 'saturation', 'hue', 'grayscale', 'blur', 'solarize')
CODES = {name: code for code, name in enumerate(OPERATIONS)}
JITTER = ('brightness', 'contrast', 'saturation', 'hue')
GROUPS = ('jitter', 'grayscale', 'blur', 'solarize')
NUM_STEPS = len(JITTER) + len(GROUPS) - 1
