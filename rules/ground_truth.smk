# Settings of synthetic activations and families of SAEs in, how well the SAEs find the known directions out.
# Without `ground_truth.enabled` in the configuration there is nothing but an empty table.
#   in:  the configuration
#   out: results/ground_truth/activations.safetensors, directions.safetensors   what is planted
#        results/ground_truth/{sae}/truths.parquet, features.parquet, scores.json, history.parquet
#        results/ground_truth/scores.parquet                                    one row per SAE
#        results/ground_truth/recovery.svg, .png, .csv (its data), .json (its caption)


rule plant_directions:
    input:
        code=get_code("plant_directions"),
    output:
        activations="results/ground_truth/activations.safetensors",
        directions="results/ground_truth/directions.safetensors",
    log:
        "logs/plant_directions.log",
    benchmark:
        "logs/plant_directions.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("plant_directions", 2000),
        runtime=get_runtime("plant_directions"),
    params:
        truth=CONFIG["ground_truth"],
    message:
        "Plant known directions in synthetic activations"
    script:
        "../workflow_scripts/plant_directions.py"


rule recover_directions:
    input:
        activations="results/ground_truth/activations.safetensors",
        code=get_code("recover_directions"),
    output:
        truths="results/ground_truth/{sae}/truths.parquet",
        features="results/ground_truth/{sae}/features.parquet",
        scores="results/ground_truth/{sae}/scores.json",
        history="results/ground_truth/{sae}/history.parquet",
    log:
        "logs/recover_directions/{sae}.log",
    benchmark:
        "logs/recover_directions/{sae}.tsv"
    wildcard_constraints:
        sae=get_pattern(RECOVERED),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("recover_directions", 3000),
        runtime=get_runtime("recover_directions", unknown=120),
        gpu=get_gpus,
    params:
        truth=CONFIG["ground_truth"],
        settings=get_sae_settings,
    message:
        "Train {wildcards.sae} on planted directions and score what it finds"
    script:
        "../workflow_scripts/recover_directions.py"


rule summarize_recovery:
    input:
        scores=expand("results/ground_truth/{sae}/scores.json", sae=RECOVERED),
        code=get_code("summarize_recovery"),
    output:
        scores="results/ground_truth/scores.parquet",
    log:
        "logs/summarize_recovery.log",
    benchmark:
        "logs/summarize_recovery.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("summarize_recovery", 1000),
        runtime=get_runtime("summarize_recovery"),
    params:
        architectures={sae: STUDY.sae_settings(sae)["architecture"] for sae in RECOVERED},
    message:
        "Summarize what SAEs find of the planted directions"
    script:
        "../workflow_scripts/summarize_recovery.py"


rule plot_ground_truth:
    input:
        truths=expand("results/ground_truth/{sae}/truths.parquet", sae=RECOVERED),
        code=get_code("plot_ground_truth"),
    output:
        svg="results/ground_truth/recovery.svg",
        png="results/ground_truth/recovery.png",
        csv="results/ground_truth/recovery.csv",
        caption="results/ground_truth/recovery.json",
    log:
        "logs/plot_ground_truth.log",
    benchmark:
        "logs/plot_ground_truth.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("plot_ground_truth", 1000),
        runtime=get_runtime("plot_ground_truth"),
    params:
        saes=RECOVERED,
        truth=CONFIG["ground_truth"],
        dpi=CONFIG["figures"]["dpi"],
    message:
        "Plot the planted directions that are found by how often they fire"
    script:
        "../workflow_scripts/plot_ground_truth.py"


rule all_ground_truth:
    input:
        "results/ground_truth/scores.parquet",
        ["results/ground_truth/recovery.svg"] if RECOVERED else [],
    message:
        "The SAEs are held against known directions"
