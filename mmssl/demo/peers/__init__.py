"""Methods of lightly and solo-learn instead of those of mmssl, with the same images, network, weights and optimizer."""
