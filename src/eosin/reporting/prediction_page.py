"""The report of one run: predictions, and where it is known the truth, in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eosin.reporting import page_sections as sections
from eosin.reporting.gathered import check_genes, choose_genes, gather
from eosin.reporting.html import now, write_page
from eosin.reporting.maps import Thumbnail
from eosin.reporting.tables import score_tables, section_table
from eosin.types import Prediction, Section


def write_report(
    path: str | Path,
    *,
    predictions: Sequence[Prediction],
    truth: Sequence[Section] = (),
    scores: Mapping[str, Mapping[str, Any]] | None = None,
    thumbnails: Mapping[str, Thumbnail] | None = None,
    title: str = "Predicted spatial transcriptome",
    settings: Mapping[str, Any] | None = None,
    genes: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    when: str | None = None,
) -> Path:
    """Write one offline HTML file about a run.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    predictions
        One per section and model, of one panel; the first one's model is drawn, others are compared per gene.
    truth
        Measured sections, matched by name and spot id; those without a prediction are ignored.
    scores
        Model name -> metrics, as `eosin.scores.scoring` returns them (or plain numbers).
    thumbnails
        Section name -> (image uint8 [h w 3], µm per pixel).
    settings
        Resolved settings, JSON-able; shown folded.
    genes
        Genes to draw besides the best, middling and worst ones.
    notes
        Remarks shown at the top, one line each.
    when
        Time of the run as text; now by default.

    Raises
    ------
    EosinError
        No predictions, different panels, two predictions of one section by one model, an unknown gene, or a truth that
        lacks spots or genes.
    """
    run = gather(predictions, truth)
    check_genes(genes or (), run.main[0].panel)
    scores = scores or {}
    pcc = run.pcc(run.main)
    shown, calibration = choose_genes(run, pcc, genes or ()), sections.calibration_of(run)
    n_sections = len(run.main)
    return write_page(
        path,
        "prediction_page.html",
        title=title,
        lead=(run.model, sections.count(n_sections, "section"), when or now(), f"eosin {sections.version('eosin')}"),
        key_figures=sections.key_figures(run, scores, pcc),
        remarks=[*notes, *sections.remarks(run, truth)],
        reading=sections.reading(run, scores, pcc, calibration),
        score_tables=score_tables(scores) if scores else None,
        section_table=section_table(scores),
        has_truth=pcc is not None,
        gene_accuracy=sections.gene_accuracy(run, pcc),
        calibration=sections.calibration_picture(run, calibration),
        n_sections=n_sections,
        tissues=sections.tissues(run, shown, thumbnails),
        origin=sections.origin(run, settings or {}, thumbnails),
    )
