// Features of one slide or section: eosin encode, a file for each section.
process EOSIN_ENCODE {
    tag "${id}"
    label 'eosin_encode'

    input:
    tuple val(id), path(slide)
    val encoder

    output:
    tuple val(id), path(slide, includeInputs: true), path('features'), emit: features
    path 'versions.yml', emit: versions

    script:
    def more = task.ext.args ?: ''
    """
    eosin encode ${slide} -o features --encoder '${encoder}' ${more}
    printf '"%s":\\n    eosin: %s\\n' '${task.process}' "\$(eosin --version)" > versions.yml
    """

    stub:
    """
    mkdir features
    printf '"%s":\\n    eosin: stub\\n' '${task.process}' > versions.yml
    """
}
