"""Print the scores of a finished study: python -m coact.sae.truth results/ground_truth/scores.parquet"""

import sys

from coact.artefacts import read_table
from coact.sae.truth.table import print_recovery

print_recovery(read_table(sys.argv[1]))
