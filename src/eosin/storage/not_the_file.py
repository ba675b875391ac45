"""What downloads leave in the place of a file: nothing, a web page, a pointer of Git LFS."""

from __future__ import annotations

from pathlib import Path

from eosin.errors import EosinError

_PAGES = (b"<!doctype html", b"<html")
_POINTER = b"version https://git-lfs"


def not_the_file(head: bytes, path: Path) -> EosinError | None:
    """The error of a file that is not what it is called, by its first bytes; None where it may be.

    Parameters
    ----------
    head
        Its first bytes, 64 or more.
    path
        Named in the error.
    """
    if not head:
        return EosinError("is empty", file=path, fix="copy or download it again")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:14].lower().startswith(_PAGES):
        fix = "download it again, logged in where the page asks for it"
        return EosinError("is a web page in the place of the file", file=path, fix=fix)
    if head.startswith(_POINTER):
        return EosinError("is a pointer of Git LFS in the place of the file", file=path, fix="fetch it: git lfs pull")
    return None
