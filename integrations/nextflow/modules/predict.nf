// Expression of one slide by a trained model: eosin predict. The model knows its encoder.
process EOSIN_PREDICT {
    tag "${id}"
    label 'eosin_predict'

    input:
    tuple val(id), path(slide), path(features)
    path run

    output:
    tuple val(id), path("${id}.h5ad"), emit: prediction
    path 'versions.yml', emit: versions

    script:
    def more = task.ext.args ?: ''
    """
    eosin predict ${run} ${slide} --features ${features} -o ${id}.h5ad ${more}
    printf '"%s":\\n    eosin: %s\\n' '${task.process}' "\$(eosin --version)" > versions.yml
    """

    stub:
    """
    touch ${id}.h5ad
    printf '"%s":\\n    eosin: stub\\n' '${task.process}' > versions.yml
    """
}
