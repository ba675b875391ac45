"use strict";
// Discs drawn by the graphics card: one point a spot, or one square where they are large, cut round.
(() => {
  const eosin = (globalThis.eosin ??= {});

  const LARGEST_POINT = 10; // pixels

  const VERTEX = `#version 300 es
  in vec2 corner; in vec2 place; in float value; in float width;
  uniform vec2 centre; uniform float scale; uniform vec2 size; uniform vec3 radius;
  out vec2 at; out float shade; out float pixels;
  void main() {
    pixels = radius.y > 0.0 ? max(radius.z, width * radius.y) : radius.x;
    vec2 px = place * scale + centre + corner * (pixels + 1.0);
    at = corner * (pixels + 1.0);
    shade = value;
    gl_PointSize = 2.0 * (pixels + 1.0);
    gl_Position = vec4(px.x / size.x * 2.0 - 1.0, 1.0 - px.y / size.y * 2.0, 0.0, 1.0);
  }`;
  const FRAGMENT = `#version 300 es
  precision highp float;
  in vec2 at; in float shade; in float pixels;
  uniform sampler2D ramp; uniform vec2 range; uniform vec3 missing; uniform bool points;
  out vec4 colour;
  void main() {
    vec2 away = points ? (gl_PointCoord * 2.0 - 1.0) * (pixels + 1.0) : at;
    float cover = clamp(pixels + 0.5 - length(away), 0.0, 1.0);
    if (cover <= 0.0) discard;
    float t = clamp((shade - range.x) / (range.y - range.x), 0.0, 1.0);
    vec3 rgb = shade < -1e37 ? missing : texture(ramp, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb;
    colour = vec4(rgb * cover, cover);
  }`;

  function program(gl) {
    const made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error("shaders do not link");
    return made;
  }

  class WebglDiscs {
    constructor(canvas, field) {
      this.canvas = canvas;
      this.field = field;
      const gl = canvas.getContext("webgl2", { premultipliedAlpha: true, antialias: false, preserveDrawingBuffer: false });
      if (!gl) throw new Error("no WebGL 2");
      this.gl = gl;
      this.program = program(gl);
      this.place = Object.fromEntries(["corner", "place", "value", "width"].map((name) => [name, gl.getAttribLocation(this.program, name)]));
      this.uniform = Object.fromEntries(
        ["centre", "scale", "size", "radius", "ramp", "range", "missing", "points"].map((name) => [name, gl.getUniformLocation(this.program, name)]),
      );
      this.middle = [(field.boundsUm[0] + field.boundsUm[2]) / 2, (field.boundsUm[1] + field.boundsUm[3]) / 2];
      const away = new Float32Array(field.xy.length); // from the middle, since float32 has seven digits
      for (let i = 0; i < away.length; i += 2) {
        away[i] = field.xy[i] - this.middle[0];
        away[i + 1] = field.xy[i + 1] - this.middle[1];
      }
      this.buffers = {
        corner: this.buffer(new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1])),
        place: this.buffer(away),
        width: field.widths ? this.buffer(field.widths) : null,
        value: gl.createBuffer(),
      };
      this.texture = gl.createTexture();
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    }

    buffer(data) {
      const buffer = this.gl.createBuffer();
      this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
      this.gl.bufferData(this.gl.ARRAY_BUFFER, data, this.gl.STATIC_DRAW);
      return buffer;
    }

    setValues(values) {
      this.values = values;
      if (!values) return;
      const sent = new Float32Array(values.length);
      for (let i = 0; i < values.length; i++) sent[i] = values[i] === values[i] ? values[i] : -3e38;
      this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers.value);
      this.gl.bufferData(this.gl.ARRAY_BUFFER, sent, this.gl.DYNAMIC_DRAW);
    }

    draw(view, runs, radius, ramp, low, high) {
      const { gl, uniform } = this;
      gl.viewport(0, 0, this.canvas.width, this.canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.useProgram(this.program);
      gl.uniform2f(uniform.centre, this.middle[0] * view.scale + view.left, this.middle[1] * view.scale + view.top);
      gl.uniform1f(uniform.scale, view.scale);
      gl.uniform2f(uniform.size, this.canvas.width, this.canvas.height);
      gl.uniform3f(uniform.radius, radius.fixed, this.field.widths ? radius.each : 0, radius.least);
      gl.uniform2f(uniform.range, low, high);
      gl.uniform3f(uniform.missing, ...eosin.colours.MISSING.map((c) => c / 255));
      this.setRamp(ramp);
      gl.uniform1i(uniform.ramp, 0);
      const largest = radius.each && this.field.widths ? this.field.widest * radius.each : radius.fixed;
      gl.uniform1i(uniform.points, largest <= LARGEST_POINT ? 1 : 0);
      if (largest <= LARGEST_POINT) this.drawPoints(runs);
      else this.drawSquares(runs);
    }

    drawPoints(runs) {
      const { gl } = this;
      gl.disableVertexAttribArray(this.place.corner);
      gl.vertexAttrib2f(this.place.corner, 0, 0);
      this.attribute("place", 2, 0, 0);
      this.attribute("value", 1, 0, 0);
      if (this.buffers.width) this.attribute("width", 1, 0, 0);
      for (const [first, count] of runs) gl.drawArrays(gl.POINTS, first, count);
    }

    // A point is left out as soon as its centre is out of sight: large ones are squares of their own.
    drawSquares(runs) {
      const { gl } = this;
      this.attribute("corner", 2, 0, 0);
      for (const [first, count] of runs) {
        this.attribute("place", 2, 1, first * 8);
        this.attribute("value", 1, 1, first * 4);
        if (this.buffers.width) this.attribute("width", 1, 1, first * 4);
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
      }
    }

    attribute(name, size, divisor, offset) {
      const { gl } = this;
      if (this.place[name] < 0) return;
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.enableVertexAttribArray(this.place[name]);
      gl.vertexAttribPointer(this.place[name], size, gl.FLOAT, false, 0, offset);
      gl.vertexAttribDivisor(this.place[name], divisor);
    }

    setRamp(ramp) {
      const { gl } = this;
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, this.texture);
      if (this.shown === ramp) return;
      this.shown = ramp;
      gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, ramp);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    }
  }

  // Whether WebGL 2 is there and is not drawn by the processor, which does worse than `RasterDiscs`.
  function hasGraphicsCard() {
    known ??= looksForGraphicsCard(); // each look costs a context
    return known;
  }

  let known = null;

  function looksForGraphicsCard() {
    const gl = document.createElement("canvas").getContext("webgl2");
    if (!gl) return false;
    const info = gl.getExtension("WEBGL_debug_renderer_info");
    const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    return !/swiftshader|llvmpipe|software|basic render/i.test(name);
  }

  // Discs on a canvas, by WebGL where that is worth it; `wanted` is "webgl", "raster" or nothing.
  function discsOn(makeCanvas, field, wanted) {
    if (wanted === "webgl" || (wanted !== "raster" && hasGraphicsCard())) {
      try {
        return new WebglDiscs(makeCanvas(), field);
      } catch {
        // a canvas keeps its first kind of context: the next one is new
      }
    }
    return new eosin.RasterDiscs(makeCanvas(), field);
  }

  eosin.WebglDiscs = WebglDiscs;
  eosin.discsOn = discsOn;
})();
