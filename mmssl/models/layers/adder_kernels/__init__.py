"""The L1 layer of AdderNet and its gradients: in plain torch, and in Triton for GPUs."""
