# Tables of all columns in, figures out; one rule per family of figures that are made from tables of the same kinds, since a
# job takes longer to load its libraries than to draw a figure. A figure reads tables, never models.
#   in:  results/graphs/{model}/{sae}/, results/saes/{model}/{sae}/, results/interpretation/{model}/{sae}/,
#        results/comparison/
#   out: results/figures/{figure}.svg, .png, .csv (its data), .json (its caption)


rule plot_graphs:
    input:
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        null_nodes=get_columns("results/graphs/{model}/{sae}/nulls/tokens-0/nodes.parquet"),
        statistics=get_columns("results/graphs/{model}/{sae}/statistics.json"),
        sensitivity=get_columns("results/graphs/{model}/{sae}/sensitivity.parquet"),
        rarefaction=get_columns("results/graphs/{model}/{sae}/rarefaction.parquet"),
        matches="results/comparison/best_matches.parquet",
        code=get_code("plot_graphs"),
    output:
        svg=expand("results/figures/{figure}.svg", figure=FAMILIES["graphs"]),
        png=expand("results/figures/{figure}.png", figure=FAMILIES["graphs"]),
        csv=expand("results/figures/{figure}.csv", figure=FAMILIES["graphs"]),
        caption=expand("results/figures/{figure}.json", figure=FAMILIES["graphs"]),
    log:
        "logs/plot_graphs.log",
    benchmark:
        "logs/plot_graphs.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("plot_graphs", 2000),
        runtime=get_runtime("plot_graphs"),
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        confidence=CONFIG["statistics"]["confidence"],
        live_frequency=CONFIG["graph"]["live_frequency"],
        k=CONFIG["graph"]["k"],
        include_bos=CONFIG["graph"]["include_bos"],
        rarefaction_tokens=CONFIG["sensitivity"]["rarefaction_tokens"],
        intervals={key: CONFIG["statistics"][key] for key in ("bootstrap", "confidence", "seed")},
    message:
        "Plot the graphs: degrees, frequencies, nulls, choices, universality"
    script:
        "../workflow_scripts/plot_graphs.py"


rule plot_dictionaries:
    input:
        histories=get_columns("results/saes/{model}/{sae}/history.parquet"),
        density=get_columns("results/saes/{model}/{sae}/density.parquet"),
        evaluations=get_columns("results/saes/{model}/{sae}/evaluation.json"),
        emergence=get_emergence,
        code=get_code("plot_dictionaries"),
    output:
        svg=expand("results/figures/{figure}.svg", figure=FAMILIES["dictionaries"]),
        png=expand("results/figures/{figure}.png", figure=FAMILIES["dictionaries"]),
        csv=expand("results/figures/{figure}.csv", figure=FAMILIES["dictionaries"]),
        caption=expand("results/figures/{figure}.json", figure=FAMILIES["dictionaries"]),
    log:
        "logs/plot_dictionaries.log",
    benchmark:
        "logs/plot_dictionaries.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("plot_dictionaries", 2000),
        runtime=get_runtime("plot_dictionaries"),
    params:
        columns=get_column_records(),
        watched=[record for record in get_column_records() if record[:2] in get_watched_columns()],
        dpi=CONFIG["figures"]["dpi"],
        confidence=CONFIG["statistics"]["confidence"],
    message:
        "Plot the dictionaries: training, frontier, density, emergence"
    script:
        "../workflow_scripts/plot_dictionaries.py"


rule plot_meaning:
    input:
        contexts="results/comparison/contexts.parquet",
        descendants="results/comparison/descendants.parquet",
        splitting="results/comparison/splitting.parquet",
        ultralow="results/comparison/ultralow.parquet",
        best=get_columns("results/interpretation/{model}/{sae}/contexts.parquet"),
        features=get_columns("results/interpretation/{model}/{sae}/context_features.parquet"),
        absorption=get_columns("results/interpretation/{model}/{sae}/absorption.parquet"),
        absorption_summaries=get_columns("results/interpretation/{model}/{sae}/absorption.json"),
        purity=get_columns("results/interpretation/{model}/{sae}/purity.json"),
        maps=get_columns("results/interpretation/{model}/{sae}/map.parquet"),
        map_summaries=get_columns("results/interpretation/{model}/{sae}/map.json"),
        assigned=get_columns("results/interpretation/{model}/{sae}/assigned.parquet"),
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        communities=get_columns("results/graphs/{model}/{sae}/communities.parquet"),
        code=get_code("plot_meaning"),
    output:
        svg=expand("results/figures/{figure}.svg", figure=FAMILIES["meaning"]),
        png=expand("results/figures/{figure}.png", figure=FAMILIES["meaning"]),
        csv=expand("results/figures/{figure}.csv", figure=FAMILIES["meaning"]),
        caption=expand("results/figures/{figure}.json", figure=FAMILIES["meaning"]),
    log:
        "logs/plot_meaning.log",
    benchmark:
        "logs/plot_meaning.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("plot_meaning", 2000),
        runtime=get_runtime("plot_meaning"),
    params:
        columns=get_column_records(),
        ordinary=STUDY.ordinary_labels(),
        least_cosine=CONFIG["interpretation"]["splitting"]["least_cosine"],
        contexts=CONFIG["interpretation"]["gallery"]["contexts"],
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot what features mean: contexts, purity, map, rare features, splitting, absorption"
    script:
        "../workflow_scripts/plot_meaning.py"


rule plot_behaviour:
    input:
        explanations=get_columns("results/interpretation/{model}/{sae}/explanations.parquet"),
        directions=get_columns("results/interpretation/{model}/{sae}/directions.parquet"),
        chains=get_columns("results/interpretation/{model}/{sae}/chains.parquet"),
        chain_steps=get_columns("results/interpretation/{model}/{sae}/chain_steps.parquet"),
        chain_summaries=get_columns("results/interpretation/{model}/{sae}/chains.json"),
        lenses=get_columns("results/interpretation/{model}/{sae}/lens.parquet"),
        effects=get_columns("results/interpretation/{model}/{sae}/effects.parquet"),
        effect_summaries=get_columns("results/interpretation/{model}/{sae}/effects.json"),
        steering=get_columns("results/interpretation/{model}/{sae}/steering.parquet"),
        tokenizers=get_columns_tokenizers(),
        code=get_code("plot_behaviour"),
    output:
        svg=expand("results/figures/{figure}.svg", figure=FAMILIES["behaviour"]),
        png=expand("results/figures/{figure}.png", figure=FAMILIES["behaviour"]),
        csv=expand("results/figures/{figure}.csv", figure=FAMILIES["behaviour"]),
        caption=expand("results/figures/{figure}.json", figure=FAMILIES["behaviour"]),
    log:
        "logs/plot_behaviour.log",
    benchmark:
        "logs/plot_behaviour.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("plot_behaviour", 2000),
        runtime=get_runtime("plot_behaviour"),
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot what features do: explanations, chains, effects, steering"
    script:
        "../workflow_scripts/plot_behaviour.py"


rule all_figures:
    input:
        expand("results/figures/{figure}.svg", figure=FIGURES),
    message:
        "The figures are complete"
