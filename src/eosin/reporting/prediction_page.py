"""The report of one run: predictions, and where it is known the truth, in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eosin.plurals import counted
from eosin.reporting import page_sections as sections
from eosin.reporting.gathered import check_genes, gather
from eosin.reporting.gene_rows import gene_numbers
from eosin.reporting.gene_table import gene_table
from eosin.reporting.html import json_for_script, now, write_page
from eosin.reporting.map_data import map_data
from eosin.reporting.maps import Thumbnail
from eosin.reporting.tables import score_tables, section_table
from eosin.reporting.verdicts import alike_sentence, genes_sentence, verdicts
from eosin.reporting.words import HOW_TO_READ, RESEARCH_ONLY
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

    The slide with the maps of all genes stands first, beside three answers: better than the ridge? more than depth? a
    slide like training? Then all genes as one table, the error bars, the conventions, and where all comes from.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    predictions
        One per section and model, of one panel; the page is about the first one's model, others stand beside it.
    truth
        Measured sections, matched by name and spot id; those without a prediction are ignored.
    scores
        Model name -> metrics, as `eosin.scores.scoring` returns them (or plain numbers).
    thumbnails
        Section name -> (image uint8 [h w 3], µm per pixel).
    settings
        Resolved settings, JSON-able; shown folded.
    genes
        Genes to show first, before the best ones.
    notes
        Remarks shown at the top, one line each.
    when
        Time of the run as text; now by default.

    Raises
    ------
    EosinError
        No predictions, or one without spots; different panels, two predictions of one section by one model, an unknown
        gene, or a truth that lacks spots or genes.
    """
    run = gather(predictions, truth)
    panel = run.main[0].panel
    check_genes(genes or (), panel)
    scores = scores or {}
    small, without_slide = sections.slides(run, thumbnails)
    numbers = gene_numbers(run, scores)
    maps = map_data(run, numbers.order(run, genes or ()), small)
    calibration = sections.calibration_of(run)
    n_sections = len(run.main)
    return write_page(
        path,
        "prediction_page.html",
        title=title,
        lead=(
            run.model,
            counted(n_sections, "section"),
            when or now(),
            f"eosin {sections.version('eosin')}",
            "for research only",
        ),
        remarks=[*notes, *sections.remarks(run, truth)],
        answers=verdicts(run, numbers, scores),
        key_figures=sections.key_figures(run, scores, numbers.pcc),
        maps=json_for_script(maps.record),
        picture=sections.first_picture(run, panel.names[maps.columns[0]], small),
        left_out=[*maps.notes, *without_slide],
        genes=gene_table(numbers, maps.columns),
        n_genes=len(panel),
        sentences=[text for text in (genes_sentence(numbers.pcc, panel.names), alike_sentence(run)) if text],
        bars=sections.error_bars(run, calibration),
        how_to_read=[*HOW_TO_READ, RESEARCH_ONLY],
        score_tables=score_tables(scores) if scores else None,
        section_table=section_table(scores),
        origin=sections.origin(run, settings or {}, thumbnails),
    )
