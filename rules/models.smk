# Token streams in, model folders out.
#   in:  results/tokens/{tokenizer}/{split}.safetensors, or a model folder of the user
#   out: results/models/{model}/                    a Hugging Face folder, whatever the kind
#        results/models/{model}/history.parquet     loss over training (kind trained)


rule train_model:
    input:
        tokens=get_train_tokens,
        tokenizer=get_tokenizer,
        code=get_code("train_model"),
    output:
        model=[f"results/models/{{model}}/{name}" for name in MODEL_FILES],
        history="results/models/{model}/history.parquet",
    log:
        "logs/train_model/{model}.log",
    benchmark:
        "logs/train_model/{model}.tsv"
    wildcard_constraints:
        model=get_pattern(STUDY.models_of("trained")),
    conda:
        "../envs/study.yaml"
    threads: 2
    resources:
        mem_mb=get_memory("train_model", 3000),
        runtime=get_runtime("train_model", unknown=120),
        gpu=get_gpus,
    params:
        settings=get_model_settings,
    message:
        "Train model {wildcards.model}"
    script:
        "../workflow_scripts/train_model.py"


rule import_model:
    input:
        source=get_model_source,
        code=get_code("import_model"),
    output:
        model=[f"results/models/{{model}}/{name}" for name in MODEL_FILES],
    log:
        "logs/import_model/{model}.log",
    benchmark:
        "logs/import_model/{model}.tsv"
    wildcard_constraints:
        model=get_pattern(STUDY.models_of("local", "hub")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("import_model", 3000),
        runtime=get_runtime("import_model"),
    params:
        settings=get_model_settings,
    message:
        "Take over model {wildcards.model}"
    script:
        "../workflow_scripts/import_model.py"


rule initialize_model:
    input:
        like=get_like_files,
        tokenizer=get_tokenizer,
        tokens=get_train_tokens,
        code=get_code("initialize_model"),
    output:
        model=[f"results/models/{{model}}/{name}" for name in MODEL_FILES],
    log:
        "logs/initialize_model/{model}.log",
    benchmark:
        "logs/initialize_model/{model}.tsv"
    wildcard_constraints:
        model=get_pattern(STUDY.models_of("untrained")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("initialize_model", 3000),
        runtime=get_runtime("initialize_model"),
    params:
        settings=get_model_settings,
        like=get_like_settings,
        context_length=CONFIG["corpus"]["context_length"],
    message:
        "Make the weights of untrained model {wildcards.model}"
    script:
        "../workflow_scripts/initialize_model.py"


rule all_models:
    input:
        get_models("results/models/{model}/model.safetensors"),
    message:
        "The models are complete"
