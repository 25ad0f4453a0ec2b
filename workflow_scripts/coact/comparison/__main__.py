"""Print tables of finished results.

python -m coact.comparison <summary.parquet> <report.html>    the summary of a study
python -m coact.comparison <evaluation.json>...               the quality of SAEs
"""

import sys

from coact.artefacts import read_json, read_table
from coact.comparison.summary import print_quality, print_summary

if sys.argv[1].endswith(".json"):
    print_quality([read_json(path) for path in sys.argv[1:]])
else:
    print_summary(read_table(sys.argv[1]), sys.argv[2])
