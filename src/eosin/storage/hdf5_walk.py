"""A program that opens an HDF5 file and reads all of its metadata, to find out whether it is damaged.

`eosin.storage.hdf5.probe` runs it as a script in another process, so that nothing of eosin is imported. Exit code 0
means a sound file; 1, a damaged one, and one line on stdout says why. Damage may also crash HDF5 itself, and then only
this process ends.
"""

import sys

import h5py

SMALL = 8_000_000  # bytes; of larger arrays only the index of chunks is read, not the data


def touch(item: h5py.Group | h5py.Dataset) -> None:
    """Read the attributes of a group or dataset, and the data (if small) or the index of chunks."""
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
    """Touch everything that hard links lead to; soft and external links are not followed."""
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
