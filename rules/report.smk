# Figures, tables and the prose in report/ in, the report out.
#   in:  results/figures/, summaries of all columns and models, manifests, report/
#   out: results/report/report.html   one self-contained page, by Quarto where it is found, else by Pandoc


rule render_report:
    input:
        prose=get_prose,
        svg=get_pictures("svg"),
        captions=get_pictures("json"),
        recovery="results/ground_truth/scores.parquet",
        evaluations=get_columns("results/saes/{model}/{sae}/evaluation.json"),
        statistics=get_columns("results/graphs/{model}/{sae}/statistics.json"),
        sensitivity=get_columns("results/graphs/{model}/{sae}/sensitivity.parquet"),
        rarefaction=get_columns("results/graphs/{model}/{sae}/rarefaction.parquet"),
        pairs="results/comparison/pairs.parquet",
        best="results/comparison/best_matches.parquet",
        lens=get_columns("results/interpretation/{model}/{sae}/lens.parquet"),
        effects=get_columns("results/interpretation/{model}/{sae}/effects.parquet"),
        steering=get_columns("results/interpretation/{model}/{sae}/steering.parquet"),
        effect_summaries=get_columns("results/interpretation/{model}/{sae}/effects.json"),
        purity=get_columns("results/interpretation/{model}/{sae}/purity.json"),
        explanations=get_columns("results/interpretation/{model}/{sae}/explanations.json"),
        chain_summaries=get_columns("results/interpretation/{model}/{sae}/chains.json"),
        chains=get_columns("results/interpretation/{model}/{sae}/chains.parquet"),
        neighbours=get_columns("results/interpretation/{model}/{sae}/context_neighbours.parquet"),
        features=get_columns("results/interpretation/{model}/{sae}/features.parquet"),
        maps=get_columns("results/interpretation/{model}/{sae}/map.json"),
        absorption=get_columns("results/interpretation/{model}/{sae}/absorption.parquet"),
        absorption_summaries=get_columns("results/interpretation/{model}/{sae}/absorption.json"),
        proxies=get_models_contexts("proxies.parquet"),
        contexts="results/comparison/contexts.parquet",
        seeds="results/comparison/context_seeds.parquet",
        splitting="results/comparison/splitting.parquet",
        ultralow="results/comparison/ultralow.parquet",
        gallery="results/comparison/gallery.json",
        models=get_models("results/activations/{model}/evaluation.json"),
        corpus="results/corpus/manifest.json",
        tokens=expand("results/tokens/{tokenizer}/manifest.json", tokenizer=STUDY.tokenizers()),
        code=get_code("render_report"),
    output:
        report="results/report/report.html",
    log:
        "logs/render_report.log",
    benchmark:
        "logs/render_report.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("render_report", 2000),
        runtime=get_runtime("render_report"),
    params:
        config=RECORDED,
        tokenizers=STUDY.tokenizers(),
    message:
        "Render the report"
    script:
        "../workflow_scripts/render_report.py"


rule all_report:
    input:
        "results/report/report.html",
    message:
        "The report is complete"
