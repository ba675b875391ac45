// The page of one prediction: eosin report. It opens without a network.
process EOSIN_REPORT {
    tag "${id}"
    label 'eosin_report'

    input:
    tuple val(id), path(prediction)

    output:
    tuple val(id), path("${id}.html"), emit: page
    path 'versions.yml', emit: versions

    script:
    def more = task.ext.args ?: ''
    """
    eosin report ${prediction} -o ${id}.html ${more}
    printf '"%s":\\n    eosin: %s\\n' '${task.process}' "\$(eosin --version)" > versions.yml
    """

    stub:
    """
    touch ${id}.html
    printf '"%s":\\n    eosin: stub\\n' '${task.process}' > versions.yml
    """
}
