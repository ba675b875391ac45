"""The report of one run: predictions, and where it is known the truth, in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eosin.reporting import blocks
from eosin.reporting.gathered import choose_genes, gather
from eosin.reporting.html import page, tag
from eosin.reporting.maps import Thumbnail, check_genes
from eosin.storage.files import atomic_file
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
    shown = choose_genes(run, pcc, genes or ())
    body = [
        blocks.facts(run, scores, pcc),
        *(tag("p", note, class_="warn") for note in (*notes, *blocks.remarks(run, truth))),
        blocks.reading(run, scores, pcc),
        blocks.score_block(scores, has_truth=pcc is not None),
        blocks.per_gene(run, pcc),
        blocks.calibration_block(run),
        blocks.maps(run, shown, thumbnails),
        blocks.details(run, settings or {}, thumbnails),
    ]
    when = when or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    what = (run.model, blocks.count(len(run.main), "section"), when, f"eosin {blocks.version('eosin')}")
    lead = tag("p", " · ".join(what), class_="lead")
    with atomic_file(path) as partial:
        partial.write_text(page(title, lead, *body), encoding="utf-8")
    return Path(path)
