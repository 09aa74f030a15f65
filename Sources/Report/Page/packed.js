// Packed numbers, as Schemas/sample-views.md has them, unpacked by what browsers bring along.
"use strict";

const Packed = (() => {
  async function bytes(base64) {
    const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const stream = new DecompressionStream("deflate"), writer = stream.writable.getWriter();
    const reader = stream.readable.getReader(), parts = [];
    // Without a Response, which browsers count as a fetch, and end as one that has failed where a page is left.
    const written = writer.write(packed).then(() => writer.close());
    for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
    await written;
    return join(parts);
  }

  function join(parts) {
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  // Numbers of 16 bits whose low bytes all come first.
  function halves(all) {
    const count = all.length / 2;
    return Uint16Array.from({ length: count }, (_, i) => all[i] | (all[count + i] << 8));
  }

  // A landscape's tile of rows of `width`: its values, NaN for what is none.
  async function tile(base64, width, range) {
    const numbers = halves(await bytes(base64)), values = new Float32Array(numbers.length);
    const step = (range[1] - range[0]) / 65534;
    for (let i = 0; i < numbers.length; i++) {
      const before = i % width > 0 ? numbers[i - 1] : i > 0 ? numbers[i - width] : 0;
      numbers[i] += before;
      values[i] = numbers[i] === 65535 ? NaN : range[0] + step * numbers[i];
    }
    return values;
  }

  // Numbers from -limit to limit, of `bits` 8 or 16; NaN for what is none.
  async function signed(base64, limit, bits) {
    const all = await bytes(base64), middle = 2 ** (bits - 1);
    return Float32Array.from(bits === 8 ? all : halves(all), (q) => (q === 0 ? NaN : ((q - middle) / (middle - 1)) * limit));
  }

  return { tile, signed };
})();

if (typeof module !== "undefined") module.exports = Packed;
