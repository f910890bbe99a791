'use strict';
// The responder of `egp`: end B of a link on which the other end asks for pairs of kind K.
//
// Both ends keep one queue, first in first out, and attempt for the same pair under the same id. The station says
// when a photon pair has heralded; the pair is announced at both ends at one instant, `lag` after the click. What
// one end cannot announce is void at both (Void), and a request that ends early is closed at both (Close); either
// is said again until it is answered. Names and rules: qnet_protocols.link.egp.

const { boolean, integer, list, natural, number, orNil, record, refuse, string } = require('./wire.js');

const TRIES = 16; // of a Close or Void without an answer
const ASKS = 10; // of any other question
const SILENCE = 64; // so many waits without a sign, and the other end is taken for dead
const RECENT = 64; // announced pairs of a request that are remembered
const MEMORY = 256; // requests that are over and still remembered
const QUEUE = 64;
const PER_INCARNATION = 2 ** 40;
const [UNSUPP, NORES, REJECTED] = [0, 2, 4];

const bits = list(integer);
const about = { link: string, request: string };
const E = 'link.egp/';
const M = 'physical.midpoint/';
/** Kinds that may come, and their bodies. */
const MESSAGES = {
  [`${E}propose@2`]: record(
    {
      ...about, pairs: natural, purpose: natural, requested_at: natural, max_time: natural, number: orNil(natural),
      start: orNil(natural), tag: number, service: string, priority: natural, store: boolean, atomic: boolean,
      consecutive: boolean, basis: orNil(record({ bases: list(string), weights: list(number), rotation_rad: list(number), type: string }, { weights: [1], rotation_rad: [0, 0, 0], bases: ['Z'], type: '' })),
      final: bits,
    },
    { tag: 0, service: 'K', priority: 1, store: false, atomic: false, consecutive: false, basis: null, final: [0, 0] },
  ),
  [`${E}close@3`]: record({ ...about, reason: string, reached: natural, last_sequence: natural, boundary: natural }),
  [`${E}closed@3`]: record({ ...about, reached: natural, last_sequence: natural, boundary: natural }),
  [`${E}void@1`]: record({ ...about, index: natural, boundary: natural }),
  [`${E}void_heard@1`]: record({ ...about, index: natural }),
  [`${E}compare_progress@2`]: record({ ...about, served: natural, since: natural, boundary: natural }),
  [`${E}no_slot@1`]: record({ link: string, attempt: string }),
  [`${E}have_slot@1`]: record({ link: string, attempt: string, asks: boolean }),
  [`${M}herald_reported@1`]: record({
    link: string, attempt: string, sequence: natural, label_x: natural, label_z: natural, clicked_at: natural,
  }),
  [`${M}herald_refused@1`]: record({
    link: string, fault: string, attempt_a: orNil(string), attempt_b: orNil(string), last_sequence: natural,
    clicked_at: natural,
  }),
};

const SLOT = 0; // the user gives every pair back at once, so one communication slot is enough
const RESTING = { is: 'resting' };

class Responder {
  constructor({ link, purposes, incarnation, send, put }) {
    Object.assign(this, { link, purposes, send, put });
    [this.remote] = link.ends;
    this.flight = Math.max(...link.flights);
    this.lag = this.flight + Math.max(...link.correction);
    this.answerWait = 6 * link.direct + link.cycle;
    const rate = link.estimate.rate_hz;
    const dark = link.window === null ? 0 : link.window.period - link.window.length;
    this.askWait = this.answerWait + dark + 20 * (rate > 0 ? Math.round(1e12 / rate) : link.cycle);
    this.open = new Map(); // request -> what is known of it, in order of agreement
    this.past = new Map(); // the same of requests that are over
    this.told = new Map(); // Close and Void without an answer
    this.boundary = 0; // end of the last turn, an instant that both ends know
    this.turn = RESTING;
    this.version = 0; // of what the choice of a turn depends on
    this.chosenAt = -1;
    this.refusals = 0; // of slots, one after the other
    this.heardAt = 0;
    this.expected = incarnation ? 0 : 1; // next sequence number of the station; 0: not known
    this.run = null; // of attempts: {attempt, op, startedAt}
    this.runs = incarnation * PER_INCARNATION;
    this.lastSequence = 0;
    this.incarnations = new Map();
  }

  // ------------------------------------------------------------ events

  receive(envelope, body, now) {
    const { source, kind } = envelope;
    if (envelope.incarnation > (this.incarnations.get(source) ?? 0)) {
      this.incarnations.set(source, envelope.incarnation);
      if (source === this.remote) this.peerLost(now);
    }
    const sender = kind.startsWith(M) ? this.link.station : this.remote;
    if (source !== sender) refuse(`source of ${kind}`, sender, source);
    if (body.link !== this.link.name) refuse(`link of ${kind}`, this.link.name, body.link);
    const name = kind.slice(kind.indexOf('/') + 1, kind.indexOf('@'));
    if (sender === this.remote) this.heardAt = now;
    this[`on_${name}`](body, now, envelope.sent_at);
    this.advance(now);
  }

  /** Do what is due now. */
  settle(now) {
    for (let due; (due = this.deadline()) !== null && due <= now; ) {
      this.deliver(now);
      this.repeat(now);
      this.patience(now);
      this.advance(now);
    }
  }

  deadline() {
    const { turn } = this;
    const due = [turn.start, turn.deliverAt, turn.askAt, turn.yieldAt, turn.resumeAt];
    if (this.waits()) due.push(this.heardAt + SILENCE * this.askWait);
    for (const one of this.told.values()) due.push(one.again);
    const known = due.filter((one) => one !== undefined && one !== null);
    return known.length ? Math.min(...known) : null;
  }

  waits() {
    return ['attempting', 'offering', 'yielded'].includes(this.turn.is);
  }

  /** The other end came back without its memory: what both shared is void. */
  peerLost(now) {
    for (const entry of [...this.open.values()]) this.giveUp(entry, now, null);
    this.told.clear();
  }

  // ------------------------------------------------------------ agreement

  on_propose(asked, now) {
    const { request, purpose } = asked;
    const sound = asked.pairs >= 1 && asked.requested_at <= now && asked.number !== null && asked.start !== null &&
      ['K', 'M', 'R'].includes(asked.service) && asked.final.length === 2 && asked.final.every((bit) => bit < 2);
    if (!sound) refuse('proposal', 'numbered and within its domains', asked);
    const known = this.open.get(request) ?? this.past.get(request);
    if (known) {
      if (known.answer) this.say(...known.answer);
      return;
    }
    const plain = asked.service === 'K' && !asked.store && !asked.atomic && asked.max_time === 0;
    const reasons = [
      [!this.purposes.includes(purpose), REJECTED, `nobody here accepts purpose ${purpose}`],
      [!plain, UNSUPP, 'this end serves kind K without store, atomic and max_time'],
      [this.open.size >= QUEUE, NORES, `the queue must hold at most ${QUEUE} requests`],
    ];
    const entry = { ...asked, served: 0, end: 0, delivered: 0, reached: 0, recent: [], voids: 0, voided: [], complete: false };
    const reason = reasons.find(([holds]) => holds);
    if (reason) {
      entry.answer = ['rejected@1', { request, code: reason[1], detail: reason[2] }];
      this.remember(entry, now, false);
    } else {
      entry.answer = ['accepted@2', { request, number: asked.number, start: asked.start, tag: asked.tag }];
      this.open.set(request, entry);
      this.version += 1;
    }
    this.say(...entry.answer);
  }

  say(name, body) {
    this.send(this.remote, E + name, { link: this.link.name, ...body });
  }

  // ------------------------------------------------------------ turns

  /** Whose turn is it? The same answer at both ends, from what both know. */
  next() {
    this.chosenAt = this.version;
    const ready = [...this.open.values()].filter((entry) => entry.served < entry.pairs);
    if (!ready.length) return null;
    const begin = Math.max(this.boundary, Math.min(...ready.map((entry) => entry.start)));
    const able = ready.filter((entry) => entry.start <= begin);
    const begun = able.filter((entry) => entry.consecutive && entry.served > 0);
    const [entry] = (begun.length ? begun : able).sort((a, b) => a.number - b.number);
    return { entry, begin };
  }

  advance(now) {
    const { turn } = this;
    if (turn.is === 'delivering') return;
    if (this.waits()) {
      if (this.chosenAt === this.version) return;
      const same = this.next();
      if (same && same.begin <= now && same.entry.request === turn.request) return;
      this.leave();
    }
    this.turn = RESTING;
    const next = this.next();
    if (!next) return;
    if (now < next.begin) this.turn = { is: 'waiting', request: next.entry.request, start: next.begin };
    else this.attempt(next.entry, now);
  }

  /** Give the present turn up. */
  leave() {
    const { turn } = this;
    this.turn = RESTING;
    if (turn.is === 'attempting' && this.run) {
      this.put({ t: 'abort', op: this.run.op });
      this.run = null;
    }
    if (turn.is === 'attempting' || turn.is === 'delivering') this.put({ t: 'discard', slot: SLOT });
  }

  attempt(entry, now) {
    const { request } = entry;
    const index = entry.served + 1;
    const attempt = `${request}.${index}`;
    this.refusals = 0;
    this.turn = { is: 'attempting', request, index, attempt, since: now, asks: 0, askAt: now + this.askWait };
    this.runs += 1;
    this.run = { attempt, op: `physical:${this.link.name}/${this.runs}`, startedAt: now };
    this.send(this.link.station, `${M}photons_announced@1`, { link: this.link.name, attempt, run: this.runs });
    this.put({ t: 'attempt', op: this.run.op, link: this.link.name, slot: SLOT, until: null });
  }

  /** The entry whose present turn attempts under that id. */
  attempting(attempt) {
    return this.turn.is === 'attempting' && this.turn.attempt === attempt ? this.open.get(this.turn.request) : undefined;
  }

  on_herald_reported(report, now) {
    const { attempt, sequence, clicked_at: clickedAt } = report;
    if (report.label_x > 1 || report.label_z > 1) refuse('label', 'two bits', [report.label_x, report.label_z]);
    const usedUp = this.run !== null && clickedAt >= this.run.startedAt + this.flight;
    if (usedUp && attempt === this.run.attempt) {
      this.run = null;
      this.lastSequence = Math.max(this.lastSequence, sequence);
      this.heralded(attempt, sequence, clickedAt, now);
      return;
    }
    if (sequence <= this.lastSequence) return;
    this.lastSequence = sequence;
    // The other end may hold a pair whose half was given up here.
    this.heardAt = now;
    this.reachedSequence(sequence);
    const late = [...this.open.values()].find((entry) => attempt === `${entry.request}.${entry.served + 1}`);
    if (late) this.makeVoid(late.request, late.served + 1, now, true);
    if (usedUp && this.run !== null) this.refused('QUEUE_MISMATCH', sequence, now);
  }

  on_herald_refused(refusal, now) {
    const usedUp = this.run !== null && refusal.clicked_at >= this.run.startedAt + this.flight;
    if (usedUp) this.refused(refusal.fault, refusal.last_sequence, now);
  }

  refused(fault, lastSequence, now) {
    this.run = null;
    this.lastSequence = Math.max(this.lastSequence, lastSequence);
    this.heardAt = now;
    this.reachedSequence(lastSequence);
    const { turn } = this;
    const entry = this.attempting(turn.attempt);
    if (!entry) return;
    this.attempt(entry, now);
    if (fault === 'QUEUE_MISMATCH') this.compare(entry.request, entry.served, now);
  }

  heralded(attempt, sequence, clickedAt, now) {
    this.heardAt = now;
    const entry = this.attempting(attempt);
    const news = this.expected <= sequence;
    if (entry && !news) {
      this.attempt(entry, now);
      return;
    }
    this.reachedSequence(sequence);
    const deliverAt = clickedAt + this.lag;
    this.boundary = Math.max(this.boundary, deliverAt);
    const { request } = entry;
    this.turn = { is: 'delivering', request, index: entry.served + 1, sequence, clickedAt, deliverAt };
    if (now > deliverAt) {
      this.leave();
      this.makeVoid(request, entry.served + 1, now, true);
      return;
    }
    entry.served += 1;
    entry.end = deliverAt;
    this.version += 1;
  }

  reachedSequence(last) {
    if (last) this.expected = Math.max(this.expected, last + 1);
  }

  deliver(now) {
    const { turn } = this;
    if (turn.is !== 'delivering' || turn.deliverAt > now) return;
    const { request, index, sequence } = turn;
    if (turn.deliverAt < now) {
      this.makeVoid(request, index, now, true);
      return;
    }
    this.turn = RESTING;
    const entry = this.open.get(request);
    this.put({
      t: 'delivered', pair: this.pair(sequence), request, index, origin: false, remote: this.remote, slot: SLOT,
      label: entry.final, goodness: this.link.estimate.goodness, goodness_error: this.link.estimate.goodness_error,
      requested_at: entry.requested_at, created_at: turn.clickedAt,
    });
    this.put({ t: 'discard', slot: SLOT }); // the user gives it back at once
    entry.delivered += 1;
    entry.reached = index;
    entry.recent = [...entry.recent, [index, sequence]].slice(-RECENT);
    this.settled(entry, now);
  }

  pair(sequence) {
    return `${this.link.name}#${sequence}`;
  }

  /** A pair of `entry` was announced or is void: the request ends if none is left. */
  settled(entry, now) {
    this.version += 1;
    if (entry.delivered + entry.voids >= entry.pairs) this.remember(entry, now, true);
  }

  remember(entry, now, complete) {
    this.open.delete(entry.request);
    this.past.set(entry.request, Object.assign(entry, { complete, endedAt: now }));
    if (this.past.size > MEMORY) this.past.delete(this.past.keys().next().value);
    this.version += 1;
  }

  // ------------------------------------------------------------ slots of the other end

  on_no_slot({ attempt }, now) {
    if (['attempting', 'offering'].includes(this.turn.is) && this.turn.attempt === attempt) this.yieldSlot(now);
  }

  yieldSlot(now) {
    const { request, index, attempt } = this.turn;
    this.leave();
    const wait = Math.min(this.answerWait * 2 ** this.refusals, this.askWait);
    this.refusals += 1;
    this.turn = { is: 'yielded', request, index, attempt, resumeAt: now + wait };
  }

  on_have_slot({ attempt, asks }, now) {
    const { turn } = this;
    if (!this.waits() || turn.attempt !== attempt) return;
    if (turn.is === 'yielded') {
      this.offer({ ...turn, resumeAt: null, asks: 0, yieldAt: now + this.askWait }, now);
      return;
    }
    if (turn.is === 'offering') this.attempt(this.open.get(turn.request), now);
    if (asks) this.say('have_slot@1', { attempt, asks: false });
  }

  /** This end has a slot: does the other? */
  offer(turn, now) {
    const asks = turn.asks + 1;
    this.turn = { ...turn, is: 'offering', asks, askAt: asks < ASKS ? now + this.answerWait * 2 ** (asks - 1) : null };
    this.say('have_slot@1', { attempt: turn.attempt, asks: true });
  }

  /** Ask, tell, give up or begin again when one has waited for long. */
  patience(now) {
    const { turn } = this;
    if (this.waits() && this.heardAt + SILENCE * this.askWait <= now) {
      for (const entry of [...this.open.values()]) this.close(entry, 'no_sign', null, now);
    } else if (turn.is === 'offering' && turn.yieldAt <= now) {
      this.yieldSlot(now);
      this.say('no_slot@1', { attempt: turn.attempt });
      this.compare(turn.request, turn.index - 1, now);
    } else if (turn.is === 'offering' && turn.askAt !== null && turn.askAt <= now) {
      this.offer(turn, now);
    } else if (turn.is === 'yielded' && turn.resumeAt <= now) {
      this.offer({ ...turn, resumeAt: null, asks: 0, yieldAt: now + this.askWait }, now);
    } else if (turn.is === 'attempting' && turn.askAt !== null && turn.askAt <= now) {
      turn.asks += 1;
      turn.askAt = turn.asks < ASKS ? now + this.askWait * 2 ** turn.asks : null;
      this.compare(turn.request, turn.index - 1, turn.since);
    }
  }

  // ------------------------------------------------------------ pairs that one end missed

  compare(request, served, since) {
    this.say('compare_progress@2', { request, served, since, boundary: this.boundary });
  }

  on_compare_progress({ request, served, since, boundary }, now, sentAt) {
    this.heardOf(boundary, 0);
    const entry = this.open.get(request);
    if (!entry) {
      this.comparePast(request, served, now, sentAt);
    } else if (served > entry.served) {
      this.makeVoid(request, served, now, true);
    } else if (served < entry.served && sentAt > entry.end) {
      const first = Math.max(served, entry.served - RECENT) + 1;
      for (let index = first, last = entry.served; index <= last; index += 1) this.makeVoid(request, index, now, true);
    } else if (this.turn.is === 'attempting' && this.turn.request === request) {
      // Both have attempted for the same pair for long: one may be disarmed unawares. Begin anew.
      const long = now >= Math.max(this.turn.since, since) + this.askWait;
      if (served !== this.turn.index - 1 || !long) return;
      this.put({ t: 'abort', op: this.run.op });
      this.run = null;
      this.attempt(entry, now);
    }
  }

  comparePast(request, served, now, sentAt) {
    const past = this.past.get(request) ?? { request, served: 0, reached: 0, recent: [], endedAt: 0, complete: false };
    if (sentAt <= past.endedAt || this.told.has(`${request} 0`)) return;
    const missed = past.served - served;
    if (past.complete && missed > 0 && missed <= RECENT) {
      for (let index = served + 1; index <= past.served; index += 1) this.makeVoid(request, index, now, true);
      return;
    }
    const [reached, last] = [past.reached, lastOf(past)];
    this.expire(past, served);
    this.tell(0, 'close@3', { request, reason: 'expired', reached: Math.min(reached, served), last_sequence: last }, now);
  }

  on_void({ request, index, boundary }, now) {
    this.heardOf(boundary, 0);
    this.makeVoid(request, index, now, false);
    this.say('void_heard@1', { request, index });
  }

  on_void_heard({ request, index }) {
    this.told.delete(`${request} ${index}`);
  }

  /** Pair `index` cannot be announced by both ends: it is void, and so is what was passed over before it. */
  makeVoid(request, index, now, tell) {
    const entry = this.open.get(request) ?? this.past.get(request);
    const { turn } = this;
    if (!this.open.has(request)) {
      if (entry) this.withdraw(entry, index);
      if (tell) this.tell(index, 'void@1', { request, index }, now);
      return;
    }
    const finishes = turn.is === 'delivering' && turn.request === request && turn.index === index;
    const made = index <= entry.served && !finishes;
    if (!made && turn.request === request) this.leave();
    for (let one = Math.min(entry.served + 1, index); one <= index; one += 1) {
      this.withdraw(entry, one);
      entry.served = Math.max(entry.served, one);
      entry.end = Math.max(entry.end, this.boundary);
      if (tell || one < index) this.tell(one, 'void@1', { request, index: one }, now);
    }
    this.settled(entry, now);
  }

  /** Count a pair as void, and take back what was announced of it. */
  withdraw(entry, index) {
    if (entry.voided.includes(index)) return;
    const gone = entry.recent.filter(([one]) => one === index);
    this.announceExpiry(entry.request, gone);
    entry.recent = entry.recent.filter(([one]) => one !== index);
    entry.delivered -= gone.length;
    entry.voids += 1;
    entry.voided = [...entry.voided, index].slice(-RECENT);
  }

  announceExpiry(request, gone) {
    if (gone.length) this.put({ t: 'expiry', pairs: gone.map(([, sequence]) => this.pair(sequence)), request });
  }

  // ------------------------------------------------------------ requests that end early

  close(entry, reason, agreed, now) {
    const [reached, last] = [entry.reached, lastOf(entry)];
    this.giveUp(entry, now, agreed);
    this.tell(0, 'close@3', { request: entry.request, reason, reached, last_sequence: last }, now);
  }

  giveUp(entry, now, agreed) {
    if (this.turn.request === entry.request) this.leave();
    this.remember(entry, now, false);
    if (agreed !== null) this.expire(entry, agreed);
  }

  /** Take back pairs that were announced here after pair `agreed`. */
  expire(entry, agreed) {
    const gone = entry.recent.filter(([index]) => index > agreed);
    this.announceExpiry(entry.request, gone);
    entry.recent = entry.recent.filter(([index]) => index <= agreed);
    entry.delivered -= gone.length;
    if (gone.length) entry.reached = Math.min(entry.reached, agreed);
  }

  on_close({ request, reached, last_sequence: last, boundary }, now) {
    this.heardOf(boundary, last);
    const entry = this.open.get(request) ?? this.past.get(request) ?? {
      request, served: 0, end: 0, delivered: 0, reached: 0, recent: [], voids: 0, voided: [], answer: null,
    };
    const answer = { request, reached: entry.reached, last_sequence: lastOf(entry) };
    if (this.open.has(request)) this.giveUp(entry, now, reached);
    else {
      if (!this.past.has(request)) this.remember(entry, now, false);
      this.expire(entry, reached);
      if (this.told.delete(`${request} 0`)) return; // the two have crossed
    }
    this.say('closed@3', { ...answer, boundary: this.boundary });
  }

  on_closed({ request, reached, last_sequence: last, boundary }) {
    this.heardOf(boundary, last);
    const past = this.past.get(request);
    if (this.told.delete(`${request} 0`) && past) this.expire(past, reached);
  }

  heardOf(boundary, last) {
    if (boundary > this.boundary) {
      this.boundary = boundary;
      this.version += 1;
    }
    this.reachedSequence(last);
  }

  // ------------------------------------------------------------ what is said until it is answered

  tell(index, name, body, now) {
    const told = { name, body: { ...body, boundary: this.boundary }, tries: 1, again: now + this.answerWait };
    this.told.set(`${body.request} ${index}`, told);
    this.say(name, told.body);
  }

  repeat(now) {
    for (const [key, one] of [...this.told]) {
      if (one.again > now) continue;
      if (one.tries === TRIES) {
        this.told.delete(key);
        continue;
      }
      this.say(one.name, one.body);
      one.again = now + this.answerWait * 2 ** one.tries;
      one.tries += 1;
    }
  }
}

/** Sequence number of the last valid pair, 0 for none. */
function lastOf(entry) {
  return entry.recent.length ? entry.recent.at(-1)[1] : 0;
}

module.exports = { MESSAGES, Responder };
