"""Print the summary of a finished study: python -m coact.comparison <summary.parquet> <report.html>"""

import sys

from coact.artefacts import read_table
from coact.comparison.summary import print_summary

print_summary(read_table(sys.argv[1]), sys.argv[2])
