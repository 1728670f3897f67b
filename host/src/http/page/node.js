// Asks one node. Knows when it answered last, and says so when it does not.
//
// A lease is counted from the moment that the question left, never from when the answer came: what the page shows ends
// no later than what the node said.

const POLL_MS = 500;
const POLL_HIDDEN_MS = 5000;
const DEADLINE_MS = 1200;
const RETRY_MS = 150;
/** Events after which there is something new to ask for. */
const TELLING = ["elected", "lease_gained", "lease_lost", "silent"];
/** An answer older than this is called old. */
export const STALE_MS = 1900;
const EVENTS_KEPT = 512;
const QUIET_MS = 25_000;
const BACKOFF_MS = [300, 600, 1200, 2400, 5000];

/** Milliseconds on a clock that never goes back, and that does not stand still while the machine sleeps. */
const started = { wall: Date.now(), steady: performance.now() };
export const now = () => Math.max(performance.now() - started.steady, Date.now() - started.wall);

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** The node does not answer as it should. */
class Fault extends Error {
  constructor(text, code = 0) {
    super(text);
    this.code = code;
  }
}

export class Node {
  /** The newest answer of `/v1/status`, and when the question for it left. */
  status = null;
  asked = -Infinity;
  /** Why there is no newer one. */
  fault = null;
  /** Whether the node asks for its token. */
  wantsToken = false;
  tokenRefused = false;
  /** What happened, oldest first. */
  events = [];

  #token = null;
  #failures = 0;
  #last = 0;
  #watching = null;
  #wake = () => {};
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  /** How long ago the newest answer was asked for. */
  age() {
    return now() - this.asked;
  }

  /** Whether what is shown may no longer be so. */
  isStale() {
    return this.#failures > 1 || this.age() > STALE_MS;
  }

  /** What is left of the lease, by the newest answer. */
  leaseLeft() {
    return this.status?.leader ? Math.max(0, this.status.lease_ms - this.age()) : 0;
  }

  present(token) {
    this.#token = token;
    this.wantsToken = false;
    this.#watching?.abort();
    this.#wake();
  }

  start() {
    this.#poll();
    this.#watch();
    document.addEventListener("visibilitychange", () => this.#wake());
  }

  async ask(path, options = {}) {
    const headers = { ...options.headers };
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    const fetched = { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" };
    const answer = await fetch(path, fetched);
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    throw new Fault(said.error ?? `the node answered ${answer.status}`, answer.status);
  }

  async json(path, deadline = DEADLINE_MS) {
    const answer = await this.ask(path, { signal: AbortSignal.timeout(deadline) });
    return answer.json();
  }

  async #poll() {
    for (;;) {
      if (!this.wantsToken) await this.#pollOnce();
      this.#changed();
      const failing = this.#failures === 1;
      const rest = failing ? RETRY_MS : document.hidden ? POLL_HIDDEN_MS : POLL_MS;
      await Promise.race([pause(rest), new Promise((done) => (this.#wake = done))]);
    }
  }

  async #pollOnce() {
    const left = now();
    try {
      const status = await this.json("/v1/status");
      if (this.status && this.status.generation !== status.generation) this.#begunAgain();
      this.status = status;
      this.asked = left;
      this.fault = null;
      this.#failures = 0;
      this.tokenRefused = false;
    } catch (error) {
      this.#failures += 1;
      this.fault = error instanceof Fault ? error.message : null;
      if (error.code === 401) {
        this.wantsToken = true;
        this.tokenRefused = this.#token !== null;
      }
    }
  }

  /** The node was started again: it counts its events anew. */
  #begunAgain() {
    this.#last = 0;
    this.#watching?.abort();
  }

  async #watch() {
    for (let tries = 0; ; tries += 1) {
      const stop = (this.#watching = new AbortController());
      try {
        if (this.wantsToken || !this.status) throw new Fault("not yet");
        const headers = { "last-event-id": String(this.#last) };
        const answer = await this.ask("/v1/watch", { headers, signal: stop.signal });
        tries = 0;
        await this.#listen(answer.body.getReader(), stop);
      } catch {
        // It is taken up again below; whether the node answers is the poll's to say.
      }
      await pause(BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)]);
    }
  }

  /** Reads server-sent events until the stream ends or falls silent. */
  async #listen(reader, stop) {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const silence = setTimeout(() => stop.abort(), QUIET_MS);
      const { done, value } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const events = text.split("\n\n");
      text = events.pop();
      events.forEach((event) => this.#take(event));
      this.#changed();
    }
  }

  #take(event) {
    const data = event.split("\n").find((line) => line.startsWith("data: "));
    if (!data) return;
    const happening = JSON.parse(data.slice("data: ".length));
    if (typeof happening.seq !== "number") return;
    if (happening.seq <= this.#last) return;
    if (this.#last === 0) this.events = [];
    this.#last = happening.seq;
    this.#keep(happening);
    if (TELLING.includes(happening.event)) this.#wake();
  }

  /** What is said again and again is one event with a number. */
  #keep(happening) {
    const last = this.events.at(-1);
    if (last?.text === happening.text) {
      Object.assign(last, happening, { times: last.times + 1 });
    } else {
      this.events.push({ ...happening, first: happening.seq, times: 1 });
      if (this.events.length > EVENTS_KEPT) this.events.shift();
    }
  }
}
