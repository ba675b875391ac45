"""Which patient a section is of by `patients.csv` in the data folder, where the files of a platform do not say it."""

from __future__ import annotations

from pathlib import Path

from eosin.data.file_names import composed
from eosin.data.missing import names_no_patient
from eosin.errors import EosinError
from eosin.storage.delimited import read_table

_READ = ("patients.csv", "patients.tsv", "patients.txt")
_UNREAD = ("patients.xlsx", "patients.xls", "patients.ods", "patient.csv", "patient.tsv")
"""Names, in lower case, of what is meant to be that table and is not."""


def patients_table(path: Path) -> Path | None:
    """`patients.csv` in a data folder, in any case, or the same with tabs; None where there is none.

    Raises
    ------
    EosinError
        There are two.
    """
    found = _called(path, _READ)
    if len(found) > 1:
        raise EosinError(f"{found[0].name} and {found[1].name} both fit", file=path, fix="keep one")
    return found[0] if found else None


def patient_of(path: Path, name: str) -> tuple[str, list[str]]:
    """The patient of a section from `patients.csv` (columns section, patient) in the data folder.

    10x's files do not name patients. Without the table each section is its own patient, and a note says so, since
    splits that leave patients out rely on it.
    """
    file = patients_table(path)
    if file is None:
        meant = _called(path, _UNREAD)
        said = f"{meant[0].name} is not read: save it as patients.csv" if meant else "patients.csv would tell"
        return name, [f"the files name no patient: the section counts as its own ({said})"]
    table = read_table(file, "its columns are section, patient")
    if not {"section", "patient"} <= set(table.columns):
        raise EosinError("lacks a column 'section' or 'patient'", file=file, fix="its columns are section, patient")
    i, j = table.columns.index("section"), table.columns.index("patient")
    patients: dict[str, str] = {}
    for row in table.rows:
        section = composed(row[i])
        if patients.setdefault(section, row[j]) != row[j]:
            problem = f"section '{section}' is of patient '{patients[section]}' and of '{row[j]}'"
            raise EosinError(problem, file=file, fix="keep one line a section")
    if names_no_patient(patient := patients.get(composed(name))):
        raise EosinError(f"names no patient for section '{name}'", file=file, fix=f"add a line {name},PATIENT")
    return str(patient), []


def _called(path: Path, names: tuple[str, ...]) -> list[Path]:
    """Files of a folder that are called so, in any case."""
    return sorted(file for file in path.glob("*") if file.name.lower() in names and file.is_file())
