"""What a study will cost, before it starts.

In: a configuration, and what this machine does in a short calibration. Out: tokens, operations, disk, memory and time,
printed; and what cannot fit, refused.

python -m coact.plan config.yaml [overlay ...]
"""
