# All columns in, the study's summary out.
#   in:  results/saes/{model}/{sae}/evaluation.json, results/graphs/{model}/{sae}/statistics.json
#        graphs, decoders and feature shards of all columns
#   out: results/comparison/summary.parquet        one row per column
#        results/metrics.json                      headline numbers, one flat level per column
#        results/comparison/pairs.parquet          graphs of two dictionaries, matched feature by feature
#        results/comparison/best_matches.parquet   features of a dictionary and their best matches in another


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
        features=get_compared_features(),
        code=get_code("compare_graphs"),
    output:
        pairs="results/comparison/pairs.parquet",
        best="results/comparison/best_matches.parquet",
    log:
        "logs/compare_graphs.log",
    benchmark:
        "logs/compare_graphs.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_comparison_memory,
        runtime=240,
    params:
        columns=get_column_records(),
        shards=len(STUDY.encoded_tokens(STUDY.frequency_split)),
        comparison=CONFIG["comparison"],
    message:
        "Compare dictionaries feature by feature"
    script:
        "../workflow_scripts/compare_graphs.py"


rule all_comparison:
    input:
        "results/comparison/best_matches.parquet",
        "results/comparison/pairs.parquet",
        "results/comparison/summary.parquet",
        "results/metrics.json",
    message:
        "The comparison is complete"
