"""Print what a study costs, and refuse what cannot fit.

python -m coact.plan [--no-calibration] config.yaml [overlay ...]
"""

import argparse
import sys
from pathlib import Path

from coact.config import read_config
from coact.corpus.sources import check_sources
from coact.costs import jobs_of
from coact.errors import StudyError
from coact.hub.models import ask_config
from coact.plan.fit import problems
from coact.plan.limits import read_limits
from coact.plan.page import print_plan
from coact.study import check


def main() -> int:
    """Status: 0 when the study fits, 1 when it does not or its configuration is wrong."""
    parser = argparse.ArgumentParser(prog="python -m coact.plan", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="+", type=Path, help="the configuration, then overlays; later ones win")
    parser.add_argument("--no-calibration", action="store_true", help="go by the speed of a matrix product alone")
    options = parser.parse_args()
    try:
        study = check(read_config(options.config))
        check_sources(study.config["corpus"]["sources"])
    except StudyError as error:
        print(f"error: configuration: {error}", file=sys.stderr)
        return 1
    for model in study.models_of("hub"):
        if not study.shape(model):
            try:
                ask_config(study.config["models"][model], f"models.{model}")
            except StudyError as error:
                print(f"note: {error}", file=sys.stderr)
    from coact.plan.calibration import by_products, calibrate  # PyTorch, which a wrong configuration need not wait for

    jobs, limits = jobs_of(study), read_limits(Path("results"))
    print_plan(study, jobs, by_products() if options.no_calibration else calibrate(study, jobs), limits)
    found = problems(jobs, limits)
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
