"""Arguments of backbones, as far as they follow from the shapes of their tensors: one function per kind of backbone."""
