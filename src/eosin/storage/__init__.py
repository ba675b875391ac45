"""Files: whole or absent; HDF5 and zarr of unknown origin; GeoJSON; one process at a time."""
