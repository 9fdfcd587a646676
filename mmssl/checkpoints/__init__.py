"""Reading and writing of checkpoints, and matching of their names and position tables.

There is one function for each purpose:

===================================================  ========================================================
purpose                                              function
===================================================  ========================================================
the tensors of a file                                ``content.get_state_dict(files.load_checkpoint_file(...))``
tensors by the module's own names                    ``matching.load_matching``
a whole model, every tensor                          ``matching.load_whole``
the code that wrote a file                           ``mmssl.converters.detect_source``
a backbone (and its neck) from a file of any kind    ``mmssl.converters.transfer.transfer_weights``
a trained model from its checkpoint alone            ``mmssl.converters.trained.load_trained``
resuming a run                                       ``mmssl.engine.checkpoint_runner.CheckpointRunner.resume``
===================================================  ========================================================
"""
