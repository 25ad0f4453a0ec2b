# Tables of all columns in, figures out; one rule per figure. A figure reads tables, never models.
#   in:  results/graphs/{model}/{sae}/, results/saes/{model}/{sae}/
#   out: results/figures/{figure}.svg, .png, .csv (its data), .json (its caption)


rule plot_degree_distribution:
    input:
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        null_nodes=get_columns("results/graphs/{model}/{sae}/nulls/tokens-0/nodes.parquet"),
        code=get_code("plot_degree_distribution"),
    output:
        svg="results/figures/degree_distribution.svg",
        png="results/figures/degree_distribution.png",
        csv="results/figures/degree_distribution.csv",
        caption="results/figures/degree_distribution.json",
    log:
        "logs/plot_degree_distribution.log",
    benchmark:
        "logs/plot_degree_distribution.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        confidence=CONFIG["statistics"]["confidence"],
    message:
        "Plot the distribution of degree"
    script:
        "../workflow_scripts/plot_degree_distribution.py"


rule plot_log_degree_distribution:
    input:
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        null_nodes=get_columns("results/graphs/{model}/{sae}/nulls/tokens-0/nodes.parquet"),
        statistics=get_columns("results/graphs/{model}/{sae}/statistics.json"),
        code=get_code("plot_log_degree_distribution"),
    output:
        svg="results/figures/log_degree_distribution.svg",
        png="results/figures/log_degree_distribution.png",
        csv="results/figures/log_degree_distribution.csv",
        caption="results/figures/log_degree_distribution.json",
    log:
        "logs/plot_log_degree_distribution.log",
    benchmark:
        "logs/plot_log_degree_distribution.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot the distribution of log degree"
    script:
        "../workflow_scripts/plot_log_degree_distribution.py"


rule plot_frequency_distribution:
    input:
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        statistics=get_columns("results/graphs/{model}/{sae}/statistics.json"),
        code=get_code("plot_frequency_distribution"),
    output:
        svg="results/figures/frequency_distribution.svg",
        png="results/figures/frequency_distribution.png",
        csv="results/figures/frequency_distribution.csv",
        caption="results/figures/frequency_distribution.json",
    log:
        "logs/plot_frequency_distribution.log",
    benchmark:
        "logs/plot_frequency_distribution.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        live_frequency=CONFIG["graph"]["live_frequency"],
        confidence=CONFIG["statistics"]["confidence"],
    message:
        "Plot the distribution of frequency"
    script:
        "../workflow_scripts/plot_frequency_distribution.py"


rule plot_degree_frequency:
    input:
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        null_nodes=get_columns("results/graphs/{model}/{sae}/nulls/tokens-0/nodes.parquet"),
        statistics=get_columns("results/graphs/{model}/{sae}/statistics.json"),
        code=get_code("plot_degree_frequency"),
    output:
        svg="results/figures/degree_frequency.svg",
        png="results/figures/degree_frequency.png",
        csv="results/figures/degree_frequency.csv",
        caption="results/figures/degree_frequency.json",
    log:
        "logs/plot_degree_frequency.log",
    benchmark:
        "logs/plot_degree_frequency.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        confidence=CONFIG["statistics"]["confidence"],
    message:
        "Plot degree against frequency"
    script:
        "../workflow_scripts/plot_degree_frequency.py"


rule plot_null_comparison:
    input:
        statistics=get_columns("results/graphs/{model}/{sae}/statistics.json"),
        code=get_code("plot_null_comparison"),
    output:
        svg="results/figures/null_comparison.svg",
        png="results/figures/null_comparison.png",
        csv="results/figures/null_comparison.csv",
        caption="results/figures/null_comparison.json",
    log:
        "logs/plot_null_comparison.log",
    benchmark:
        "logs/plot_null_comparison.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        columns=get_column_records(),
        confidence=CONFIG["statistics"]["confidence"],
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot the statistics of every graph beside their nulls"
    script:
        "../workflow_scripts/plot_null_comparison.py"


rule plot_saturation:
    input:
        sensitivity=get_columns("results/graphs/{model}/{sae}/sensitivity.parquet"),
        code=get_code("plot_saturation"),
    output:
        svg="results/figures/saturation.svg",
        png="results/figures/saturation.png",
        csv="results/figures/saturation.csv",
        caption="results/figures/saturation.json",
    log:
        "logs/plot_saturation.log",
    benchmark:
        "logs/plot_saturation.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        k=CONFIG["graph"]["k"],
        include_bos=CONFIG["graph"]["include_bos"],
    message:
        "Plot the graphs against the number of batches"
    script:
        "../workflow_scripts/plot_saturation.py"


rule plot_sensitivity:
    input:
        sensitivity=get_columns("results/graphs/{model}/{sae}/sensitivity.parquet"),
        code=get_code("plot_sensitivity"),
    output:
        svg="results/figures/sensitivity.svg",
        png="results/figures/sensitivity.png",
        csv="results/figures/sensitivity.csv",
        caption="results/figures/sensitivity.json",
    log:
        "logs/plot_sensitivity.log",
    benchmark:
        "logs/plot_sensitivity.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        k=CONFIG["graph"]["k"],
        include_bos=CONFIG["graph"]["include_bos"],
    message:
        "Plot the graphs by sets and special positions"
    script:
        "../workflow_scripts/plot_sensitivity.py"


rule plot_rarefied_degree:
    input:
        rarefaction=get_columns("results/graphs/{model}/{sae}/rarefaction.parquet"),
        code=get_code("plot_rarefied_degree"),
    output:
        svg="results/figures/rarefied_degree.svg",
        png="results/figures/rarefied_degree.png",
        csv="results/figures/rarefied_degree.csv",
        caption="results/figures/rarefied_degree.json",
    log:
        "logs/plot_rarefied_degree.log",
    benchmark:
        "logs/plot_rarefied_degree.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        rarefaction_tokens=CONFIG["sensitivity"]["rarefaction_tokens"],
        intervals={key: CONFIG["statistics"][key] for key in ("bootstrap", "confidence", "seed")},
    message:
        "Plot degree at an equal number of tokens"
    script:
        "../workflow_scripts/plot_rarefied_degree.py"


rule plot_sae_loss_sparsity:
    input:
        histories=get_columns("results/saes/{model}/{sae}/history.parquet"),
        evaluations=get_columns("results/saes/{model}/{sae}/evaluation.json"),
        code=get_code("plot_sae_loss_sparsity"),
    output:
        svg="results/figures/sae_loss_sparsity.svg",
        png="results/figures/sae_loss_sparsity.png",
        csv="results/figures/sae_loss_sparsity.csv",
        caption="results/figures/sae_loss_sparsity.json",
    log:
        "logs/plot_sae_loss_sparsity.log",
    benchmark:
        "logs/plot_sae_loss_sparsity.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot loss and sparsity of the SAEs"
    script:
        "../workflow_scripts/plot_sae_loss_sparsity.py"


rule plot_frontier:
    input:
        evaluations=get_columns("results/saes/{model}/{sae}/evaluation.json"),
        code=get_code("plot_frontier"),
    output:
        svg="results/figures/frontier.svg",
        png="results/figures/frontier.png",
        csv="results/figures/frontier.csv",
        caption="results/figures/frontier.json",
    log:
        "logs/plot_frontier.log",
    benchmark:
        "logs/plot_frontier.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot the frontier of sparsity and reconstruction"
    script:
        "../workflow_scripts/plot_frontier.py"


rule plot_feature_density:
    input:
        density=get_columns("results/saes/{model}/{sae}/density.parquet"),
        evaluations=get_columns("results/saes/{model}/{sae}/evaluation.json"),
        code=get_code("plot_feature_density"),
    output:
        svg="results/figures/feature_density.svg",
        png="results/figures/feature_density.png",
        csv="results/figures/feature_density.csv",
        caption="results/figures/feature_density.json",
    log:
        "logs/plot_feature_density.log",
    benchmark:
        "logs/plot_feature_density.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
        confidence=CONFIG["statistics"]["confidence"],
    message:
        "Plot feature density on held-out tokens"
    script:
        "../workflow_scripts/plot_feature_density.py"


rule plot_emergence:
    input:
        summaries=get_emergence,
        code=get_code("plot_emergence"),
    output:
        svg="results/figures/emergence.svg",
        png="results/figures/emergence.png",
        csv="results/figures/emergence.csv",
        caption="results/figures/emergence.json",
    log:
        "logs/plot_emergence.log",
    benchmark:
        "logs/plot_emergence.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        columns=[record for record in get_column_records() if record[:2] in get_watched_columns()],
        dpi=CONFIG["figures"]["dpi"],
        confidence=CONFIG["statistics"]["confidence"],
    message:
        "Plot when features emerge in training"
    script:
        "../workflow_scripts/plot_emergence.py"


rule plot_contexts:
    input:
        contexts="results/comparison/contexts.parquet",
        code=get_code("plot_contexts"),
    output:
        svg="results/figures/contexts.svg",
        png="results/figures/contexts.png",
        csv="results/figures/contexts.csv",
        caption="results/figures/contexts.json",
    log:
        "logs/plot_contexts.log",
    benchmark:
        "logs/plot_contexts.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        columns=get_column_records(),
        ordinary=STUDY.ordinary_labels(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot how well features detect contexts"
    script:
        "../workflow_scripts/plot_contexts.py"


rule plot_context_heatmap:
    input:
        contexts="results/comparison/contexts.parquet",
        best=get_columns("results/interpretation/{model}/{sae}/contexts.parquet"),
        features=get_columns("results/interpretation/{model}/{sae}/context_features.parquet"),
        code=get_code("plot_context_heatmap"),
    output:
        svg="results/figures/context_heatmap.svg",
        png="results/figures/context_heatmap.png",
        csv="results/figures/context_heatmap.csv",
        caption="results/figures/context_heatmap.json",
    log:
        "logs/plot_context_heatmap.log",
    benchmark:
        "logs/plot_context_heatmap.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        columns=get_column_records(),
        ordinary=STUDY.ordinary_labels(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot features by contexts"
    script:
        "../workflow_scripts/plot_context_heatmap.py"


rule plot_explanations:
    input:
        explanations=get_columns("results/interpretation/{model}/{sae}/explanations.parquet"),
        directions=get_columns("results/interpretation/{model}/{sae}/directions.parquet"),
        code=get_code("plot_explanations"),
    output:
        svg="results/figures/explanations.svg",
        png="results/figures/explanations.png",
        csv="results/figures/explanations.csv",
        caption="results/figures/explanations.json",
    log:
        "logs/plot_explanations.log",
    benchmark:
        "logs/plot_explanations.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot how well rules predict features"
    script:
        "../workflow_scripts/plot_explanations.py"


rule plot_chains:
    input:
        summaries=get_columns("results/interpretation/{model}/{sae}/chains.json"),
        chains=get_columns("results/interpretation/{model}/{sae}/chains.parquet"),
        steps=get_columns("results/interpretation/{model}/{sae}/chain_steps.parquet"),
        tokenizers=get_columns_tokenizers(),
        code=get_code("plot_chains"),
    output:
        svg="results/figures/chains.svg",
        png="results/figures/chains.png",
        csv="results/figures/chains.csv",
        caption="results/figures/chains.json",
    log:
        "logs/plot_chains.log",
    benchmark:
        "logs/plot_chains.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        columns=get_column_records(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot features that hand over to one another"
    script:
        "../workflow_scripts/plot_chains.py"


rule plot_splitting:
    input:
        descendants="results/comparison/descendants.parquet",
        splitting="results/comparison/splitting.parquet",
        contexts="results/comparison/contexts.parquet",
        code=get_code("plot_splitting"),
    output:
        svg="results/figures/splitting.svg",
        png="results/figures/splitting.png",
        csv="results/figures/splitting.csv",
        caption="results/figures/splitting.json",
    log:
        "logs/plot_splitting.log",
    benchmark:
        "logs/plot_splitting.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        columns=get_column_records(),
        least_cosine=CONFIG["interpretation"]["splitting"]["least_cosine"],
        contexts=CONFIG["interpretation"]["gallery"]["contexts"],
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot how features split with width"
    script:
        "../workflow_scripts/plot_splitting.py"


rule plot_feature_map:
    input:
        maps=get_columns("results/interpretation/{model}/{sae}/map.parquet"),
        summaries=get_columns("results/interpretation/{model}/{sae}/map.json"),
        nodes=get_columns("results/graphs/{model}/{sae}/nodes.parquet"),
        communities=get_columns("results/graphs/{model}/{sae}/communities.parquet"),
        assigned=get_columns("results/interpretation/{model}/{sae}/assigned.parquet"),
        contexts="results/comparison/contexts.parquet",
        code=get_code("plot_feature_map"),
    output:
        svg="results/figures/feature_map.svg",
        png="results/figures/feature_map.png",
        csv="results/figures/feature_map.csv",
        caption="results/figures/feature_map.json",
    log:
        "logs/plot_feature_map.log",
    benchmark:
        "logs/plot_feature_map.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        columns=get_column_records(),
        ordinary=STUDY.ordinary_labels(),
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot where features lie"
    script:
        "../workflow_scripts/plot_feature_map.py"


rule all_figures:
    input:
        expand("results/figures/{figure}.svg", figure=FIGURES),
    message:
        "The figures are complete"
