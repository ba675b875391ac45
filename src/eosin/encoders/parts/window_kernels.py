"""Compiled loops over one window, from which `window_statistics.py` makes the features of `stain`.

Each goes over a window's maps once and leaves sums; the plain version of every statistic is in `map_statistics.py`.
Where a number decides (which pixel is a peak, which of two is brighter), loops compute it in the same order and with
the same roundings as the plain version, so that decisions are the same: such a loop may fuse a product and a sum into
one rounding, as torch does, where the product is the sum's second part, and may do nothing else (`_SAME`).
"""

from __future__ import annotations

import numpy as np

from eosin.compiled import compiled

_SUMS = {"reassoc", "contract", "nsz"}
"""Sums may be split over lanes."""
_SAME = {"contract"}
_NIL, _ONE, _FOUR, _QUARTER, _THIRD = map(np.float32, (0, 1, 4, 0.25, 1 / 3))


@compiled(_SAME)
def scaled_densities(tile, table, matrix, out) -> None:
    """Minus the scaled density [3 h w] of pixels uint8 [h w 3]; `matrix` [3 3] from densities to minus scaled ones."""
    height, width = tile.shape[:2]
    density = np.empty((3, width), np.float32)
    for y in range(height):
        for x in range(width):
            for c in range(3):
                density[c, x] = table[tile[y, x, c]]
        for c in range(3):
            row, red, green, blue = out[c, y], density[0], density[1], density[2]
            a, b, d = matrix[0, c], matrix[1, c], matrix[2, c]
            for x in range(width):
                row[x] = red[x] * a
            for x in range(width):
                row[x] = row[x] + green[x] * b
            for x in range(width):
                row[x] = row[x] + blue[x] * d


@compiled()
def pixels_of(light, out) -> None:
    """Pixels uint8 [h w 3] of the light [3 h w] that passes, 0 to 1."""
    _, height, width = light.shape
    row = np.empty(width, np.float32)
    for y in range(height):
        for c in range(3):
            for x in range(width):
                value = np.rint(light[c, y, x] * np.float32(256) - _ONE)
                row[x] = min(max(value, _NIL), np.float32(255))
            for x in range(width):
                out[y, x, c] = np.uint8(row[x])


@compiled()
def stains_of(tile, table, unmix, stains, light) -> None:
    """Densities [4 h w] of the stains, residual and total, and light int16 [2 h w], red and all, of pixels [h w 3]."""
    height, width = tile.shape[:2]
    density = np.empty((3, width), np.float32)
    for y in range(height):
        for x in range(width):
            red, green, blue = tile[y, x, 0], tile[y, x, 1], tile[y, x, 2]
            density[0, x], density[1, x], density[2, x] = table[red], table[green], table[blue]
            light[0, y, x] = np.int16(red)
            light[1, y, x] = np.int16(red) + np.int16(green) + np.int16(blue)
        for c in range(3):
            a, b, d = unmix[c, 0], unmix[c, 1], unmix[c, 2]
            for x in range(width):
                stains[c, y, x] = density[0, x] * a + density[1, x] * b + density[2, x] * d
        for x in range(width):
            stains[3, y, x] = (density[0, x] + density[1, x] + density[2, x]) * _THIRD


@compiled()
def halved(maps, out) -> None:
    """Mean of every 2 x 2 pixels."""
    for c in range(out.shape[0]):
        for y in range(out.shape[1]):
            up, down, row = maps[c, 2 * y], maps[c, 2 * y + 1], out[c, y]
            for x in range(row.shape[0]):
                row[x] = ((up[2 * x] + down[2 * x]) + (up[2 * x + 1] + down[2 * x + 1])) * _QUARTER


@compiled()
def summed_pairs(maps, out) -> None:
    """Sum of every 2 x 2 pixels, int16."""
    for c in range(out.shape[0]):
        for y in range(out.shape[1]):
            up, down, row = maps[c, 2 * y], maps[c, 2 * y + 1], out[c, y]
            for x in range(row.shape[0]):
                row[x] = up[2 * x] + down[2 * x] + up[2 * x + 1] + down[2 * x + 1]


@compiled(_SUMS)
def sums(maps, rings, total, of_rings, of_cells) -> None:
    """Sums of maps [c h w] into `total` [c]; of the first ones in rings [3 h w] and in the cells of a 4 x 4 grid."""
    n_maps, height, width = maps.shape
    cell = width // 4
    total[:], of_rings[:], of_cells[:] = 0, 0, 0
    for c in range(n_maps):
        for y in range(height):
            row, part = maps[c, y], _NIL
            for x in range(width):
                part += row[x]
            total[c] += part
            if c >= of_rings.shape[1]:
                continue
            for k in range(3):
                ring, part = rings[k, y], _NIL
                for x in range(width):
                    part += row[x] * ring[x]
                of_rings[k, c] += part
            if y < 4 * cell:
                for k in range(4):
                    part = _NIL
                    for x in range(k * cell, (k + 1) * cell):
                        part += row[x]
                    of_cells[c, y // cell, k] += part


@compiled(_SUMS)
def deviations(maps, centre, third, products) -> None:
    """Sums of the third powers [c] and of all products [c c] of the deviations of maps [c h w] from `centre` [c]."""
    n_maps, height, width = maps.shape
    apart = np.empty((n_maps, width), np.float32)
    third[:], products[:] = 0, 0
    for y in range(height):
        for c in range(n_maps):
            row, own, middle, part = maps[c, y], apart[c], centre[c], _NIL
            for x in range(width):
                own[x] = row[x] - middle
            for x in range(width):
                part += own[x] * own[x] * own[x]
            third[c] += part
            for d in range(c + 1):
                other, part = apart[d], _NIL
                for x in range(width):
                    part += own[x] * other[x]
                products[c, d] += part


@compiled(_SUMS)
def detail(maps, out) -> None:
    """Sums [c 3] over the Laplacian of maps [c h w]: of its positive part, of squares, and of the peaks' squares."""
    n_maps, height, width = maps.shape
    out[:] = 0
    for c in range(n_maps):
        for y in range(1, height - 1):
            up, row, down = maps[c, y - 1], maps[c, y], maps[c, y + 1]
            positive, square, peaks = _NIL, _NIL, _NIL
            for x in range(1, width - 1):
                fine = row[x] * _FOUR - up[x] - down[x] - row[x - 1] - row[x + 1]
                peak = max(fine, _NIL)
                positive += peak
                square += fine * fine
                peaks += peak * peak
            out[c, 0] += positive
            out[c, 1] += square
            out[c, 2] += peaks


@compiled(_SUMS)
def edges(maps, out) -> None:
    """Sums [c 4] over the gradient of maps [c h w]: squares across and down, their product, and its length."""
    n_maps, height, width = maps.shape
    out[:] = 0
    for c in range(n_maps):
        for y in range(1, height - 1):
            up, row, down = maps[c, y - 1], maps[c, y], maps[c, y + 1]
            xx, yy, xy, size = _NIL, _NIL, _NIL, _NIL
            for x in range(1, width - 1):
                a, d = row[x + 1] - row[x - 1], down[x] - up[x]
                xy += a * d
                a, d = a * a, d * d
                xx += a
                yy += d
                size += np.sqrt(a + d)
            out[c, 0] += xx
            out[c, 1] += yy
            out[c, 2] += xy
            out[c, 3] += size


@compiled()
def count_patterns(maps, bins, out) -> None:
    """Numbers of pixels [c 10] by their local binary pattern; `bins` [256] says which bin has a ring of eight bits."""
    n_maps, height, width = maps.shape
    code = np.empty(width, np.uint8)
    out[:] = 0
    for c in range(n_maps):
        for y in range(1, height - 1):
            up, row, down = maps[c, y - 1], maps[c, y], maps[c, y + 1]
            for x in range(1, width - 1):
                middle = row[x]
                ring = np.uint8(up[x - 1] > middle)
                ring |= np.uint8(up[x] > middle) << 1
                ring |= np.uint8(up[x + 1] > middle) << 2
                ring |= np.uint8(row[x + 1] > middle) << 3
                ring |= np.uint8(down[x + 1] > middle) << 4
                ring |= np.uint8(down[x] > middle) << 5
                ring |= np.uint8(down[x - 1] > middle) << 6
                ring |= np.uint8(row[x - 1] > middle) << 7
                code[x] = ring
            for x in range(1, width - 1):
                out[c, bins[code[x]]] += 1
