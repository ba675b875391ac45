"use strict";
// The slide in a pane: OpenSeadragon, in µm.
(() => {
  const eosin = (globalThis.eosin ??= {});

  const BLANK = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

  // What is shown: the slide, or without one an empty plane as large as the spots.
  function worldOf(scene, source) {
    if (scene.slide) {
      const width = scene.slide.width * scene.slide.mpp;
      return { width, height: scene.slide.height * scene.slide.mpp, left: 0, top: 0, tiles: source.tiles(scene.slide) };
    }
    const [left, top, right, bottom] = scene.extent_um;
    const margin = Math.max(scene.spacing_um, scene.diameter_um, 1) * 2;
    const width = right - left + 2 * margin;
    const height = bottom - top + 2 * margin;
    const side = Math.ceil(Math.max(width, height));
    const tiles = { width: Math.ceil(width), height: Math.ceil(height), tileSize: side, minLevel: 20, maxLevel: 20, getTileUrl: () => BLANK };
    return { width, height, left: left - margin, top: top - margin, tiles };
  }

  // OpenSeadragon's style for touch screens is left out: rules within a page are not allowed here.
  function withoutOwnStyle() {
    if (document.querySelector("style[data-openseadragon-mobile-css]")) return;
    document.head.append(eosin.dom.h("style", { "data-openseadragon-mobile-css": "true" }));
  }

  class Tissue {
    constructor(element, world, { onMove, onLead, onFault }) {
      this.world = world;
      withoutOwnStyle();
      this.viewer = new OpenSeadragon({
        element,
        drawer: "canvas",
        tileSources: [world.tiles],
        showNavigationControl: false,
        animationTime: 0.25,
        springStiffness: 8,
        visibilityRatio: 0.3,
        minZoomImageRatio: 0.4,
        minPixelRatio: 0.75,
        maxZoomPixelRatio: Infinity,
        imageLoaderLimit: 4,
        tileRetryMax: 100,
        tileRetryDelay: 3000,
        maxImageCacheCount: 300,
        gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
        gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
        gestureSettingsPen: { clickToZoom: false },
      });
      this.viewer.innerTracker.keyDownHandler = null; // the page has keys of its own
      this.viewer.innerTracker.keyHandler = null;
      this.viewer.addHandler("update-viewport", onMove);
      this.viewer.addHandler("viewport-change", () => onLead(false));
      for (const name of ["canvas-press", "canvas-scroll", "canvas-drag", "canvas-pinch"]) this.viewer.addHandler(name, () => onLead(true));
      this.viewer.addHandler("tile-load-failed", (event) => onFault(event));
      this.viewer.addHandler("tile-loaded", () => onFault(null));
    }

    get viewport() {
      return this.viewer.viewport;
    }

    get ready() {
      return this.viewer.world.getItemCount() > 0;
    }

    // {scale, left, top}: CSS pixels per µm, and where the µm origin is.
    view() {
      const size = this.viewport.getContainerSize();
      const scale = (this.viewport.getZoom(true) * size.x) / this.world.width;
      const corner = this.viewport.pixelFromPointNoRotate(new OpenSeadragon.Point(0, 0), true);
      return { scale, left: corner.x - this.world.left * scale, top: corner.y - this.world.top * scale };
    }

    // Look where another pane looks: the same centre, the same µm per pixel.
    follow(other) {
      const zoom = (other.viewport.getZoom(true) * other.viewport.getContainerSize().x) / this.viewport.getContainerSize().x;
      this.viewport.zoomTo(zoom, null, true);
      this.viewport.panTo(other.viewport.getCenter(true), true);
    }

    // Bring a rectangle in µm into the pane.
    show([left, top, right, bottom], immediately) {
      const w = this.world.width;
      const rect = new OpenSeadragon.Rect((left - this.world.left) / w, (top - this.world.top) / w, (right - left) / w, (bottom - top) / w);
      this.viewport.fitBounds(rect, immediately);
    }

    panBy(dx, dy) {
      const size = this.viewport.getContainerSize();
      this.viewport.panBy(this.viewport.deltaPointsFromPixels(new OpenSeadragon.Point(dx * size.x, dy * size.y)));
      this.viewport.applyConstraints();
    }

    zoomBy(factor) {
      this.viewport.zoomBy(factor);
      this.viewport.applyConstraints();
    }

    destroy() {
      this.viewer.destroy();
    }
  }

  eosin.tissue = { Tissue, worldOf };
})();
