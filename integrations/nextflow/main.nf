#!/usr/bin/env nextflow
// Slides in, predictions and pages out:
//   nextflow run integrations/nextflow --slides slides.csv --run RUN --outdir results
// slides.csv has the columns id and path; RUN is what eosin train wrote.

include { EOSIN_ENCODE } from './modules/encode'
include { EOSIN_PREDICT } from './modules/predict'
include { EOSIN_REPORT } from './modules/report'

workflow {
    if (!params.slides || !params.run) {
        error 'give --slides TABLE (columns id, path) and --run RUN (what eosin train wrote)'
    }
    slides = Channel
        .fromPath(params.slides, checkIfExists: true)
        .splitCsv(header: true)
        .map { row -> tuple(row.id, file(row.path, checkIfExists: true)) }
    run = Channel.value(file(params.run, checkIfExists: true))

    EOSIN_ENCODE(slides, params.encoder)
    EOSIN_PREDICT(EOSIN_ENCODE.out.features, run)
    EOSIN_REPORT(EOSIN_PREDICT.out.prediction)
}
