"""Error bars and verdicts for predictions of any tool, learned from patients whose truth is known.

Predictions and measured values of calibration patients are compared; what is left over is taken for what a model leaves
over of patients it has not seen. The mean miss of a gene over patients is added to later predictions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from eosin.errors import EosinError
from eosin.genes import target, totals
from eosin.models.parts.named_arrays import below, tensors, under
from eosin.models.parts.patients import KINDS, within_sections
from eosin.plurals import counted
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go, scratch_table
from eosin.trust.error_model import FEWEST_SPOTS, ErrorModel, learn_errors
from eosin.trust.left_over import LeftOver
from eosin.types import GenePanel, Prediction, Section

log = logging.getLogger("eosin")

_VALUES_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was learned from the misses of a tool's predictions.

    Attributes
    ----------
    panel
        The genes, and the scale of the values.
    offset
        [g] what is added to a predicted mean.
    errors
        Error bars around it.
    made_of
        Model and encoder of the predictions, their sections and patients: JSON-able.
    """

    panel: GenePanel
    offset: np.ndarray
    errors: ErrorModel
    made_of: Mapping[str, Any]

    @classmethod
    def learn(cls, pairs: Sequence[tuple[Prediction, Section]], *, conformal: bool = False) -> Calibration:
        """Of predictions, and the measured section of each, which their model must not have seen.

        Genes that all predictions have are calibrated.

        Raises
        ------
        EosinError
            No prediction, one section twice or with fewer than `FEWEST_SPOTS` spots, no gene in common, several models,
            encoders or scales; predictions that are calibrated already; too few patients for conformal intervals; a
            model that was trained on one of the sections or patients.
        """
        if not pairs:
            raise EosinError("there is no prediction to calibrate", fix="predict at least one measured section")
        made_of = _one_kind(pairs)
        first = pairs[0][0].panel
        genes = [g for g in first.names if all(g in p.panel.names for p, _ in pairs)]
        if not genes:
            raise EosinError("the predictions have no gene in common", fix="calibrate predictions of one panel")
        panel = GenePanel(tuple(genes), first.transform, "calibrated")
        measured, missed, slide, patient, depth, xy = [], [], [], [], [], []
        names = tuple(dict.fromkeys(section.patient for _, section in pairs))
        for number, (prediction, section) in enumerate(pairs):
            columns = [prediction.panel.names.index(gene) for gene in genes]
            spots = section.at(prediction.spots.ids)
            truth = target(spots, panel)
            measured.append(truth)
            missed.append(truth - prediction.mean[:, columns])
            slide.append(np.full(len(truth), number))
            patient.append(np.full(len(truth), names.index(section.patient)))
            depth.append(np.log1p(totals(spots)))
            xy.append(prediction.spots.xy_um)
        residual, slides, patients = np.concatenate(missed), np.concatenate(slide), np.concatenate(patient)
        offset = np.mean([residual[patients == p].mean(0, dtype=np.float64) for p in range(len(names))], axis=0)
        truth = np.concatenate(measured)
        missing = residual - _offset_of_others(residual, patients, len(names))
        left_over = LeftOver(missing, slides, patients, truth, np.concatenate(depth), np.concatenate(xy))
        within = np.sqrt(np.square(within_sections(truth, slides)).mean(0))
        errors = learn_errors(left_over, None, within, names, whose="calibration")
        if conformal:
            errors = errors.made_conformal(left_over)
        return cls(panel, offset, errors, made_of)

    def apply(self, prediction: Prediction) -> Prediction:
        """A prediction of the same kind for a new patient: mean with the offset, error bars, verdicts on genes.

        Genes that were not calibrated are left out, and said. Several draws are drawn again, around the new mean.

        Raises
        ------
        EosinError
            Another scale, encoder or model than those calibrated, a prediction that is calibrated already, or no gene
            that was calibrated.
        """
        self._need_same_kind(prediction)
        if self.is_of_patient_trained_on(prediction):
            log.warning(
                "%s: its patient was trained on, the calibration is of new patients: intervals are too wide here",
                prediction.section,
            )
        prediction = self._of_calibrated_genes(prediction)
        columns = self._columns_of(prediction.panel)
        mean = np.maximum(prediction.mean + self.offset[columns], 0).astype(np.float32)
        new = self.errors.new
        bars = self.errors.bars("", smallest=0.0).of_genes(columns)
        trust = None if new.genes is None else new.genes.of_genes(columns)
        provenance = {**prediction.provenance, "calibration": dict(self.made_of)}
        return replace(
            prediction,
            draws=self.draws_around(mean, prediction.panel, prediction),
            mirrored=False,
            centre=mean,
            error_bars=bars,
            trust=trust,
            provenance=provenance,
        )

    def _of_calibrated_genes(self, prediction: Prediction) -> Prediction:
        known = set(self.panel.names)
        kept = [j for j, gene in enumerate(prediction.panel.names) if gene in known]
        unknown = [gene for gene in prediction.panel.names if gene not in known]
        if not kept:
            raise EosinError(
                f"no gene of the prediction was calibrated, first '{unknown[0]}'",
                fix="calibrate predictions of the same panel",
            )
        if not unknown:
            return prediction
        log.warning(
            "%s: %s left out that the calibration lacks, first '%s'",
            prediction.section,
            counted(len(unknown), "gene"),
            unknown[0],
        )
        return prediction.of_genes(kept, prediction.panel.of_genes(kept))

    def draws_around(self, mean: np.ndarray, panel: GenePanel, prediction: Prediction) -> np.ndarray:
        """As many draws [k s g] as the prediction has, of the calibrated distribution; the mean for a single one.

        `mean` [s g] is that of the genes of `panel`, all calibrated, with the offset; it may lie on disk. Number of
        draws, seed and places are the prediction's.
        """
        n_draws = prediction.n_draws
        if n_draws == 1 or not self.errors.can_draw(""):
            return mean[None]
        columns = self._columns_of(panel)
        whole = scratch_table((len(mean), len(self.panel)))
        drawn, kept = scratch_table((n_draws, *whole.shape)), scratch_table((n_draws, *mean.shape))
        blocks = list(row_blocks(len(mean), budget=_VALUES_AT_ONCE, per_row=n_draws * whole.shape[1]))
        for rows in blocks:
            whole[rows, columns] = mean[rows]
            let_go(whole, mean)
        self.errors.draws(whole, prediction.spots.xy_um, "", n_draws, prediction.seed, out=drawn)
        for rows in blocks:
            kept[:, rows] = drawn[:, rows][:, :, columns]
            let_go(kept, drawn)
        return kept

    def _columns_of(self, panel: GenePanel) -> list[int]:
        """Place of each gene of a panel among the calibrated ones."""
        place = {gene: j for j, gene in enumerate(self.panel.names)}
        return [place[gene] for gene in panel.names]

    @staticmethod
    def is_of_patient_trained_on(prediction: Prediction) -> bool:
        """Whether a prediction of eosin's says that its patient was trained on."""
        bars = prediction.error_bars
        return bars is not None and bars.kind == KINDS[1] and not prediction.provenance.get("adapted_to")

    def _need_same_kind(self, prediction: Prediction) -> None:
        theirs = _kind(prediction)
        for key, ours in self.made_of["kind"].items():
            if theirs.get(key) != ours:
                raise EosinError(
                    f"the calibration is of {key} '{ours}', the prediction of {key} '{theirs.get(key)}'",
                    fix="calibrate predictions that were made in the same way",
                )

    def arrays(self) -> dict[str, Tensor]:
        """All numbers as tensors; `of` takes them back, beside `facts`."""
        return tensors({"offset": self.offset}) | under("errors.", self.errors.arrays())

    def facts(self) -> dict[str, Any]:
        """What the arrays do not hold, JSON-able."""
        return {"genes": list(self.panel.names), "transform": self.panel.transform, "made_of": dict(self.made_of)}

    @classmethod
    def of(cls, arrays: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Calibration:
        """What `arrays` and `facts` gave."""
        panel = GenePanel(tuple(facts["genes"]), facts["transform"], "calibrated")
        errors = ErrorModel.of_arrays(below("errors.", arrays))
        return cls(panel, arrays["offset"].numpy(), errors, facts["made_of"])


def _kind(prediction: Prediction) -> dict[str, str | None]:
    """How a prediction was made: what a calibration holds for. Files of other tools say their scale only."""
    record = prediction.provenance
    if "calibration" in record:
        raise EosinError(
            f"the prediction of '{prediction.section}' is calibrated already",
            fix="give the prediction as its model made it",
        )
    kind: dict[str, str | None] = {"scale": prediction.panel.transform}
    if record:
        n_measured = sum(int(m["n_spots"]) for m in record.get("adapted_to", ()))
        adapted = f"adapted to {counted(n_measured, 'measured spot')}" if n_measured else "not adapted"
        kind |= {
            "model": str(record.get("model", prediction.model)),
            "encoder": str(record.get("encoder_key")),
            "way": adapted,
        }
    return kind


def _one_kind(pairs: Sequence[tuple[Prediction, Section]]) -> dict[str, Any]:
    kinds = [_kind(prediction) for prediction, _ in pairs]
    for (prediction, section), kind in zip(pairs, kinds):
        if kind != kinds[0]:
            key = next(key for key in kind | kinds[0] if kind.get(key) != kinds[0].get(key))
            raise EosinError(
                f"predictions of '{pairs[0][0].section}' and '{prediction.section}' differ in their {key}: "
                f"'{kinds[0].get(key)}' and '{kind.get(key)}'",
                fix="calibrate predictions that were made in the same way",
            )
        if prediction.section in prediction.provenance.get("trained_on", ()):
            raise EosinError(
                f"section '{prediction.section}' was trained on, so its misses are too small",
                fix="calibrate on sections that the model has not seen",
            )
        if Calibration.is_of_patient_trained_on(prediction):
            raise EosinError(
                f"patient '{section.patient}' of section '{prediction.section}' was trained on, so its misses are not "
                "those of a new patient",
                fix="calibrate on patients that the model has not seen; of known ones its own intervals hold",
            )
        if len(prediction.spots) < FEWEST_SPOTS:
            raise EosinError(
                f"{counted(len(prediction.spots), 'spot')} of section '{prediction.section}' cannot be calibrated on",
                fix=f"give sections with at least {FEWEST_SPOTS} spots that were predicted and measured",
            )
    sections = [prediction.section for prediction, _ in pairs]
    if len(set(sections)) < len(sections):
        raise EosinError("a section is given twice", fix="give one prediction of each section")
    patients = list(dict.fromkeys(section.patient for _, section in pairs))
    return {"kind": kinds[0], "sections": sections, "patients": patients}


def _offset_of_others(residual: np.ndarray, patient: np.ndarray, n_patients: int) -> np.ndarray:
    """[n g] the offset that all other patients give, as it is for a new one; a single patient's own."""
    means = np.stack([residual[patient == number].mean(0, dtype=np.float64) for number in range(n_patients)])
    others = (means.sum(0) - means) / (n_patients - 1) if n_patients > 1 else means
    return others[patient]
