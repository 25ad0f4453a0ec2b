"""A short calibration: this project's own code on made-up data of a study's own sizes.

In: the work of the jobs of a study. Out: `Rates`. Everything is run once before it is timed, so that compiled code is
there, and then a few times; times are medians. What would take too long or too much room is measured at a smaller size.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from coact.costs import Job, Measure
from coact.costs.edges import ZIPF_OFFSET
from coact.costs.reference import IMPORT_SECONDS, WORK_SECONDS
from coact.device import get_device
from coact.features.batches import SparseBatch
from coact.graph.counting import count_batches
from coact.graph.sets import SetRule, TokenSets
from coact.jobs import keep_memory, limit_threads
from coact.nulls.curveball import Curveball
from coact.plan.dictionaries import time_encoding, time_step
from coact.plan.models import Models
from coact.plan.rates import Rates
from coact.progress import Progress, set_terminal
from coact.study import Study

SECONDS = 24.0  # for all measures together, beside what they take to set up
LEAST, MOST = 3, 9  # repetitions
PRODUCT_SIZE = 1024
BUSY = 0.5  # processes per core over the last minute, this one left out
REFERENCE_FEATURES, REFERENCE_L0 = 1024, 16
MOST_BATCH = 16_384  # tokens of a made-up batch
DENSE_FEATURES = 2048  # up to so many, whether a feature fires is drawn for every token


def calibrate(study: Study, jobs: Sequence[Job]) -> Rates:
    """Measure all that the jobs of a study consist of, as far as it can be made up.

    A job of one thread is measured on one thread.
    """
    measures = list(dict.fromkeys(measure for job in jobs for measure, _ in job.work))
    progress = Progress(len(measures) + 2, "calibrate", "measures")
    set_terminal(None)  # the bars of what is measured
    keep_memory()  # as every job does
    before = os.getloadavg()[0]
    limit_threads(1)
    flops = product_rate()
    imports = {module: import_seconds(module) for module in {job.imports for job in jobs} & set(IMPORT_SECONDS)}
    progress.update(1)
    slowness = reference_work() / WORK_SECONDS
    progress.update(1)
    models, each = Models(study), SECONDS / max(1, len(measures))
    measured: dict[Measure, float] = {}
    scaled = set()
    for measure in measures:
        found = _measure(study, models, measure, flops, each)
        if found is not None:
            measured[measure], whole = found
            scaled |= set() if whole else {measure}
        progress.update(1)
    progress.close()
    busy = max(before, os.getloadavg()[0] - 1) > BUSY * (os.cpu_count() or 1)
    return Rates(flops, device_name(), measured, frozenset(scaled), imports, slowness, busy)


def by_products() -> Rates:
    """Rates that rest on the speed of a matrix product alone."""
    limit_threads(1)
    return Rates(product_rate(), device_name())


def device_name() -> str:
    """The device that PyTorch works on here, in words."""
    return torch.cuda.get_device_name(0) if get_device().type == "cuda" else "the processor"


def median_seconds(work: Callable[[], object], budget: float) -> float:
    """Median of the seconds that `work` takes, run once before; up to about `budget` seconds in all."""

    def once() -> float:
        start = time.perf_counter()
        work()
        if get_device().type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    start, found = time.perf_counter(), [once()]
    while len(found) < LEAST or (len(found) < MOST and time.perf_counter() - start < budget):
        found.append(once())
    return statistics.median(found)


def product_rate() -> float:
    """Operations per second of a product of two square matrices, float32."""
    one, other = (torch.randn(PRODUCT_SIZE, PRODUCT_SIZE, device=get_device()) for _ in range(2))
    return 2 * PRODUCT_SIZE**3 / median_seconds(lambda: one @ other, 0.3)


def import_seconds(module: str) -> float:
    """Seconds of a process that imports a module; the smaller of two, since files are in the cache in a study."""
    command = [sys.executable, "-c", f"import {module}"]

    def once() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start

    return min(once(), once())


def reference_work() -> float:
    """Seconds of a fixed piece of work on one thread: counting the pairs of a batch."""
    return median_seconds(_counting(REFERENCE_FEATURES, REFERENCE_L0, MOST_BATCH, 4), 0.5)


def made_up_batch(features: int, l0: float, tokens: int) -> SparseBatch:
    """A batch whose features fire independently, with frequencies that fall off as in Zipf's law.

    A token has about `l0` active features; of many features some are drawn twice and count once.
    """
    generator = np.random.default_rng(0)
    share = 1 / (ZIPF_OFFSET + np.arange(features))
    if features <= DENSE_FEATURES:
        active = generator.random((tokens, features)) < np.minimum(share * l0 / share.sum(), 0.5)
        rows, columns = np.nonzero(active)
    else:
        places = np.searchsorted(np.cumsum(share / share.sum()), generator.random(round(tokens * l0)))
        keys = np.unique(np.arange(len(places)) % tokens * features + np.minimum(places, features - 1))
        rows, columns = keys // features, keys % features
    return SparseBatch(
        indptr=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=tokens))]),
        indices=columns.astype(np.int32),
        values=generator.standard_exponential(len(rows), np.float32) + np.float32(1e-3),
        n_features=features,
        kept=np.ones(tokens, bool),
        documents=np.zeros(tokens, np.int32),
    )


def _counting(features: int, l0: float, tokens: int, k: int) -> Callable[[], object]:
    batch = made_up_batch(features, l0, tokens)
    return lambda: count_batches([batch], [SetRule(k)])


def _resampling(k: int, tokens: int) -> Callable[[], object]:
    """A sweep over sets of k features each, which are drawn from blocks apart so that none is drawn twice."""
    generator = np.random.default_rng(0)
    indices = (generator.integers(0, REFERENCE_FEATURES, (tokens, k)) + REFERENCE_FEATURES * np.arange(k)).astype(
        np.int32
    )
    chain = Curveball(TokenSets(np.arange(tokens + 1) * k, indices.ravel()), REFERENCE_FEATURES * k, seed=0)
    return lambda: chain.sweep(1)


def _measure(study: Study, models: Models, measure: Measure, flops: float, budget: float) -> tuple[float, bool] | None:
    """Seconds per token, and whether it was measured at its own size; None where it cannot be made up."""
    if measure.kind == "count pairs":
        tokens = min(study.batch_tokens, MOST_BATCH)
        k = min(study.config["graph"]["k"], measure.d_sae)
        return median_seconds(_counting(measure.d_sae, measure.l0, tokens, k), budget) / tokens, True
    if measure.kind == "resample":
        return median_seconds(_resampling(int(measure.l0), 4 * MOST_BATCH), budget) / (4 * MOST_BATCH), True
    if measure.kind == "train SAE":
        return time_step(measure, flops, budget, median_seconds)
    if measure.kind == "encode":
        return time_encoding(measure, flops, budget, median_seconds)
    return models.time(measure, flops, budget, median_seconds)
