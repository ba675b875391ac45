"use strict";
// Elements and numbers. What comes from a file becomes text here, never markup.
(() => {
  const eosin = (globalThis.eosin ??= {});

  // An element: properties, `on...` handlers, `data` and ARIA attributes; children are elements or text.
  function h(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "class") element.className = value;
      else if (name in element && !name.includes("-") && name !== "list" && name !== "role") element[name] = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  }

  // A number in three digits, as a person writes it.
  function number(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 0.001 || size >= 1e6) return value.toExponential(2).replace("-", "−");
    const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    return value.toFixed(digits).replace("-", "−");
  }

  const count = (n) => n.toLocaleString("en");

  // A number of spots, cells or genes, in words.
  const counted = (n, plural) => `${count(n)} ${n === 1 ? plural.slice(0, -1) : plural}`;

  // A length of 1, 2 or 5 times a power of ten that fits into `most` µm, and its name.
  function niceLength(most) {
    const power = 10 ** Math.floor(Math.log10(most));
    const um = [5, 2, 1].map((k) => k * power).find((length) => length <= most) ?? power;
    return { um, text: um >= 1000 ? `${um / 1000} mm` : um >= 1 ? `${um} µm` : `${Math.round(um * 1000)} nm` };
  }

  function save(blob, name) {
    const link = h("a", { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // A file's name from texts of files: letters, digits, dots and dashes.
  const fileName = (...parts) => parts.map((part) => String(part).replace(/[^\w.-]+/g, "-").slice(0, 60)).join("-");

  eosin.dom = { h, number, count, counted, niceLength, save, fileName };
})();
