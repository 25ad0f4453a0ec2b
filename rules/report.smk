rule all_report:
    input:
        [],
