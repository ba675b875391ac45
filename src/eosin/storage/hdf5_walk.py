"""A program of its own: open the HDF5 file that is named, and touch all of its bookkeeping.

Run by `eosin.storage.hdf5.probe` as a file, so that nothing of eosin is imported. It ends with 0, or says in one line
what is wrong and ends with 1; where the file is damaged it may also crash, which is what it is for.
"""

import sys

import h5py

SMALL = 8_000_000  # bytes; data of larger arrays is not read, only the index of its pieces


def touch(item: h5py.Group | h5py.Dataset) -> None:
    """Attributes, and the data or the index of its pieces."""
    for name in item.attrs:
        item.attrs[name]
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        return
    if item.nbytes <= SMALL:
        item[()]
    elif item.chunks is not None:
        for number in range(item.id.get_num_chunks()):
            item.id.get_chunk_info(number)


def walk(path: str) -> None:
    """All that hard links lead to; links to other places are left alone."""
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems_links(lambda name, link: names.append(name) if isinstance(link, h5py.HardLink) else None)
        touch(file["/"])
        for name in names:
            touch(file[name])


if __name__ == "__main__":
    try:
        walk(sys.argv[1])
    except Exception as error:
        sys.stdout.write(" ".join(str(error).split())[:200] or type(error).__name__)
        sys.exit(1)
