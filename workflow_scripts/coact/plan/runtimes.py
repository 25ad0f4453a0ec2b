"""How long a cluster is asked to let a job run: by the reference's speed, for rules, which cannot calibrate."""

import math
from collections.abc import Callable

from coact.costs import jobs_of
from coact.costs.reference import WORK_FLOPS
from coact.plan.rates import Rates
from coact.study import Study

# A node may be slower, its disk too, and its other cores at work; a job that is cut off has done nothing.
FACTOR = 4.0
LEAST_MINUTES = 10


def runtime_of(study: Study) -> Callable[..., int | None]:
    """Minutes that a rule's longest job is given, from its name and its wildcards; None where it has no formula.

    At least `LEAST_MINUTES`; else `FACTOR` times what it takes on the machine of `coact.costs.reference`.
    """
    rates, found = Rates(WORK_FLOPS, "the reference"), {}
    for job in jobs_of(study):
        place, minutes = (job.rule, job.model, job.sae), math.ceil(FACTOR * rates.seconds(job) / 60)
        found[place] = max(minutes, LEAST_MINUTES, found.get(place, 0))
    return lambda rule, model="", sae="": found.get((rule, model, sae))
