"""What a prediction's own record says against its score."""

from __future__ import annotations

from eosin.plurals import counted
from eosin.types import Prediction


def origin_warnings(prediction: Prediction) -> list[str]:
    """What a prediction's own record says against its score: leaks, and patients who are known."""
    record, stamps = prediction.provenance, prediction.provenance.get("benchmark") or {}
    sentences = [f"LEAK, not a result: {leak}" for leak in stamps.get("leak", ())]
    for measured in record.get("adapted_to") or ():
        if measured["name"] == prediction.section:
            spots = counted(measured["n_spots"], "spot")
            sentences.append(f"LEAK, not a result: {prediction.model} was adapted to {spots} of this section")
    if prediction.section in (record.get("trained_on") or ()):
        sentences.append(f"LEAK, not a result: {prediction.model} was trained on section {prediction.section}")
    elif prediction.section in prediction.panel.chosen_on and not sentences:
        sentences.append(f"LEAK, not a result: the genes were chosen with section {prediction.section}")
    if stamps.get("note"):
        sentences.append(f"{stamps['note']}: {stamps.get('split', prediction.section)}")
    if network := (record.get("remarks") or {}).get("network"):
        sentences.append(f"{prediction.model}: {network}")
    return sentences
