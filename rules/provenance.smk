# The whole of the results in, a record of them out.
#   in:  what the study is asked for
#   out: results/provenance.json   configuration, versions, seeds, machine, commit, and the hash of every artefact


localrules:
    record_provenance,
    all_provenance,


rule record_provenance:
    input:
        hub=rules.all_hub.input,
        ground_truth=rules.all_ground_truth.input,
        graphs=rules.all_graphs.input,
        interpretation=rules.all_interpretation.input,
        comparison=rules.all_comparison.input,
        figures=rules.all_figures.input,
        explorer=rules.all_explorer.input,
        report=rules.all_report.input,
        code=get_code("record_provenance"),
    output:
        record="results/provenance.json",
    log:
        "logs/record_provenance.log",
    benchmark:
        "logs/record_provenance.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("record_provenance", 500),
        runtime=get_runtime("record_provenance"),
    params:
        config=RECORDED,
    message:
        "Record what the study left"
    script:
        "../workflow_scripts/record_provenance.py"


rule all_provenance:
    input:
        "results/provenance.json",
    message:
        "The record is complete"
