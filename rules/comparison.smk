# All columns in, the study's summary out.
#   in:  results/saes/{model}/{sae}/evaluation.json, results/graphs/{model}/{sae}/statistics.json
#        graphs, decoders and feature shards of all columns
#   out: results/comparison/summary.parquet        one row per column
#        results/metrics.json                      headline numbers, one flat level per column
#        results/comparison/pairs.parquet          graphs of two dictionaries, matched feature by feature
#        results/comparison/best_matches.parquet   features of a dictionary and their best matches in another
#        results/comparison/contexts.parquet       every context's best feature beside neuron, probe, other seed, untrained
#        results/comparison/descendants.parquet, splitting.parquet   features of wider dictionaries and their parents
#        results/comparison/ultralow.parquet       features that hardly ever fire: number, directions, place in the graph
#        results/comparison/gallery.json           cards of some features, chosen by rule


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
        mem_mb=get_memory("summarize_study", 1000),
        runtime=get_runtime("summarize_study"),
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
        features=get_features_of_all(STUDY.frequency_split),
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
        mem_mb=get_memory("compare_graphs", 4000),
        runtime=get_runtime("compare_graphs", unknown=240),
    params:
        columns=get_column_records(),
        shards=len(STUDY.encoded_tokens(STUDY.frequency_split)),
        comparison=CONFIG["comparison"],
    message:
        "Compare dictionaries feature by feature"
    script:
        "../workflow_scripts/compare_graphs.py"


rule compare_contexts:
    input:
        best=get_columns("results/interpretation/{model}/{sae}/contexts.parquet"),
        features=get_columns("results/interpretation/{model}/{sae}/context_features.parquet"),
        weights=get_columns("results/saes/{model}/{sae}/sae_weights.safetensors"),
        heldout=get_features_of_all("heldout"),
        marks=get_models_contexts("marks.safetensors"),
        probes=get_models("results/interpretation/{model}/probes.parquet"),
        code=get_code("compare_contexts"),
    output:
        contexts="results/comparison/contexts.parquet",
        seeds="results/comparison/context_seeds.parquet",
    log:
        "logs/compare_contexts.log",
    benchmark:
        "logs/compare_contexts.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("compare_contexts", 3000),
        runtime=get_runtime("compare_contexts"),
    params:
        columns=get_column_records(),
        models=list(CONFIG["models"]),
        shards=len(STUDY.encoded_tokens("heldout")),
    message:
        "Compare dictionaries by the contexts of their features"
    script:
        "../workflow_scripts/compare_contexts.py"


rule measure_splitting:
    input:
        edges=get_columns("results/graphs/{model}/{sae}/edges.parquet"),
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        weights=get_columns("results/saes/{model}/{sae}/sae_weights.safetensors"),
        features=get_features_of_all(STUDY.frequency_split),
        code=get_code("measure_splitting"),
    output:
        descendants="results/comparison/descendants.parquet",
        splitting="results/comparison/splitting.parquet",
    log:
        "logs/measure_splitting.log",
    benchmark:
        "logs/measure_splitting.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("measure_splitting", 3000),
        runtime=get_runtime("measure_splitting"),
    params:
        columns=get_column_records(),
        shards=len(STUDY.encoded_tokens(STUDY.frequency_split)),
        splitting=get_interpretation("splitting"),
    message:
        "Find which features split with width"
    script:
        "../workflow_scripts/measure_splitting.py"


rule measure_ultralow:
    input:
        densities=get_columns("results/saes/{model}/{sae}/density.parquet"),
        evaluations=get_columns("results/saes/{model}/{sae}/evaluation.json"),
        weights=get_columns("results/saes/{model}/{sae}/sae_weights.safetensors"),
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        edges=get_columns("results/graphs/{model}/{sae}/edges.parquet"),
        code=get_code("measure_ultralow"),
    output:
        ultralow="results/comparison/ultralow.parquet",
    log:
        "logs/measure_ultralow.log",
    benchmark:
        "logs/measure_ultralow.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("measure_ultralow", 3000),
        runtime=get_runtime("measure_ultralow"),
    params:
        columns=STUDY.columns(),
        ultralow=get_interpretation("ultralow"),
    message:
        "Look at the features that hardly ever fire"
    script:
        "../workflow_scripts/measure_ultralow.py"


rule make_gallery:
    input:
        compared="results/comparison/contexts.parquet",
        features=get_columns("results/interpretation/{model}/{sae}/features.parquet"),
        examples=get_columns("results/interpretation/{model}/{sae}/examples.parquet"),
        tokens=get_columns("results/interpretation/{model}/{sae}/tokens.parquet"),
        contexts=get_columns("results/interpretation/{model}/{sae}/contexts.parquet"),
        lens=get_columns("results/interpretation/{model}/{sae}/lens.parquet"),
        effects=get_columns("results/interpretation/{model}/{sae}/effects.parquet"),
        steering=get_columns("results/interpretation/{model}/{sae}/steering.parquet"),
        explanations=get_columns("results/interpretation/{model}/{sae}/explanations.parquet"),
        rules=get_columns("results/interpretation/{model}/{sae}/rules.parquet"),
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        edges=get_columns("results/graphs/{model}/{sae}/edges.parquet"),
        communities=get_columns("results/graphs/{model}/{sae}/communities.parquet"),
        weights=get_columns("results/saes/{model}/{sae}/sae_weights.safetensors"),
        tokenizers=get_columns_tokenizers(),
        code=get_code("make_gallery"),
    output:
        gallery="results/comparison/gallery.json",
    log:
        "logs/make_gallery.log",
    benchmark:
        "logs/make_gallery.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("make_gallery", 2000),
        runtime=get_runtime("make_gallery"),
    params:
        columns=get_column_records(),
        ordinary=STUDY.ordinary_labels(),
        contexts=CONFIG["interpretation"]["gallery"]["contexts"],
        features=CONFIG["interpretation"]["gallery"]["features"],
        most_cosine=CONFIG["interpretation"]["gallery"]["most_cosine"],
        least=CONFIG["interpretation"]["examples"],
    message:
        "Choose the features that are shown"
    script:
        "../workflow_scripts/make_gallery.py"


rule all_comparison:
    input:
        "results/comparison/contexts.parquet",
        "results/comparison/gallery.json",
        "results/comparison/splitting.parquet",
        "results/comparison/ultralow.parquet",
        "results/comparison/best_matches.parquet",
        "results/comparison/pairs.parquet",
        "results/comparison/summary.parquet",
        "results/metrics.json",
    message:
        "The comparison is complete"
