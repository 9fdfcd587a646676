"""Methods of lightly and solo-learn in the place of mmssl's, with the same images, network, weights and optimizer."""
