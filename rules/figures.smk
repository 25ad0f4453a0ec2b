rule all_figures:
    input:
        [],
