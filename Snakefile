# Co-activation graphs of SAE features: the whole study, in the order of the data.
# Run: snakemake --cores all --resources gpu=1

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


# The image that `--sdm apptainer` runs jobs in; envs/containers.sh says how it is built.
container: "envs/study.sif"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/resources.smk"
include: "rules/ledger.smk"
include: "rules/hub.smk"
include: "rules/corpus.smk"
include: "rules/models.smk"
include: "rules/activations.smk"
include: "rules/sae.smk"
include: "rules/ground_truth.smk"
include: "rules/features.smk"
include: "rules/graph.smk"
include: "rules/interpretation.smk"
include: "rules/comparison.smk"
include: "rules/figures.smk"
include: "rules/explorer.smk"
include: "rules/report.smk"
include: "rules/provenance.smk"


rule all:
    default_target: True
    input:
        rules.all_hub.input,
        rules.all_ground_truth.input,
        rules.all_graphs.input,
        rules.all_interpretation.input,
        rules.all_comparison.input,
        rules.all_figures.input,
        rules.all_explorer.input,
        rules.all_report.input,
        rules.all_provenance.input,
    message:
        "The study is complete"


onsuccess:
    note_results(workflow)
