"""Ground truth: how well SAEs find directions that are known.

In: the settings of synthetic activations, and SAEs trained on these like on any others. Out: a shard of such
activations, and scores of every SAE by the planted features, beside those of a random dictionary.

    settings    what is planted, checked
    planted     true features, and activations that are sparse sums of them, chunk by chunk
    matching    true features and SAE features, by the cosine of their directions
    recovery    the scores of one SAE
    table       the scores of all SAEs, as a table and on a terminal
"""
