'use strict';
// Frames and bodies: bytes in, checked records out. See docs/specification/wire.md.

const { decode, encode } = require('@msgpack/msgpack');

const VERSION = 1;
const LIMIT = 16 * 1024 * 1024;

/** The other side has broken a sentence of the specification. */
class WireError extends Error {}

function refuse(where, rule, got) {
  const shown = String(JSON.stringify(got)).slice(0, 80);
  throw new WireError(`${where} must be ${rule}, got ${shown}`);
}

// ---------------------------------------------------------------- types: (value, where) => value, or WireError

const any = (value) => value;
const check = (rule, right) => (value, where) => (right(value) ? value : refuse(where, rule, value));
const string = check('a string', (value) => typeof value === 'string');
const integer = check('an integer below 2^53', Number.isSafeInteger);
const natural = check('an integer >= 0', (value) => Number.isSafeInteger(value) && value >= 0);
const number = check('a finite number', Number.isFinite);
const boolean = check('true or false', (value) => typeof value === 'boolean');
const orNil = (type) => (value, where) => (value === null ? null : type(value, where));

const list = (type) => (value, where) => {
  if (!Array.isArray(value)) refuse(where, 'an array', value);
  return value.map((one, index) => type(one, `${where}[${index}]`));
};

/** A map with these fields and no others; those of `defaults` may be left out. */
const record = (fields, defaults = {}) => (value, where) => {
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) {
    refuse(where, 'a map', value);
  }
  const found = { ...defaults };
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(fields, key)) refuse(`${where}.${key}`, `one of ${Object.keys(fields)}`, key);
    found[key] = fields[key](value[key], `${where}.${key}`);
  }
  for (const key of Object.keys(fields)) {
    if (!(key in found)) refuse(`${where}.${key}`, 'there', undefined);
  }
  return found;
};

/** A record whose field `t` says which of these sorts it is. */
const sorted = (sorts) => (value, where) => {
  const sort = value?.t;
  if (typeof sort !== 'string' || !Object.hasOwn(sorts, sort)) {
    refuse(`${where}.t`, `one of ${Object.keys(sorts)}`, sort);
  }
  return sorts[sort](value, where);
};

// ---------------------------------------------------------------- frames

const frameType = record({
  v: integer, kind: string, source: string, target: string, seq: natural, at: natural, body: any,
});

/** Cuts a stream into frames and checks who speaks to whom, in which order. */
class Reader {
  constructor(source, target) {
    this.source = source;
    this.target = target;
    this.expected = 0;
    this.buffer = Buffer.alloc(0);
  }

  feed(chunk) {
    this.buffer = Buffer.concat([this.buffer, chunk]);
  }

  /** The next whole frame, or null if more must arrive. */
  next() {
    if (this.buffer.length < 4) return null;
    const size = this.buffer.readUInt32BE(0);
    if (size === 0 || size > LIMIT) refuse('length of a frame', `1 to ${LIMIT}`, size);
    if (this.buffer.length < 4 + size) return null;
    const data = this.buffer.subarray(4, 4 + size);
    this.buffer = this.buffer.subarray(4 + size);
    let value;
    try {
      value = decode(data);
    } catch (error) {
      throw new WireError(`frame must be one msgpack map: ${error.message}`);
    }
    const frame = frameType(value, 'frame');
    if (frame.v !== VERSION) refuse('v', `${VERSION}`, frame.v);
    if (frame.source !== this.source) refuse('source', this.source, frame.source);
    if (frame.target !== this.target) refuse('target', this.target, frame.target);
    if (frame.seq !== this.expected) refuse('seq', `${this.expected}`, frame.seq);
    this.expected += 1;
    return frame;
  }
}

/** Makes frames and counts them. */
class Writer {
  constructor(source, target) {
    this.source = source;
    this.target = target;
    this.seq = 0;
  }

  frame(kind, body, at = 0) {
    const { source, target } = this;
    const data = encode({ v: VERSION, kind, source, target, seq: this.seq++, at, body });
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length, 0);
    return Buffer.concat([head, data]);
  }
}

module.exports = {
  Reader, WireError, Writer, any, boolean, integer, list, natural, number, orNil, record, refuse, sorted, string,
};
