'use strict';
// A host in JavaScript: joins a network as the node QNET_NODE and answers grants until it is told to stop.
//
// Served: a node at end B of one `egp` link that is asked for pairs of kind K, with nothing above the link.
// Anything else ends with status 127, "not supported", before Ready.

const net = require('node:net');
const { Reader, WireError, Writer, any, integer, list, natural, orNil, record, refuse, sorted, string } = require('./wire.js');
const { MESSAGES, Responder } = require('./link.js');

const UNSUPPORTED = 127;
const { QNET_SOCKET: path, QNET_HOST: name, QNET_NODE: me, QNET_VERSION: version } = process.env;

// ---------------------------------------------------------------- what the world says

const item = sorted({
  message: record(
    { t: string, source: string, kind: string, seq: natural, sent_at: natural, body: any, epoch: natural, number: natural, incarnation: natural },
    { epoch: 0, number: 0, incarnation: 0 },
  ),
  ended: record({ t: string, op: string, outcomes: list(integer) }),
  clicked: record({ t: string, link: string, pattern: list(integer), at: natural }),
  refused: record({ t: string, op: string, code: integer, text: string }),
  crashed: record({ t: string }),
  restarted: record({ t: string, incarnation: natural }),
});
const BODIES = {
  'control.world/configure@1': record({ plan: any, nodes: list(string) }),
  'control.world/grant@1': record({
    at: natural, round: natural, nodes: list(record({ node: string, items: list(item) })),
  }),
  'control.world/stop@1': record({ reason: string }),
};

// ---------------------------------------------------------------- the host

class Host {
  constructor(write) {
    this.write = write; // (kind, body, at) => nothing
    this.now = 0;
    this.plan = null;
    this.node = null; // our only node's protocol; null before Configure and while it has no power
    this.sent = new Map(); // target -> messages sent
    this.received = new Map(); // source -> messages received, in a run that loses none
    this.outputs = [];
    this.over = false;
  }

  hear(frame) {
    const type = BODIES[frame.kind];
    if (type === undefined) refuse('kind', `one of ${Object.keys(BODIES)}`, frame.kind);
    const body = type(frame.body, frame.kind);
    if (frame.kind === 'control.world/stop@1') return this.stop();
    const phase = this.plan === null ? 'control.world/configure@1' : 'control.world/grant@1';
    if (frame.kind !== phase) refuse('kind', `${phase} in this phase`, frame.kind);
    return this.plan === null ? this.configure(body) : this.grant(body);
  }

  stop() {
    if (this.plan !== null) this.write('control.host/bye@1', { host: name });
    this.over = true;
  }

  configure({ plan, nodes }) {
    const served = servedLink(plan, nodes);
    if (served === null) process.exit(UNSUPPORTED);
    this.plan = plan;
    this.make = (incarnation) =>
      new Responder({ ...served, incarnation, send: (...post) => this.post(...post), put: (one) => this.outputs.push(one) });
    this.node = this.make(0);
    this.write('control.host/ready@1', { host: name });
  }

  grant({ at, nodes }) {
    if (at < this.now) refuse('at of a grant', `at least ${this.now}`, at);
    this.now = at;
    for (const { node, items } of nodes) {
      if (node !== me) refuse('node of a grant', me, node);
      for (const one of items) this.take(one);
    }
    this.node?.settle(at);
    const deadline = this.node?.deadline() ?? null;
    const report = { node: me, outputs: this.outputs, trace: new Uint8Array(0) };
    this.outputs = [];
    this.write('control.host/report@1', { at, deadline, nodes: nodes.length || report.outputs.length ? [report] : [] }, at);
  }

  take(one) {
    switch (one.t) {
      case 'message':
        return this.receive(one);
      case 'crashed':
        this.node = null;
        this.sent.clear();
        return undefined;
      case 'restarted':
        this.node = this.make(one.incarnation);
        return undefined;
      case 'refused':
        throw new Error(`the world refuses ${one.op}: ${one.text}`);
      default:
        return refuse('item', 'one that this node has asked for', one);
    }
  }

  receive(one) {
    const type = Object.hasOwn(MESSAGES, one.kind) ? MESSAGES[one.kind] : refuse('kind', `one of ${Object.keys(MESSAGES)}`, one.kind);
    const body = type(one.body, one.kind);
    if (this.plan.faults.length === 0) {
      // Nothing is lost in this run: the numbers of a channel have no gap.
      const expected = this.received.get(one.source) ?? 0;
      if (one.seq !== expected) refuse(`seq of ${one.kind} from ${one.source}`, `${expected}`, one.seq);
      this.received.set(one.source, expected + 1);
    }
    this.node.receive(one, body, this.now);
  }

  post(target, kind, body) {
    const seq = this.sent.get(target) ?? 0;
    this.sent.set(target, seq + 1);
    this.outputs.push({ t: 'post', target, kind, seq, body });
  }
}

/** The link that this program serves in that plan, null for none. */
function servedLink(plan, nodes) {
  const links = plan.links.filter((link) => link.ends.includes(me));
  const [link] = links;
  const { parameters } = plan.app;
  const served =
    nodes.length === 1 && nodes[0] === me && links.length === 1 && link.ends[1] === me &&
    link.protocol === 'egp' && (link.protocol_parameters.scheduler ?? 'fifo') === 'fifo' &&
    !link.protocol_parameters.test_share && link.purification === null && plan.network_layer === null &&
    ['conformance', 'deliver'].includes(plan.app.name);
  return served ? { link, purposes: parameters.purposes ?? [parameters.purpose ?? 0] } : null;
}

// ---------------------------------------------------------------- the connection

function main() {
  const reader = new Reader('world', name);
  const writer = new Writer(name, 'world');
  const socket = net.createConnection(path);
  const host = new Host((kind, body, at) => socket.write(writer.frame(kind, body, at)));
  let closed = false;

  const close = (status, ...last) => {
    closed = true;
    socket.end(...last, () => process.exit(status));
  };
  const fail = (error) => {
    if (closed) return;
    console.error(error.stack);
    const fault = { host: name, node: me, at: host.now, text: error.message, detail: error.stack, trace: new Uint8Array(0) };
    close(1, writer.frame('control.host/fault@1', fault, host.now));
  };

  socket.write(writer.frame('control.host/hello@1', { host: name, pid: process.pid, version }));
  socket.on('data', (chunk) => {
    try {
      reader.feed(chunk);
      for (let frame; !closed && (frame = reader.next()) !== null; ) {
        host.hear(frame);
        if (host.over) close(0);
      }
    } catch (error) {
      fail(error);
    }
  });
  socket.on('end', () => fail(new WireError('the world has closed the connection')));
  socket.on('error', (error) => {
    if (closed) return;
    console.error(error.message);
    process.exit(1);
  });
}

main();
