"""A prediction on its slide as an interactive page: served on this machine, or as a folder that opens without a server.

`compose` puts together what is shown, `scene` answers for it by name, `gene_values` and `gene_vectors` are the values
and how they are sent, `spot_blocks` their order, `slide_pyramid` the tiles. `server` with `guard` and `impatience`
serves the page, `folder_page` writes it, `notebook` makes a widget of it. `static/` is the page: plain scripts, and
OpenSeadragon under its own licence.
"""

from eosin.viewer.compose import compose, read_regions
from eosin.viewer.folder_page import write_folder
from eosin.viewer.notebook import in_notebook, widget_of
from eosin.viewer.scene import Region, Scene
from eosin.viewer.server import Viewing

__all__ = ["Region", "Scene", "Viewing", "compose", "in_notebook", "read_regions", "widget_of", "write_folder"]
