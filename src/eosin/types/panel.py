"""The genes that a model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from eosin.errors import EosinError
from eosin.types.identifiers import first_repeat, ids_beside


@dataclass(frozen=True)
class GenePanel:
    """The ordered genes that a model predicts, and the scale of the predicted values.

    Attributes
    ----------
    names
        Gene names, unique, ordered as the columns of every array.
    transform
        Name in `eosin.genes.TRANSFORMS`: how counts become the model's values.
    rule
        How the genes were chosen, as `var:50` (the 50 of largest variance).
    chosen_on
        Names of the sections whose counts decided the choice.
    ensembl
        Ensembl ids of the genes without version, `""` for a gene without one; None where none is known. They do not
        affect equality: panels of the same names are equal with and without them.

    Raises
    ------
    EosinError
        No gene, a gene named twice, or an id that is no Ensembl gene id.
    """

    names: tuple[str, ...]
    transform: str = "log1p"
    rule: str = "given"
    chosen_on: tuple[str, ...] = ()
    ensembl: tuple[str, ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(map(str, self.names)))
        object.__setattr__(self, "chosen_on", tuple(self.chosen_on))
        if not self.names:
            raise EosinError("the gene panel is empty", fix="name at least one gene, as --genes var:50")
        if len(set(self.names)) != len(self.names):
            raise EosinError(f"gene '{first_repeat(self.names)}' occurs twice in the panel", fix="name each gene once")
        object.__setattr__(self, "ensembl", ids_beside(self.names, self.ensembl, "the gene panel"))

    def __len__(self) -> int:
        return len(self.names)

    def of_genes(self, columns: Sequence[int]) -> GenePanel:
        """Some of its genes, in the order of `columns`."""
        names = tuple(self.names[j] for j in columns)
        return replace(self, names=names, ensembl=self.ensembl and tuple(self.ensembl[j] for j in columns))
