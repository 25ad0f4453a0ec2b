# All columns in, the study's summary out.
#   in:  results/saes/{model}/{sae}/evaluation.json, results/graphs/{model}/{sae}/statistics.json
#   out: results/comparison/summary.parquet   one row per column
#        results/metrics.json                 headline numbers, one flat level per column
#        results/comparison/pairs.parquet     graphs of dictionaries of one model, matched feature by feature


rule summarize_study:
    input:
        evaluations=get_columns("results/saes/{model}/{sae}/evaluation.json"),
        statistics=get_columns("results/graphs/{model}/{sae}/statistics.json"),
        code=get_code("summarize_study"),
    output:
        summary="results/comparison/summary.parquet",
        metrics="results/metrics.json",
    log:
        "logs/summarize_study.log",
    benchmark:
        "logs/summarize_study.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        columns=STUDY.columns(),
    message:
        "Summarize the study"
    script:
        "../workflow_scripts/summarize_study.py"


rule compare_graphs:
    input:
        edges=get_columns("results/graphs/{model}/{sae}/edges.parquet"),
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        communities=get_columns("results/graphs/{model}/{sae}/communities.parquet"),
        weights=get_columns("results/saes/{model}/{sae}/sae_weights.safetensors"),
        code=get_code("compare_graphs"),
    output:
        pairs="results/comparison/pairs.parquet",
    log:
        "logs/compare_graphs.log",
    benchmark:
        "logs/compare_graphs.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        columns=get_column_records(),
        comparison=CONFIG["comparison"],
    message:
        "Compare the graphs of dictionaries of one model"
    script:
        "../workflow_scripts/compare_graphs.py"


rule all_comparison:
    input:
        "results/comparison/pairs.parquet",
        "results/comparison/summary.parquet",
        "results/metrics.json",
    message:
        "The comparison is complete"
