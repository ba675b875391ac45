"""A program that opens an HDF5 file and reads all of its metadata, to find out whether it is damaged.

`eosin.storage.hdf5_child` runs it as a script in another process, so that nothing of eosin is imported. It reads paths
from stdin, one JSON text a line, and answers each by a line on stdout: `sound`, or why the file is damaged. Damage may
also crash HDF5 itself, and then only this process ends.
"""

import json
import os
import sys
import threading

import h5py

IDLE_S = 60.0
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


def answer(path: str) -> str:
    """One line about a file: `sound`, or why it is not."""
    try:
        walk(path)
    except Exception as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return "sound"


if __name__ == "__main__":
    while True:
        idle = threading.Timer(IDLE_S, os._exit, [0])  # whoever asked has gone, or has no more files
        idle.daemon = True
        idle.start()
        line = sys.stdin.readline()
        idle.cancel()
        if not line:
            break
        sys.stdout.write(answer(json.loads(line)) + "\n")
        sys.stdout.flush()
