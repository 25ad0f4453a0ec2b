# Sources in, token streams out.
#   in:  packages of the environment, generated passages, files (config: corpus.sources)
#   out: results/corpus/{split}.parquet, manifest.json      documents, deduplicated, shuffled, split
#        results/tokenizers/{tokenizer}/                    one tokenizer per kind of model
#        results/tokens/{tokenizer}/{split}.safetensors     token, document and label ids


rule collect_corpus:
    input:
        files=get_source_files,
        hub=get_hub_documents,
        code=get_code("collect_corpus"),
    output:
        train="results/corpus/train.parquet",
        heldout="results/corpus/heldout.parquet",
        manifest="results/corpus/manifest.json",
    log:
        "logs/collect_corpus.log",
    benchmark:
        "logs/collect_corpus.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("collect_corpus", 3000),
        runtime=get_runtime("collect_corpus"),
    params:
        corpus={
            key: CONFIG["corpus"][key]
            for key in ("sources", "seed", "heldout_share", "train_tokens", "heldout_tokens")
        },
    message:
        "Collect, deduplicate, shuffle and split the documents"
    script:
        "../workflow_scripts/collect_corpus.py"


rule train_tokenizer:
    input:
        train="results/corpus/train.parquet",
        code=get_code("train_tokenizer"),
    output:
        tokenizer="results/tokenizers/{tokenizer}/tokenizer.json",
        config="results/tokenizers/{tokenizer}/tokenizer_config.json",
    log:
        "logs/train_tokenizer/{tokenizer}.log",
    benchmark:
        "logs/train_tokenizer/{tokenizer}.tsv"
    wildcard_constraints:
        tokenizer="corpus",
    conda:
        "../envs/study.yaml"
    threads: 2
    resources:
        mem_mb=get_memory("train_tokenizer", 3000),
        runtime=get_runtime("train_tokenizer"),
    params:
        vocabulary=CONFIG["corpus"]["vocabulary"],
    message:
        "Train the byte-level BPE tokenizer of the corpus"
    script:
        "../workflow_scripts/train_tokenizer.py"


rule import_tokenizer:
    input:
        source=get_tokenizer_source,
        code=get_code("import_tokenizer"),
    output:
        tokenizer="results/tokenizers/{tokenizer}/tokenizer.json",
        config="results/tokenizers/{tokenizer}/tokenizer_config.json",
    log:
        "logs/import_tokenizer/{tokenizer}.log",
    benchmark:
        "logs/import_tokenizer/{tokenizer}.tsv"
    wildcard_constraints:
        tokenizer=get_pattern(STUDY.models_of("local", "hub")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("import_tokenizer", 2000),
        runtime=get_runtime("import_tokenizer"),
    params:
        settings=get_tokenizer_settings,
    message:
        "Take over the tokenizer of model {wildcards.tokenizer}"
    script:
        "../workflow_scripts/import_tokenizer.py"


rule tokenize_corpus:
    input:
        train="results/corpus/train.parquet",
        heldout="results/corpus/heldout.parquet",
        tokenizer=rules.train_tokenizer.output.tokenizer,
        code=get_code("tokenize_corpus"),
    output:
        train="results/tokens/{tokenizer}/train.safetensors",
        heldout="results/tokens/{tokenizer}/heldout.safetensors",
        manifest="results/tokens/{tokenizer}/manifest.json",
    log:
        "logs/tokenize_corpus/{tokenizer}.log",
    benchmark:
        "logs/tokenize_corpus/{tokenizer}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 2
    resources:
        mem_mb=get_memory("tokenize_corpus", 3000),
        runtime=get_runtime("tokenize_corpus"),
    params:
        corpus={
            key: CONFIG["corpus"][key]
            for key in ("sources", "train_tokens", "heldout_tokens", "context_length", "packing", "prepend_bos")
        },
    message:
        "Tokenize the corpus with tokenizer {wildcards.tokenizer}"
    script:
        "../workflow_scripts/tokenize_corpus.py"


rule all_corpus:
    input:
        "results/corpus/manifest.json",
        expand("results/tokens/{tokenizer}/manifest.json", tokenizer=STUDY.tokenizers()),
    message:
        "The corpus is complete"
